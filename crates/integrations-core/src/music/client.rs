//! What an application holds: music, whichever service has it.

use std::fmt;
use std::sync::Arc;

use super::cap::MusicCap;
use super::driver::{
    AlbumDriver, ArtistDriver, HistoryDriver, LibraryDriver, MusicDriver, PlaybackDriver, PlaylistDriver,
    ScrobbleDriver, TagDriver,
};
use super::id::{AlbumId, ArtistId, DeviceId, Isrc, Market, PlaylistId, Snapshot, TrackId};
use super::play::{
    Device, Enqueued, Play, PlayRequest, PlaybackState, PlaybackToken, Played, RepeatMode, Scrobbled,
};
use super::types::{
    Album, Artist, ArtistInfo, NewPlaylist, Period, Playlist, PlaylistEdit, PlaylistEntry, Query, Seeds, Tag,
    Track,
};
use crate::caller::Caller;
use crate::driver::Caps;
use crate::error::{Error, Result};
use crate::page::Listing;
use crate::provider::ProviderSpec;

/// Music, whichever service has it. Cheap to clone.
///
/// What a service does not have is [`ErrorKind::Unsupported`](crate::ErrorKind), before anything is sent: ask with
/// [`require`](Music::require) at start-up for what an application cannot do without.
#[derive(Clone)]
pub struct Music {
    driver: Arc<dyn MusicDriver>,
}

impl fmt::Debug for Music {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Music").field("provider", &self.spec().id).finish_non_exhaustive()
    }
}

impl Music {
    /// The music of a service: a provider's client, or a driver of your own.
    pub fn new(driver: impl MusicDriver) -> Self {
        Self { driver: Arc::new(driver) }
    }

