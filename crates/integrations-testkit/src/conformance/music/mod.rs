//! What every music service goes through.
//!
//! Each case needs as little as it can, so that a service that lacks one thing is still tested on the others: playlists are
//! changed where the user has one already, not only where a new one can be made.

mod catalogue;
mod playlists;
mod user;

use integrations_core::music::{
    Isrc, Music, MusicCap, NewPlaylist, Period, Play, PlayRequest, PlaylistEdit, Query, Seeds, TrackId,
};
use integrations_core::{Error, Result};
use integrations_sandbox::Known;
use jiff::Timestamp;

use super::{Boxed, Case, Suite, Twin};

/// The names of all capabilities of music.
const CAPS: [&str; MusicCap::ALL.len()] = cap_names!(MusicCap);

static CASES: &[Case<Music>] = cases! { MusicCap:
    track [Track] catalogue::track;
    track_missing [Track] catalogue::track_missing;
    search_finds [Search] catalogue::search_finds;
    search_words [Search] catalogue::search_words;
    search_nothing [Search] catalogue::search_nothing;
    search_empty [Search] catalogue::search_empty;
    search_to_the_end [Search] catalogue::search_to_the_end;
    search_foreign_cursor [Search] catalogue::search_foreign_cursor;
    isrc [Isrc] catalogue::isrc;
    isrc_of_nothing [Isrc] catalogue::isrc_of_nothing;
    album [Album] catalogue::album;
    album_tracks [AlbumTracks] catalogue::album_tracks;
    album_search [AlbumSearch] catalogue::album_search;
    artist [Artist] catalogue::artist;
    artist_albums [ArtistAlbums] catalogue::artist_albums;
    artist_top_tracks [ArtistTopTracks] catalogue::artist_top_tracks;
    artist_search [ArtistSearch] catalogue::artist_search;
    artist_info [ArtistInfo] catalogue::artist_info;
    similar_artists [SimilarArtists] catalogue::similar_artists;
    track_tags [TrackTags] catalogue::track_tags;
    artist_tags [ArtistTags] catalogue::artist_tags;
    tag_tracks [TagTracks] catalogue::tag_tracks;
    recommendations [Recommendations] catalogue::recommendations;
    recommendation_seeds [Recommendations] catalogue::recommendation_seeds;

    playlists [Playlists] playlists::list;
    playlist_entries [Playlists] playlists::entries;
    playlist_create [Playlists, PlaylistCreate] playlists::create;
    playlist_create_nameless [Playlists, PlaylistCreate] playlists::create_nameless;
    playlist_edit [Playlists, PlaylistEdit] playlists::edit;
    playlist_delete [Playlists, PlaylistDelete] playlists::delete;
    playlist_add [Playlists, PlaylistAdd] playlists::add;
    playlist_add_bounds [Playlists, PlaylistAdd] playlists::add_bounds;
    playlist_insert [Playlists, PlaylistInsert] playlists::insert;
    playlist_remove [Playlists, PlaylistRemove] playlists::remove;
    playlist_remove_all [Playlists, PlaylistAdd, PlaylistRemove] playlists::remove_all;
    playlist_reorder [Playlists, PlaylistReorder] playlists::reorder;
    playlist_reorder_range [Playlists, PlaylistReorder] playlists::reorder_range;
    playlist_replace [Playlists, PlaylistReplace] playlists::replace;
    playlist_clear [Playlists, PlaylistReplace] playlists::clear;
    playlist_snapshot [Playlists, PlaylistAdd, PlaylistSnapshot] playlists::snapshot;
    playlist_snapshot_stale [Playlists, PlaylistReorder, PlaylistSnapshot] playlists::snapshot_stale;
    playlist_life [Playlists, PlaylistCreate, PlaylistAdd, PlaylistDelete] playlists::life;

    library [Library] user::library;
    library_write [Library, LibraryWrite] user::library_write;
    library_write_check [LibraryWrite, LibraryCheck] user::library_write_check;
    library_check [LibraryCheck] user::library_check;
    library_albums [LibraryAlbums] user::library_albums;
    recently_played [RecentlyPlayed] user::recently_played;
    top_tracks [TopTracks] user::top_tracks;
    top_artists [TopArtists] user::top_artists;
    scrobble [Scrobble] user::scrobble;
    scrobble_many [Scrobble] user::scrobble_many;
    now_playing [NowPlaying] user::now_playing;
    playback_state [PlaybackState] user::playback_state;
    playback_pause [PlaybackState, PlaybackControl] user::playback_pause;
    playback_settings [PlaybackState, PlaybackControl] user::playback_settings;
    playback_skip [PlaybackState, PlaybackControl] user::playback_skip;
    playback_transfer [PlaybackState, PlaybackControl] user::playback_transfer;
    playback_too_loud [PlaybackControl] user::playback_too_loud;
    playback_token [PlaybackToken] user::playback_token;
};

