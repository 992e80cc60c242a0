//! What is heard: history, scrobbles, playback.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{AlbumId, ArtistId, DeviceId, PlaylistId, TrackId};
use super::types::Track;
use crate::open_enum;
use crate::secret::SecretString;

/// A track that was heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Played {
    /// The track.
    pub track: Track,
    /// When; `None` while it is being heard.
    pub at: Option<Timestamp>,
}

impl Played {
    /// A track and when it was heard.
    pub fn new(track: Track, at: Option<Timestamp>) -> Self {
        Self { track, at }
    }
}

/// A track that was heard, or is being heard, as a history takes it: by names, because players know no ids.
///
/// Services count a track that is longer than 30 seconds and was heard for half its length or four minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Play {
    /// The artist's name, not empty.
    pub artist: String,
    /// The track's title, not empty.
    pub title: String,
    /// When it began.
    pub started: Timestamp,
    /// The album's title.
    pub album: Option<String>,
    /// How long the track is, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The track's MusicBrainz id.
    pub mbid: Option<String>,
    /// Whether the user chose it; `false` for radio and recommendations.
    pub chosen: Option<bool>,
}

impl Play {
    /// A track by names and when it began.
    pub fn new(artist: impl Into<String>, title: impl Into<String>, started: Timestamp) -> Self {
        Self {
            artist: artist.into(),
            title: title.into(),
            started,
            album: None,
            duration_ms: None,
            mbid: None,
            chosen: None,
        }
    }

    /// Sets the album's title.
    #[must_use]
    pub fn album(mut self, title: impl Into<String>) -> Self {
        self.album = Some(title.into());
        self
    }

    /// Sets how long the track is, in milliseconds.
    #[must_use]
    pub fn duration_ms(mut self, duration: u64) -> Self {
        self.duration_ms = Some(duration);
        self
    }
}

open_enum! {
    /// Why a service took a scrobble and did not count it.
    pub enum IgnoredReason {
        /// It does not count this artist.
        Artist = "artist",
        /// It does not count this track.
        Track = "track",
        /// It was too long ago.
        TooOld = "too_old",
        /// It is in the future.
        TooNew = "too_new",
        /// The day's limit is reached.
        DailyLimit = "daily_limit",
    }
}

/// What became of one scrobble that the service took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scrobbled {
    /// It counts.
    Accepted,
    /// It does not count.
    Ignored(IgnoredReason),
}

open_enum! {
    /// What comes after the end.
    pub enum RepeatMode {
        /// Nothing.
        Off = "off",
        /// The same track.
        Track = "track",
        /// The same album or playlist.
        Context = "context",
    }
}

/// Something that plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Device {
    /// The service's id; `None` for a device that cannot be chosen.
    pub id: Option<DeviceId>,
    /// The name as shown.
    pub name: String,
    /// What it is, in the service's own words.
    pub kind: Option<String>,
    /// Whether it is the one that plays now.
    pub active: bool,
    /// From 0 to 100; `None` where it cannot be told.
    pub volume_percent: Option<u8>,
}

impl Device {
    /// A device that is not active.
    pub fn new(id: Option<DeviceId>, name: impl Into<String>) -> Self {
        Self { id, name: name.into(), kind: None, active: false, volume_percent: None }
    }
}

/// What is playing where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlaybackState {
    /// Whether it plays now.
    pub playing: bool,
    /// What plays or is paused; `None` for nothing, and for what is no track.
    pub track: Option<Track>,
    /// How far into it, in milliseconds.
    pub position_ms: Option<u64>,
    /// Where.
    pub device: Option<Device>,
    /// Whether the order is random.
    pub shuffle: Option<bool>,
    /// What comes after the end.
    pub repeat: Option<RepeatMode>,
}

/// What is to be played.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlayRequest {
    /// What was paused.
    #[default]
    Resume,
    /// These tracks, one after the other.
    Tracks(Vec<TrackId>),
    /// An album from its beginning.
    Album(AlbumId),
    /// An artist.
    Artist(ArtistId),
    /// A playlist from its beginning.
    Playlist(PlaylistId),
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Enqueued {
    /// What plays now.
    pub current: Option<Track>,
    /// What follows, the next first.
    pub next: Vec<Track>,
}

/// A token for a player that runs elsewhere, above all in a browser. It is a credential: hand it to that player alone.
#[derive(Clone)]
#[non_exhaustive]
pub struct PlaybackToken {
    /// The token.
    pub token: SecretString,
}

impl PlaybackToken {
    /// A token.
    pub fn new(token: SecretString) -> Self {
        Self { token }
    }
}

impl fmt::Debug for PlaybackToken {
    /// Never the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaybackToken").finish_non_exhaustive()
    }
}