    /// The provider's facts.
    pub fn spec(&self) -> &'static ProviderSpec {
        self.driver.spec()
    }

    /// What this instance can do.
    pub fn caps(&self) -> Caps {
        self.driver.caps()
    }

    /// Whether this instance can do something.
    pub fn can(&self, cap: MusicCap) -> bool {
        self.caps().has(cap.as_str())
    }

    /// The same music, if this instance can do all of `needs`; [`ErrorKind::Unsupported`](crate::ErrorKind) that
    /// names what it cannot.
    pub fn require(self, needs: &[MusicCap]) -> Result<Self> {
        self.caps().require(needs.iter().map(|need| need.as_str()))?;
        Ok(self)
    }

    /// The provider's own client, for what the category does not have; `None` if another provider has the music.
    pub fn raw<T: 'static>(&self) -> Option<&T> {
        self.driver.raw().downcast_ref()
    }

    /// What carries the provider's calls, for operations that are chosen at run time.
    pub fn caller(&self) -> Option<&Caller> {
        self.driver.caller()
    }

    /// A track; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    pub async fn track(&self, id: impl Into<TrackId>) -> Result<Track> {
        self.track_in(id, None).await
    }

    /// A track as a market has it.
    pub async fn track_in(&self, id: impl Into<TrackId>, market: Option<Market>) -> Result<Track> {
        self.need(MusicCap::Track)?;
        self.driver.track(&id.into(), market).await
    }

    /// The tracks that a query finds, in the service's order.
    pub fn search(&self, query: impl Into<Query>) -> Listing<'_, Track> {
        let query = Arc::new(query.into());
        Listing::new(move |page| {
            let query = query.clone();
            async move {
                self.need(MusicCap::Search)?;
                query.check()?;
                self.driver.search(&query, page).await
            }
        })
    }

    /// Every track with a code; several are normal, none is an empty list.
    pub async fn tracks_by_isrc(&self, isrc: &Isrc, market: Option<Market>) -> Result<Vec<Track>> {
        self.facet(MusicCap::Isrc, self.driver.isrc())?.tracks_by_isrc(isrc, market).await
    }

    /// Albums. Which of its calls this instance has, its capabilities say.
    pub fn albums(&self) -> Result<Albums<'_>> {
        let caps = [MusicCap::Album, MusicCap::AlbumTracks, MusicCap::AlbumSearch];
        self.any(&caps, self.driver.albums()).map(|driver| Albums { music: self, driver })
    }

    /// Artists. Which of its calls this instance has, its capabilities say.
    pub fn artists(&self) -> Result<Artists<'_>> {
        let caps =
            [MusicCap::Artist, MusicCap::ArtistAlbums, MusicCap::ArtistTopTracks, MusicCap::ArtistSearch];
        self.any(&caps, self.driver.artists()).map(|driver| Artists { music: self, driver })
    }

    /// What is told about an artist beyond the catalogue.
    pub async fn artist_info(&self, id: impl Into<ArtistId>) -> Result<ArtistInfo> {
        self.facet(MusicCap::ArtistInfo, self.driver.artist_info())?.artist_info(&id.into()).await
    }

    /// Artists like an artist, the most alike first.
    pub async fn similar_artists(&self, id: impl Into<ArtistId>) -> Result<Vec<Artist>> {
        self.facet(MusicCap::SimilarArtists, self.driver.artist_info())?.similar_artists(&id.into()).await
    }

    /// Tags. Which of its calls this instance has, its capabilities say.
    pub fn tags(&self) -> Result<Tags<'_>> {
        let caps = [MusicCap::TrackTags, MusicCap::ArtistTags, MusicCap::TagTracks];
        self.any(&caps, self.driver.tags()).map(|driver| Tags { music: self, driver })
    }

    /// Playlists.
    pub fn playlists(&self) -> Result<Playlists<'_>> {
        let driver = self.facet(MusicCap::Playlists, self.driver.playlists())?;
        Ok(Playlists { music: self, driver })
    }

    /// What the user saved, liked or loved. Which of its calls this instance has, its capabilities say.
    pub fn library(&self) -> Result<Library<'_>> {
        let caps =
            [MusicCap::Library, MusicCap::LibraryWrite, MusicCap::LibraryCheck, MusicCap::LibraryAlbums];
        self.any(&caps, self.driver.library()).map(|driver| Library { music: self, driver })
    }

    /// What the user heard. Which of its calls this instance has, its capabilities say.
    pub fn history(&self) -> Result<History<'_>> {
        let caps = [MusicCap::RecentlyPlayed, MusicCap::TopTracks, MusicCap::TopArtists];
        self.any(&caps, self.driver.history()).map(|driver| History { music: self, driver })
    }

    /// At most `limit` tracks like others; 1 to 100.
    pub async fn recommend(&self, seeds: &Seeds, limit: u32, market: Option<Market>) -> Result<Vec<Track>> {
        let driver = self.facet(MusicCap::Recommendations, self.driver.recommendations())?;
        let count = seeds.tracks.len() + seeds.artists.len() + seeds.genres.len();
        if !(1..=5).contains(&count) {
            return Err(Error::invalid_request(format!("{count} seeds were given"))
                .with_hint("give one to five tracks, artists and genres in all"));
        }
        driver.recommend(seeds, limit.clamp(1, 100), market).await
    }

    /// Writing what was heard. Which of its calls this instance has, its capabilities say.
    pub fn scrobbling(&self) -> Result<Scrobbling<'_>> {
        let caps = [MusicCap::Scrobble, MusicCap::NowPlaying];
        self.any(&caps, self.driver.scrobbling()).map(|driver| Scrobbling { music: self, driver })
    }

    /// Playback. Which of its calls this instance has, its capabilities say.
    pub fn playback(&self) -> Result<Playback<'_>> {
        let caps = [MusicCap::PlaybackState, MusicCap::PlaybackControl];
        self.any(&caps, self.driver.playback()).map(|driver| Playback { music: self, driver })
    }

    /// A token for a player that runs elsewhere, above all in a browser.
    pub async fn playback_token(&self) -> Result<PlaybackToken> {
        self.facet(MusicCap::PlaybackToken, self.driver.playback_tokens())?.playback_token().await
    }

    fn need(&self, cap: MusicCap) -> Result<()> {
        self.caps().require([cap.as_str()])
    }

    fn facet<F>(&self, cap: MusicCap, facet: Option<F>) -> Result<F> {
        self.caps().facet(cap.as_str(), facet)
    }

    /// A facet that serves any of `caps`.
    fn any<F>(&self, caps: &[MusicCap], facet: Option<F>) -> Result<F> {
        let owned = caps.iter().find(|cap| self.can(**cap)).unwrap_or(&caps[0]);
        self.facet(*owned, facet)
    }
}

/// The handle of one facet: the driver, and the music that knows what this instance can do.
macro_rules! handle {
    ($(#[$meta:meta])* $name:ident of $driver:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name<'m> {
            music: &'m Music,
            driver: &'m dyn $driver,
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("music", self.music).finish_non_exhaustive()
            }
        }
    };
}

