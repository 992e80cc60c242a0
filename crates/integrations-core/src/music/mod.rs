//! Music: catalogues, playlists, libraries, listening history and playback, whichever service has them.
//!
//! [`Music`] is what an application holds. A service's client implements [`MusicDriver`], and a facet for each part
//! that it has besides.
//!
//! Invariants:
//! - What a service does not have is absent: a facet that is `None`, a capability that is not among its [`Caps`](crate::driver::Caps). A call
//!   for it is [`ErrorKind::Unsupported`](crate::ErrorKind) and sends nothing.
//! - Ids are opaque text of one service. What holds across services is an [`Isrc`], a MusicBrainz id, or a match.
//! - Nothing here plays, stores or changes sound.

mod cap;
mod client;
mod driver;
mod id;
#[cfg(feature = "dynamic")]
mod operations;
mod play;
#[cfg(feature = "schema")]
mod schema;
mod types;

pub use cap::MusicCap;
pub use client::{Albums, Artists, History, Library, Music, Playback, Playlists, Scrobbling, Tags};
pub use driver::{
    AlbumDriver, ArtistDriver, ArtistInfoDriver, HistoryDriver, IsrcDriver, LibraryDriver, MusicDriver,
    PlaybackDriver, PlaybackTokenDriver, PlaylistDriver, RecommendationDriver, ScrobbleDriver, TagDriver,
};
pub use id::{AlbumId, ArtistId, DeviceId, Isrc, Market, PlaylistId, Snapshot, TrackId, is_mbid};
#[cfg(feature = "dynamic")]
pub use operations::OPERATIONS;
pub use play::{
    Device, Enqueued, IgnoredReason, Play, PlayRequest, PlaybackState, PlaybackToken, Played, RepeatMode,
    Scrobbled,
};
pub use types::{
    Album, AlbumKind, AlbumRef, Artist, ArtistInfo, ArtistRef, EntryKind, ExternalIds, Image, NewPlaylist,
    Owner, Period, Playlist, PlaylistEdit, PlaylistEntry, Query, ReleaseDate, Seeds, Tag, Track,
};
