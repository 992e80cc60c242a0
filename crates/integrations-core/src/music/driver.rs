//! What a music service must do, and the parts that only some have.

use async_trait::async_trait;

use super::id::{AlbumId, ArtistId, DeviceId, Isrc, Market, PlaylistId, Snapshot, TrackId};
use super::play::{
    Device, Enqueued, Play, PlayRequest, PlaybackState, PlaybackToken, Played, RepeatMode, Scrobbled,
};
use super::types::{
    Album, Artist, ArtistInfo, NewPlaylist, Period, Playlist, PlaylistEdit, PlaylistEntry, Query, Seeds, Tag,
    Track,
};
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::page::{Page, PageReq};

/// What every music service does. A driver is called through [`Music`](super::Music), which has asked its
/// capabilities before. A page limit above the service's own counts as the service's own.
#[async_trait]
pub trait MusicDriver: Driver {
    /// A track; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    async fn track(&self, id: &TrackId, market: Option<Market>) -> Result<Track>;

    /// One page of the tracks that a query finds, in the service's order.
    async fn search(&self, query: &Query, page: PageReq) -> Result<Page<Track>>;

    /// Tracks by code.
    fn isrc(&self) -> Option<&dyn IsrcDriver> {
        None
    }

    /// Albums.
    fn albums(&self) -> Option<&dyn AlbumDriver> {
        None
    }

    /// Artists.
    fn artists(&self) -> Option<&dyn ArtistDriver> {
        None
    }

    /// What is told about artists.
    fn artist_info(&self) -> Option<&dyn ArtistInfoDriver> {
        None
    }

    /// Tags.
    fn tags(&self) -> Option<&dyn TagDriver> {
        None
    }

    /// Playlists.
    fn playlists(&self) -> Option<&dyn PlaylistDriver> {
        None
    }

    /// What the user saved, liked or loved.
    fn library(&self) -> Option<&dyn LibraryDriver> {
        None
    }

    /// What the user heard.
    fn history(&self) -> Option<&dyn HistoryDriver> {
        None
    }

    /// Tracks like others.
    fn recommendations(&self) -> Option<&dyn RecommendationDriver> {
        None
    }

    /// Writing what was heard.
    fn scrobbling(&self) -> Option<&dyn ScrobbleDriver> {
        None
    }

    /// Playback.
    fn playback(&self) -> Option<&dyn PlaybackDriver> {
        None
    }

    /// Tokens for players elsewhere.
    fn playback_tokens(&self) -> Option<&dyn PlaybackTokenDriver> {
        None
    }
}

/// Tracks by code.
#[async_trait]
pub trait IsrcDriver: Send + Sync {
    /// Every track with this code; several are normal, none is an empty list.
    async fn tracks_by_isrc(&self, isrc: &Isrc, market: Option<Market>) -> Result<Vec<Track>>;
}

/// Albums.
#[async_trait]
pub trait AlbumDriver: Send + Sync {
    /// An album; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    async fn album(&self, id: &AlbumId, market: Option<Market>) -> Result<Album>;

    /// One page of its tracks, in its order.
    async fn album_tracks(&self, id: &AlbumId, market: Option<Market>, page: PageReq) -> Result<Page<Track>>;

    /// One page of the albums that a query finds.
    async fn search_albums(&self, query: &Query, page: PageReq) -> Result<Page<Album>>;
}

/// Artists.
#[async_trait]
pub trait ArtistDriver: Send + Sync {
    /// An artist; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    async fn artist(&self, id: &ArtistId) -> Result<Artist>;

    /// One page of its albums, in the service's order.
    async fn artist_albums(
        &self,
        id: &ArtistId,
        market: Option<Market>,
        page: PageReq,
    ) -> Result<Page<Album>>;

    /// What is heard most of it, the most first.
    async fn artist_top_tracks(&self, id: &ArtistId, market: Option<Market>) -> Result<Vec<Track>>;

    /// One page of the artists that a query finds.
    async fn search_artists(&self, query: &Query, page: PageReq) -> Result<Page<Artist>>;
}

/// What is told about artists.
#[async_trait]
pub trait ArtistInfoDriver: Send + Sync {
    /// What is told about an artist.
    async fn artist_info(&self, id: &ArtistId) -> Result<ArtistInfo>;

    /// Artists like it, the most alike first.
    async fn similar_artists(&self, id: &ArtistId) -> Result<Vec<Artist>>;
}

/// Tags.
#[async_trait]
pub trait TagDriver: Send + Sync {
    /// The tags of a track, the strongest first.
    async fn track_tags(&self, id: &TrackId) -> Result<Vec<Tag>>;

    /// The tags of an artist, the strongest first.
    async fn artist_tags(&self, id: &ArtistId) -> Result<Vec<Tag>>;

    /// One page of what is heard most under a tag.
    async fn tag_tracks(&self, tag: &str, page: PageReq) -> Result<Page<Track>>;
}

/// Playlists. Where a service has versions, a write takes the one that it was made for and gives the one after it;
/// elsewhere both are `None`.
#[async_trait]
pub trait PlaylistDriver: Send + Sync {
    /// One page of the user's playlists.
    async fn playlists(&self, page: PageReq) -> Result<Page<Playlist>>;

    /// A playlist without what is in it; [`ErrorKind::NotFound`](crate::ErrorKind) when there is none.
    async fn playlist(&self, id: &PlaylistId) -> Result<Playlist>;

    /// One page of what is in it, in its order.
    async fn entries(
        &self,
        id: &PlaylistId,
        market: Option<Market>,
        page: PageReq,
    ) -> Result<Page<PlaylistEntry>>;