handle! {
    /// The albums of a catalogue.
    Albums of AlbumDriver
}
handle! {
    /// The artists of a catalogue.
    Artists of ArtistDriver
}
handle! {
    /// What tracks and artists are called by listeners and editors.
    Tags of TagDriver
}
handle! {
    /// The playlists of a user.
    Playlists of PlaylistDriver
}
handle! {
    /// What a user saved, liked or loved.
    Library of LibraryDriver
}
handle! {
    /// What a user heard.
    History of HistoryDriver
}
handle! {
    /// Writing what was heard.
    Scrobbling of ScrobbleDriver
}
handle! {
    /// Playback on the user's devices. A device that is not named is the one that plays now.
    Playback of PlaybackDriver
}

impl<'m> Albums<'m> {
    /// An album; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    pub async fn get(&self, id: impl Into<AlbumId>, market: Option<Market>) -> Result<Album> {
        self.music.need(MusicCap::Album)?;
        self.driver.album(&id.into(), market).await
    }

    /// Its tracks, in its order.
    pub fn tracks(self, id: impl Into<AlbumId>, market: Option<Market>) -> Listing<'m, Track> {
        let id = id.into();
        Listing::new(move |page| {
            let id = id.clone();
            async move {
                self.music.need(MusicCap::AlbumTracks)?;
                self.driver.album_tracks(&id, market, page).await
            }
        })
    }

    /// The albums that a query finds.
    pub fn search(self, query: impl Into<Query>) -> Listing<'m, Album> {
        let query = Arc::new(query.into());
        Listing::new(move |page| {
            let query = query.clone();
            async move {
                self.music.need(MusicCap::AlbumSearch)?;
                query.check()?;
                self.driver.search_albums(&query, page).await
            }
        })
    }
}

impl<'m> Artists<'m> {
    /// An artist; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    pub async fn get(&self, id: impl Into<ArtistId>) -> Result<Artist> {
        self.music.need(MusicCap::Artist)?;
        self.driver.artist(&id.into()).await
    }

    /// Its albums, in the service's order.
    pub fn albums(self, id: impl Into<ArtistId>, market: Option<Market>) -> Listing<'m, Album> {
        let id = id.into();
        Listing::new(move |page| {
            let id = id.clone();
            async move {
                self.music.need(MusicCap::ArtistAlbums)?;
                self.driver.artist_albums(&id, market, page).await
            }
        })
    }

    /// What is heard most of it, the most first.
    pub async fn top_tracks(&self, id: impl Into<ArtistId>, market: Option<Market>) -> Result<Vec<Track>> {
        self.music.need(MusicCap::ArtistTopTracks)?;
        self.driver.artist_top_tracks(&id.into(), market).await
    }

    /// The artists that a query finds.
    pub fn search(self, query: impl Into<Query>) -> Listing<'m, Artist> {
        let query = Arc::new(query.into());
        Listing::new(move |page| {
            let query = query.clone();
            async move {
                self.music.need(MusicCap::ArtistSearch)?;
                query.check()?;
                self.driver.search_artists(&query, page).await
            }
        })
    }
}

impl<'m> Tags<'m> {
    /// The tags of a track, the strongest first.
    pub async fn of_track(&self, id: impl Into<TrackId>) -> Result<Vec<Tag>> {
        self.music.need(MusicCap::TrackTags)?;
        self.driver.track_tags(&id.into()).await
    }

    /// The tags of an artist, the strongest first.
    pub async fn of_artist(&self, id: impl Into<ArtistId>) -> Result<Vec<Tag>> {
        self.music.need(MusicCap::ArtistTags)?;
        self.driver.artist_tags(&id.into()).await
    }

    /// What is heard most under a tag.
    pub fn tracks(self, tag: impl Into<String>) -> Listing<'m, Track> {
        let tag = tag.into();
        Listing::new(move |page| {
            let tag = tag.clone();
            async move {
                self.music.need(MusicCap::TagTracks)?;
                self.driver.tag_tracks(&tag, page).await
            }
        })
    }
}

