//! Music's operations by name, for whoever chooses one at run time: the command line, a gateway, an agent.
//!
//! A playback token is not among them: it is a credential, and what is called by name ends in logs and histories.

use jiff::Timestamp;

use super::{
    Album, AlbumId, Artist, ArtistId, ArtistInfo, Device, DeviceId, Enqueued, Isrc, Market, Music, MusicCap,
    NewPlaylist, Period, Play, PlayRequest, PlaybackState, Played, Playlist, PlaylistEdit, PlaylistEntry,
    PlaylistId, Query, RepeatMode, Scrobbled, Seeds, Snapshot, Tag, Track, TrackId,
};
use crate::dynamic::{Outcome, PageOf, outcomes, page, portable_operations};
use crate::op::Safety::{Idempotent, Once, Read};
use crate::page::Cursor;

portable_operations! {
    /// Every portable operation of music.
    pub static OPERATIONS: Music;

    "A track by its id."
    track(TrackArguments { id: TrackId, market: Option<Market> }) -> Track, MusicCap::Track.as_str(), Read,
        |music, it| music.track_in(it.id, it.market).await;

    "The tracks that a query finds."
    search(SearchArguments { query: Query, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Track>, MusicCap::Search.as_str(), Read,
        |music, it| page(music.search(it.query), it.limit, it.cursor).await;

    "Every track with an ISRC."
    tracks_by_isrc(IsrcArguments { isrc: Isrc, market: Option<Market> }) -> Vec<Track>, MusicCap::Isrc.as_str(), Read,
        |music, it| music.tracks_by_isrc(&it.isrc, it.market).await;

    "An album by its id."
    album(AlbumArguments { id: AlbumId, market: Option<Market> }) -> Album, MusicCap::Album.as_str(), Read,
        |music, it| music.albums()?.get(it.id, it.market).await;

    "The tracks of an album."
    album_tracks(AlbumTracksArguments { id: AlbumId, market: Option<Market>, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Track>, MusicCap::AlbumTracks.as_str(), Read,
        |music, it| page(music.albums()?.tracks(it.id, it.market), it.limit, it.cursor).await;

    "The albums that a query finds."
    search_albums(SearchAlbumsArguments { query: Query, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Album>, MusicCap::AlbumSearch.as_str(), Read,
        |music, it| page(music.albums()?.search(it.query), it.limit, it.cursor).await;

    "An artist by its id."
    artist(ArtistArguments { id: ArtistId }) -> Artist, MusicCap::Artist.as_str(), Read,
        |music, it| music.artists()?.get(it.id).await;

    "The albums of an artist."
    artist_albums(ArtistAlbumsArguments { id: ArtistId, market: Option<Market>, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Album>, MusicCap::ArtistAlbums.as_str(), Read,
        |music, it| page(music.artists()?.albums(it.id, it.market), it.limit, it.cursor).await;

    "What is heard most of an artist."
    artist_top_tracks(ArtistTopTracksArguments { id: ArtistId, market: Option<Market> })
        -> Vec<Track>, MusicCap::ArtistTopTracks.as_str(), Read,
        |music, it| music.artists()?.top_tracks(it.id, it.market).await;

    "The artists that a query finds."
    search_artists(SearchArtistsArguments { query: Query, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Artist>, MusicCap::ArtistSearch.as_str(), Read,
        |music, it| page(music.artists()?.search(it.query), it.limit, it.cursor).await;

    "What is told about an artist beyond the catalogue."
    artist_info(ArtistInfoArguments { id: ArtistId }) -> ArtistInfo, MusicCap::ArtistInfo.as_str(), Read,
        |music, it| music.artist_info(it.id).await;

    "Artists like an artist."
    similar_artists(SimilarArtistsArguments { id: ArtistId }) -> Vec<Artist>, MusicCap::SimilarArtists.as_str(), Read,
        |music, it| music.similar_artists(it.id).await;

    "The tags of a track."
    track_tags(TrackTagsArguments { id: TrackId }) -> Vec<Tag>, MusicCap::TrackTags.as_str(), Read,
        |music, it| music.tags()?.of_track(it.id).await;

    "The tags of an artist."
    artist_tags(ArtistTagsArguments { id: ArtistId }) -> Vec<Tag>, MusicCap::ArtistTags.as_str(), Read,
        |music, it| music.tags()?.of_artist(it.id).await;

    "What is heard most under a tag."
    tag_tracks(TagTracksArguments { tag: String, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Track>, MusicCap::TagTracks.as_str(), Read,
        |music, it| page(music.tags()?.tracks(it.tag), it.limit, it.cursor).await;

    "The user's playlists."
    playlists(PlaylistsArguments { limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Playlist>, MusicCap::Playlists.as_str(), Read,
        |music, it| page(music.playlists()?.list(), it.limit, it.cursor).await;

    "A playlist without what is in it."
    playlist(PlaylistArguments { id: PlaylistId }) -> Playlist, MusicCap::Playlists.as_str(), Read,
        |music, it| music.playlists()?.get(it.id).await;

    "What is in a playlist."
    playlist_entries(EntriesArguments { id: PlaylistId, market: Option<Market>, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<PlaylistEntry>, MusicCap::Playlists.as_str(), Read,
        |music, it| page(music.playlists()?.entries(it.id, it.market), it.limit, it.cursor).await;

    "Makes a playlist."
    create_playlist(CreateArguments { playlist: NewPlaylist }) -> Playlist, MusicCap::PlaylistCreate.as_str(), Once,
        |music, it| music.playlists()?.create(&it.playlist).await;

    "Changes name, description or visibility of a playlist."
    edit_playlist(EditArguments { id: PlaylistId, edit: PlaylistEdit }) -> (), MusicCap::PlaylistEdit.as_str(), Idempotent,
        |music, it| music.playlists()?.edit(it.id, &it.edit).await;

    "Takes a playlist out of the user's list."
    delete_playlist(DeleteArguments { id: PlaylistId }) -> (), MusicCap::PlaylistDelete.as_str(), Idempotent,
        |music, it| music.playlists()?.delete(it.id).await;

    "Puts tracks at the end of a playlist."
    add_to_playlist(AddArguments { id: PlaylistId, tracks: Vec<TrackId> })
        -> Option<Snapshot>, MusicCap::PlaylistAdd.as_str(), Once,
        |music, it| music.playlists()?.add(it.id, &it.tracks).await;

    "Puts tracks before the entry at a position of a playlist."
    insert_into_playlist(InsertArguments { id: PlaylistId, tracks: Vec<TrackId>, at: u32 })
        -> Option<Snapshot>, MusicCap::PlaylistInsert.as_str(), Once,
        |music, it| music.playlists()?.insert(it.id, &it.tracks, it.at).await;

    "Takes every occurrence of tracks out of a playlist."
    remove_from_playlist(RemoveArguments { id: PlaylistId, tracks: Vec<TrackId>, snapshot: Option<Snapshot> })
        -> Option<Snapshot>, MusicCap::PlaylistRemove.as_str(), Idempotent,
        |music, it| music.playlists()?.remove(it.id, &it.tracks, it.snapshot.as_ref()).await;

    "Moves a range of a playlist before the entry at a position."
    reorder_playlist(ReorderArguments { id: PlaylistId, from: u32, length: u32, before: u32, snapshot: Option<Snapshot> })
        -> Option<Snapshot>, MusicCap::PlaylistReorder.as_str(), Once,
        |music, it| music.playlists()?.reorder(it.id, it.from, it.length, it.before, it.snapshot.as_ref()).await;

    "Replaces everything in a playlist."
    replace_playlist(ReplaceArguments { id: PlaylistId, tracks: Vec<TrackId> })
        -> Option<Snapshot>, MusicCap::PlaylistReplace.as_str(), Idempotent,
        |music, it| music.playlists()?.replace(it.id, &it.tracks).await;

    "The tracks that the user saved, liked or loved."
    library(LibraryArguments { limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<PlaylistEntry>, MusicCap::Library.as_str(), Read,
        |music, it| page(music.library()?.tracks(), it.limit, it.cursor).await;

    "Puts tracks into the library."
    save_tracks(SaveArguments { tracks: Vec<TrackId> })
        -> Vec<Outcome<()>>, MusicCap::LibraryWrite.as_str(), Idempotent,
        |music, it| music.library()?.save(&it.tracks).await.map(outcomes);

    "Takes tracks out of the library."
    remove_saved_tracks(RemoveSavedArguments { tracks: Vec<TrackId> })
        -> Vec<Outcome<()>>, MusicCap::LibraryWrite.as_str(), Idempotent,
        |music, it| music.library()?.remove(&it.tracks).await.map(outcomes);

    "Whether tracks are in the library."
    has_saved_tracks(HasSavedArguments { tracks: Vec<TrackId> }) -> Vec<bool>, MusicCap::LibraryCheck.as_str(), Read,
        |music, it| music.library()?.has(&it.tracks).await;

    "The albums that the user saved."
    library_albums(LibraryAlbumsArguments { limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Album>, MusicCap::LibraryAlbums.as_str(), Read,
        |music, it| page(music.library()?.albums(), it.limit, it.cursor).await;

    "What the user heard last."
    recently_played(RecentArguments { limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Played>, MusicCap::RecentlyPlayed.as_str(), Read,
        |music, it| page(music.history()?.recently_played(), it.limit, it.cursor).await;

    "The tracks that the user hears most."
    top_tracks(TopTracksArguments { period: Period, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Track>, MusicCap::TopTracks.as_str(), Read,
        |music, it| page(music.history()?.top_tracks(it.period), it.limit, it.cursor).await;

    "The artists that the user hears most."
    top_artists(TopArtistsArguments { period: Period, limit: Option<u32>, cursor: Option<Cursor> })
        -> PageOf<Artist>, MusicCap::TopArtists.as_str(), Read,
        |music, it| page(music.history()?.top_artists(it.period), it.limit, it.cursor).await;

    "Tracks like others."
    recommend(RecommendArguments { seeds: Seeds, limit: Option<u32>, market: Option<Market> })
        -> Vec<Track>, MusicCap::Recommendations.as_str(), Read,
        |music, it| music.recommend(&it.seeds, it.limit.unwrap_or(20), it.market).await;

    "Writes what was heard into the user's history."
    scrobble(ScrobbleArguments { plays: Vec<Play> }) -> Vec<Outcome<Scrobbled>>, MusicCap::Scrobble.as_str(), Once,
        |music, it| music.scrobbling()?.scrobble(&it.plays).await.map(outcomes);

    "Shows what is being heard."
    now_playing(NowPlayingArguments { artist: String, title: String, album: Option<String>, started: Timestamp })
        -> (), MusicCap::NowPlaying.as_str(), Once,
        |music, it| {
            let mut play = Play::new(it.artist, it.title, it.started);
            play.album = it.album;
            music.scrobbling()?.now_playing(&play).await
        };

    "What is playing where."
    playback_state(StateArguments {}) -> Option<PlaybackState>, MusicCap::PlaybackState.as_str(), Read,
        |music, StateArguments {}| music.playback()?.state().await;

    "Everything that could play."
    playback_devices(DevicesArguments {}) -> Vec<Device>, MusicCap::PlaybackState.as_str(), Read,
        |music, DevicesArguments {}| music.playback()?.devices().await;

    "What is played next."
    playback_queue(QueueArguments {}) -> Enqueued, MusicCap::PlaybackState.as_str(), Read,
        |music, QueueArguments {}| music.playback()?.queue().await;

    "Plays."
    play(PlayArguments { what: Option<PlayRequest>, device: Option<DeviceId> })
        -> (), MusicCap::PlaybackControl.as_str(), Idempotent,
        |music, it| music.playback()?.play(&it.what.unwrap_or_default(), it.device.as_ref()).await;

    "Pauses."
    pause(PauseArguments { device: Option<DeviceId> }) -> (), MusicCap::PlaybackControl.as_str(), Idempotent,
        |music, it| music.playback()?.pause(it.device.as_ref()).await;

    "Goes to the next track."
    skip_next(NextArguments { device: Option<DeviceId> }) -> (), MusicCap::PlaybackControl.as_str(), Once,
        |music, it| music.playback()?.next(it.device.as_ref()).await;

    "Goes to the track before."
    skip_previous(PreviousArguments { device: Option<DeviceId> }) -> (), MusicCap::PlaybackControl.as_str(), Once,
        |music, it| music.playback()?.previous(it.device.as_ref()).await;

    "Goes to a position in the track, in milliseconds."
    seek(SeekArguments { position_ms: u64, device: Option<DeviceId> })
        -> (), MusicCap::PlaybackControl.as_str(), Idempotent,
        |music, it| music.playback()?.seek(it.position_ms, it.device.as_ref()).await;

    "Sets the volume, 0 to 100."
    set_volume(VolumeArguments { percent: u8, device: Option<DeviceId> })
        -> (), MusicCap::PlaybackControl.as_str(), Idempotent,
        |music, it| music.playback()?.set_volume(it.percent, it.device.as_ref()).await;

    "Sets whether the order is random."
    set_shuffle(ShuffleArguments { on: bool, device: Option<DeviceId> })
        -> (), MusicCap::PlaybackControl.as_str(), Idempotent,
        |music, it| music.playback()?.set_shuffle(it.on, it.device.as_ref()).await;

    "Sets what comes after the end."
    set_repeat(RepeatArguments { mode: RepeatMode, device: Option<DeviceId> })
        -> (), MusicCap::PlaybackControl.as_str(), Idempotent,
        |music, it| music.playback()?.set_repeat(&it.mode, it.device.as_ref()).await;

    "Puts a track behind the one that plays."
    enqueue(EnqueueArguments { track: TrackId, device: Option<DeviceId> })
        -> (), MusicCap::PlaybackControl.as_str(), Once,
        |music, it| music.playback()?.enqueue(it.track, it.device.as_ref()).await;

    "Moves playback to another device."
    transfer_playback(TransferArguments { device: DeviceId, play: bool })
        -> (), MusicCap::PlaybackControl.as_str(), Idempotent,
        |music, it| music.playback()?.transfer(&it.device, it.play).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_but_two_has_an_operation_and_names_are_unique() {
        let without: Vec<&str> = MusicCap::ALL
            .iter()
            .map(|cap| cap.as_str())
            .filter(|cap| OPERATIONS.iter().all(|op| op.cap != *cap))
            .collect();
        assert_eq!(
            without,
            ["playlist_snapshot", "playback_token"],
            "one is no call, one gives a credential"
        );
        let mut names: Vec<&str> = OPERATIONS.iter().map(|op| op.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPERATIONS.len());
    }

    #[cfg(feature = "schema")]
    #[test]
    fn every_operation_has_schemas_that_are_objects() {
        for op in OPERATIONS {
            assert_eq!((op.arguments)()["type"], "object", "{}", op.name);
            assert!((op.result)().is_object(), "{}", op.name);
        }
        let search = OPERATIONS.iter().find(|op| op.name == "search").map(|op| (op.arguments)()).unwrap();
        assert_eq!(search["required"], serde_json::json!(["query"]));
        assert!(search["properties"]["cursor"].is_object(), "{search}");
    }
}