    /// A new playlist of the user's.
    async fn create(&self, new: &NewPlaylist) -> Result<Playlist>;

    /// Changes name, description or visibility.
    async fn edit(&self, id: &PlaylistId, edit: &PlaylistEdit) -> Result<()>;

    /// Takes it out of the user's list. Some services keep it for others.
    async fn delete(&self, id: &PlaylistId) -> Result<()>;

    /// Puts tracks at the end, or before the entry that stands at `at` (0 for the first). Not more than
    /// [`most_per_write`](PlaylistDriver::most_per_write).
    async fn add(&self, id: &PlaylistId, tracks: &[TrackId], at: Option<u32>) -> Result<Option<Snapshot>>;

    /// Takes every occurrence of tracks out. Not more than [`most_per_write`](PlaylistDriver::most_per_write).
    async fn remove(
        &self,
        id: &PlaylistId,
        tracks: &[TrackId],
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>>;

    /// Moves `length` entries that begin at `from` so that they stand before the entry that was at `before`. All
    /// are counted from 0 in the order before the move; `before` may be one past the end.
    async fn reorder(
        &self,
        id: &PlaylistId,
        from: u32,
        length: u32,
        before: u32,
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>>;

    /// Replaces everything. Not more than [`most_per_write`](PlaylistDriver::most_per_write).
    async fn replace(&self, id: &PlaylistId, tracks: &[TrackId]) -> Result<Option<Snapshot>>;

    /// How many tracks one write takes.
    fn most_per_write(&self) -> usize;
}

/// What the user saved, liked or loved.
#[async_trait]
pub trait LibraryDriver: Send + Sync {
    /// One page of the tracks, the newest first, with when they were put there.
    async fn saved_tracks(&self, page: PageReq) -> Result<Page<PlaylistEntry>>;

    /// Puts tracks there. Each has its own outcome, in the given order.
    async fn save_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>>;

    /// Takes tracks away. Each has its own outcome, in the given order.
    async fn remove_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>>;

    /// Whether each is there, in the given order.
    async fn has_tracks(&self, tracks: &[TrackId]) -> Result<Vec<bool>>;

    /// One page of the albums. Default: the service keeps none.
    async fn saved_albums(&self, page: PageReq) -> Result<Page<Album>> {
        let _ = page;
        Err(Error::unsupported("the service keeps no albums for a user", "read `Library::tracks`"))
    }
}

/// What the user heard.
#[async_trait]
pub trait HistoryDriver: Send + Sync {
    /// One page of what was heard, the latest first.
    async fn recently_played(&self, page: PageReq) -> Result<Page<Played>>;

    /// One page of the tracks heard most.
    async fn top_tracks(&self, period: &Period, page: PageReq) -> Result<Page<Track>>;

    /// One page of the artists heard most.
    async fn top_artists(&self, period: &Period, page: PageReq) -> Result<Page<Artist>>;
}

/// Tracks like others.
#[async_trait]
pub trait RecommendationDriver: Send + Sync {
    /// At most `limit` tracks, 1 to 100.
    async fn recommend(&self, seeds: &Seeds, limit: u32, market: Option<Market>) -> Result<Vec<Track>>;
}

/// Writing what was heard.
#[async_trait]
pub trait ScrobbleDriver: Send + Sync {
    /// Writes what was heard. Each has its own outcome, in the given order, however many calls it takes.
    async fn scrobble(&self, plays: &[Play]) -> Vec<Result<Scrobbled>>;

    /// Shows what is being heard. It lasts for as long as the track; a failure is not worth a second try.
    async fn now_playing(&self, play: &Play) -> Result<()>;
}

/// Playback. A device that is not named is the one that plays now.
#[async_trait]
pub trait PlaybackDriver: Send + Sync {
    /// What plays where; `None` when nothing does.
    async fn state(&self) -> Result<Option<PlaybackState>>;

    /// Everything that could play.
    async fn devices(&self) -> Result<Vec<Device>>;

    /// What comes next.
    async fn queue(&self) -> Result<Enqueued>;

    /// Plays.
    async fn play(&self, what: &PlayRequest, device: Option<&DeviceId>) -> Result<()>;

    /// Pauses.
    async fn pause(&self, device: Option<&DeviceId>) -> Result<()>;

    /// Goes to the next track.
    async fn next(&self, device: Option<&DeviceId>) -> Result<()>;

    /// Goes to the track before.
    async fn previous(&self, device: Option<&DeviceId>) -> Result<()>;

    /// Goes to a position in the track, in milliseconds.
    async fn seek(&self, position_ms: u64, device: Option<&DeviceId>) -> Result<()>;

    /// Sets the volume, 0 to 100.
    async fn set_volume(&self, percent: u8, device: Option<&DeviceId>) -> Result<()>;

    /// Sets whether the order is random.
    async fn set_shuffle(&self, on: bool, device: Option<&DeviceId>) -> Result<()>;

    /// Sets what comes after the end.
    async fn set_repeat(&self, mode: &RepeatMode, device: Option<&DeviceId>) -> Result<()>;

    /// Puts a track behind the one that plays.
    async fn enqueue(&self, track: &TrackId, device: Option<&DeviceId>) -> Result<()>;

    /// Moves playback to another device; `play` starts it there.
    async fn transfer(&self, device: &DeviceId, play: bool) -> Result<()>;
}

/// Tokens for players elsewhere.
#[async_trait]
pub trait PlaybackTokenDriver: Send + Sync {
    /// A token that is valid now.
    async fn playback_token(&self) -> Result<PlaybackToken>;
}