static TWINS: &[Twin<Music>] = twins! { MusicCap:
    Track |music| music.track("0");
    Search |music| music.search("word").page();
    Isrc |music| async { music.tracks_by_isrc(&code()?, None).await };
    Album |music| async { music.albums()?.get("0", None).await };
    AlbumTracks |music| async { music.albums()?.tracks("0", None).page().await };
    AlbumSearch |music| async { music.albums()?.search("word").page().await };
    Artist |music| async { music.artists()?.get("0").await };
    ArtistAlbums |music| async { music.artists()?.albums("0", None).page().await };
    ArtistTopTracks |music| async { music.artists()?.top_tracks("0", None).await };
    ArtistSearch |music| async { music.artists()?.search("word").page().await };
    ArtistInfo |music| music.artist_info("0");
    SimilarArtists |music| music.similar_artists("0");
    TrackTags |music| async { music.tags()?.of_track("0").await };
    ArtistTags |music| async { music.tags()?.of_artist("0").await };
    TagTracks |music| async { music.tags()?.tracks("tag").page().await };
    Playlists |music| async { music.playlists()?.list().page().await };
    PlaylistCreate |music| async { music.playlists()?.create(&NewPlaylist::new("name")).await };
    PlaylistEdit |music| async { music.playlists()?.edit("0", &PlaylistEdit::default()).await };
    PlaylistDelete |music| async { music.playlists()?.delete("0").await };
    PlaylistAdd |music| async { music.playlists()?.add("0", &ids()).await };
    PlaylistInsert |music| async { music.playlists()?.insert("0", &ids(), 0).await };
    PlaylistRemove |music| async { music.playlists()?.remove("0", &ids(), None).await };
    PlaylistReorder |music| async { music.playlists()?.reorder("0", 0, 1, 2, None).await };
    PlaylistReplace |music| async { music.playlists()?.replace("0", &ids()).await };
    PlaylistSnapshot |music| async { versions(music) };
    Library |music| async { music.library()?.tracks().page().await };
    LibraryWrite |music| async { music.library()?.save(&ids()).await };
    LibraryCheck |music| async { music.library()?.has(&ids()).await };
    LibraryAlbums |music| async { music.library()?.albums().page().await };
    RecentlyPlayed |music| async { music.history()?.recently_played().page().await };
    TopTracks |music| async { music.history()?.top_tracks(Period::Month).page().await };
    TopArtists |music| async { music.history()?.top_artists(Period::Month).page().await };
    Recommendations |music| async {
        let seeds = Seeds { tracks: ids(), ..Seeds::default() };
        music.recommend(&seeds, 1, None).await
    };
    Scrobble |music| async { music.scrobbling()?.scrobble(&[play()]).await };
    NowPlaying |music| async { music.scrobbling()?.now_playing(&play()).await };
    PlaybackState |music| async { music.playback()?.state().await };
    PlaybackControl |music| async { music.playback()?.play(&PlayRequest::Resume, None).await };
    PlaybackToken |music| music.playback_token();
};

/// What every music service goes through.
pub fn suite() -> Suite<Music> {
    Suite {
        caps: &CAPS,
        caps_of: Music::caps,
        cases: CASES,
        twins: TWINS,
        caller_of: Music::caller,
        counts_token_calls: false,
        alive,
    }
}

/// The simplest read that the service has.
fn alive<'c>(music: &'c Music, known: &'c Known) -> Boxed<'c, Result<()>> {
    Box::pin(async move {
        let caps = music.caps();
        let has = |cap: MusicCap| caps.has(cap.as_str());
        if let Some(track) = known.get("track").filter(|_| has(MusicCap::Track)) {
            return music.track(track).await.map(drop);
        }
        if has(MusicCap::Search) {
            return music.search(nothing()).page().await.map(drop);
        }
        if has(MusicCap::Library) {
            return music.library()?.tracks().page().await.map(drop);
        }
        if has(MusicCap::RecentlyPlayed) {
            return music.history()?.recently_played().page().await.map(drop);
        }
        Ok(())
    })
}

/// No call needs this one by itself: it says that the others may name a version.
fn versions(music: &Music) -> Result<()> {
    Err(music
        .clone()
        .require(&[MusicCap::PlaylistSnapshot])
        .err()
        .unwrap_or_else(|| Error::config("the capability is there after all")))
}

fn ids() -> Vec<TrackId> {
    vec![TrackId::from("0")]
}

fn code() -> Result<Isrc> {
    "QZZZZ9999999".parse()
}

fn play() -> Play {
    Play::new("artist", "title", Timestamp::UNIX_EPOCH)
}

/// Words that all `words` find in no catalogue of the peers.
fn nothing() -> Query {
    Query::from("zzyzx qwertzuiop")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_a_case_and_a_twin() {
        assert_eq!(suite().gaps(), [""; 0]);
    }

    #[test]
    fn a_suite_with_gaps_says_so() {
        let some = Suite { cases: &CASES[1..2], twins: &TWINS[1..], ..suite() };
        let gaps = some.gaps();
        assert!(gaps.contains(&"no case needs `search`".to_owned()), "{gaps:?}");
        assert!(gaps.contains(&"`track` has no twin".to_owned()), "{gaps:?}");
    }
}