impl<'m> Playlists<'m> {
    /// The user's playlists.
    pub fn list(self) -> Listing<'m, Playlist> {
        Listing::new(move |page| self.driver.playlists(page))
    }

    /// A playlist without what is in it; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    pub async fn get(&self, id: impl Into<PlaylistId>) -> Result<Playlist> {
        self.driver.playlist(&id.into()).await
    }

    /// What is in it, in its order.
    pub fn entries(self, id: impl Into<PlaylistId>, market: Option<Market>) -> Listing<'m, PlaylistEntry> {
        let id = id.into();
        Listing::new(move |page| {
            let id = id.clone();
            async move { self.driver.entries(&id, market, page).await }
        })
    }

    /// A new playlist of the user's. An unknown outcome is not tried again: look for the name first.
    pub async fn create(&self, new: &NewPlaylist) -> Result<Playlist> {
        self.music.need(MusicCap::PlaylistCreate)?;
        if new.name.trim().is_empty() {
            return Err(Error::invalid_request("a playlist needs a name"));
        }
        self.driver.create(new).await
    }

    /// Changes name, description or visibility.
    pub async fn edit(&self, id: impl Into<PlaylistId>, edit: &PlaylistEdit) -> Result<()> {
        self.music.need(MusicCap::PlaylistEdit)?;
        self.driver.edit(&id.into(), edit).await
    }

    /// Takes it out of the user's list. Some services keep it for others.
    pub async fn delete(&self, id: impl Into<PlaylistId>) -> Result<()> {
        self.music.need(MusicCap::PlaylistDelete)?;
        self.driver.delete(&id.into()).await
    }

    /// Puts tracks at the end. An unknown outcome is not tried again: compare the playlist first.
    pub async fn add(&self, id: impl Into<PlaylistId>, tracks: &[TrackId]) -> Result<Option<Snapshot>> {
        self.music.need(MusicCap::PlaylistAdd)?;
        self.fits(tracks)?;
        self.driver.add(&id.into(), tracks, None).await
    }

    /// Puts tracks before the entry that stands at `at`, counted from 0.
    pub async fn insert(
        &self,
        id: impl Into<PlaylistId>,
        tracks: &[TrackId],
        at: u32,
    ) -> Result<Option<Snapshot>> {
        self.music.need(MusicCap::PlaylistInsert)?;
        self.fits(tracks)?;
        self.driver.add(&id.into(), tracks, Some(at)).await
    }

    /// Takes every occurrence of tracks out. With `seen`, the service judges the write against that version, where it
    /// has versions.
    pub async fn remove(
        &self,
        id: impl Into<PlaylistId>,
        tracks: &[TrackId],
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        self.music.need(MusicCap::PlaylistRemove)?;
        self.fits(tracks)?;
        self.driver.remove(&id.into(), tracks, seen).await
    }

    /// Moves `length` entries that begin at `from` so that they stand before the entry that was at `before`. All are
    /// counted from 0 in the order before the move; `before` may be one past the end.
    pub async fn reorder(
        &self,
        id: impl Into<PlaylistId>,
        from: u32,
        length: u32,
        before: u32,
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        self.music.need(MusicCap::PlaylistReorder)?;
        if length == 0 {
            return Err(Error::invalid_request("a move of no entries"));
        }
        self.driver.reorder(&id.into(), from, length, before, seen).await
    }

    /// Replaces everything by these tracks; none empties the playlist.
    pub async fn replace(&self, id: impl Into<PlaylistId>, tracks: &[TrackId]) -> Result<Option<Snapshot>> {
        self.music.need(MusicCap::PlaylistReplace)?;
        if tracks.len() > self.most_per_write() {
            return Err(self.too_many(tracks.len()));
        }
        self.driver.replace(&id.into(), tracks).await
    }

    /// How many tracks one write takes.
    pub fn most_per_write(&self) -> usize {
        self.driver.most_per_write()
    }

    fn fits(&self, tracks: &[TrackId]) -> Result<()> {
        match tracks.len() {
            0 => Err(Error::invalid_request("no tracks were given")),
            count if count > self.most_per_write() => Err(self.too_many(count)),
            _ => Ok(()),
        }
    }

    fn too_many(&self, count: usize) -> Error {
        let most = self.most_per_write();
        Error::invalid_request(format!("{count} tracks were given, and one write takes {most}"))
            .with_hint("write them in several calls, so that each has an outcome of its own")
    }
}

impl<'m> Library<'m> {
    /// The tracks, the newest first, with when they were put there.
    pub fn tracks(self) -> Listing<'m, PlaylistEntry> {
        Listing::new(move |page| async move {
            self.music.need(MusicCap::Library)?;
            self.driver.saved_tracks(page).await
        })
    }

    /// Puts tracks there. Each has its own outcome, in the given order.
    pub async fn save(&self, tracks: &[TrackId]) -> Result<Vec<Result<()>>> {
        self.music.need(MusicCap::LibraryWrite)?;
        Ok(self.driver.save_tracks(tracks).await)
    }

    /// Takes tracks away. Each has its own outcome, in the given order.
    pub async fn remove(&self, tracks: &[TrackId]) -> Result<Vec<Result<()>>> {
        self.music.need(MusicCap::LibraryWrite)?;
        Ok(self.driver.remove_tracks(tracks).await)
    }

    /// Whether each is there, in the given order.
    pub async fn has(&self, tracks: &[TrackId]) -> Result<Vec<bool>> {
        self.music.need(MusicCap::LibraryCheck)?;
        self.driver.has_tracks(tracks).await
    }

    /// The albums.
    pub fn albums(self) -> Listing<'m, Album> {
        Listing::new(move |page| async move {
            self.music.need(MusicCap::LibraryAlbums)?;
            self.driver.saved_albums(page).await
        })
    }
}

impl<'m> History<'m> {
    /// What was heard, the latest first.
    pub fn recently_played(self) -> Listing<'m, Played> {
        Listing::new(move |page| async move {
            self.music.need(MusicCap::RecentlyPlayed)?;
            self.driver.recently_played(page).await
        })
    }

    /// The tracks heard most.
    pub fn top_tracks(self, period: Period) -> Listing<'m, Track> {
        Listing::new(move |page| {
            let period = period.clone();
            async move {
                self.music.need(MusicCap::TopTracks)?;
                self.driver.top_tracks(&period, page).await
            }
        })
    }

    /// The artists heard most.
    pub fn top_artists(self, period: Period) -> Listing<'m, Artist> {
        Listing::new(move |page| {
            let period = period.clone();
            async move {
                self.music.need(MusicCap::TopArtists)?;
                self.driver.top_artists(&period, page).await
            }
        })
    }
}

impl Scrobbling<'_> {
    /// Writes what was heard. Each has its own outcome, in the given order, however many calls it takes.
    pub async fn scrobble(&self, plays: &[Play]) -> Result<Vec<Result<Scrobbled>>> {
        self.music.need(MusicCap::Scrobble)?;
        Ok(self.driver.scrobble(plays).await)
    }

    /// Shows what is being heard. It lasts for as long as the track; a failure is not worth a second try.
    pub async fn now_playing(&self, play: &Play) -> Result<()> {
        self.music.need(MusicCap::NowPlaying)?;
        self.driver.now_playing(play).await
    }
}

impl Playback<'_> {
    /// What plays where; `None` when nothing does.
    pub async fn state(&self) -> Result<Option<PlaybackState>> {
        self.music.need(MusicCap::PlaybackState)?;
        self.driver.state().await
    }

    /// Everything that could play.
    pub async fn devices(&self) -> Result<Vec<Device>> {
        self.music.need(MusicCap::PlaybackState)?;
        self.driver.devices().await
    }

    /// What comes next.
    pub async fn queue(&self) -> Result<Enqueued> {
        self.music.need(MusicCap::PlaybackState)?;
        self.driver.queue().await
    }

    /// Plays.
    pub async fn play(&self, what: &PlayRequest, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.play(what, device).await
    }

    /// Pauses.
    pub async fn pause(&self, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.pause(device).await
    }

    /// Goes to the next track.
    pub async fn next(&self, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.next(device).await
    }

    /// Goes to the track before.
    pub async fn previous(&self, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.previous(device).await
    }

    /// Goes to a position in the track, in milliseconds.
    pub async fn seek(&self, position_ms: u64, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.seek(position_ms, device).await
    }

    /// Sets the volume, 0 to 100; more is [`ErrorKind::InvalidRequest`](crate::ErrorKind).
    pub async fn set_volume(&self, percent: u8, device: Option<&DeviceId>) -> Result<()> {
        let driver = self.control()?;
        if percent > 100 {
            return Err(Error::invalid_request(format!("a volume of {percent} percent"))
                .with_hint("the loudest is 100"));
        }
        driver.set_volume(percent, device).await
    }

    /// Sets whether the order is random.
    pub async fn set_shuffle(&self, on: bool, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.set_shuffle(on, device).await
    }

    /// Sets what comes after the end.
    pub async fn set_repeat(&self, mode: &RepeatMode, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.set_repeat(mode, device).await
    }

    /// Puts a track behind the one that plays.
    pub async fn enqueue(&self, track: impl Into<TrackId>, device: Option<&DeviceId>) -> Result<()> {
        self.control()?.enqueue(&track.into(), device).await
    }

    /// Moves playback to another device; `play` starts it there.
    pub async fn transfer(&self, device: &DeviceId, play: bool) -> Result<()> {
        self.control()?.transfer(device, play).await
    }

    fn control(&self) -> Result<&dyn PlaybackDriver> {
        self.music.need(MusicCap::PlaybackControl)?;
        Ok(self.driver)
    }
}

#[cfg(feature = "hub")]
mod category {
    use super::Music;
    use crate::registry::Category;

    impl Category for Music {
        const NAME: &'static str = "music";

        fn caps(&self) -> Option<Vec<&'static str>> {
            Self::caps(self).reduced()
        }
    }
}
