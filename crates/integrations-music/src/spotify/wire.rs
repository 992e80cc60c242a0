//! What the service sends, as it sends it.
//!
//! Invariants:
//! - Anything may be missing, null or new: development mode and old entries lack fields that others have.
//! - What a type has no field for stands in `extra`.
//! - Nulls in lists are left out: they stand for what the service no longer has. Only a list that is a whole answer
//!   keeps them, because its places are those of what was asked for.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

/// Anything of the service: a show, an episode, an audiobook, a category; and what a track has in common with them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Object {
    /// Its id; `None` for a local file.
    pub id: Option<String>,
    /// Its name; empty after a takedown.
    pub name: Option<String>,
    /// Its id with its type: `spotify:track:…`.
    pub uri: Option<String>,
    /// What it is: `track`, `episode`, `album`; of a device `Computer` or `Smartphone`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its pages by site.
    #[serde(deserialize_with = "or_default")]
    pub external_urls: Map<String, Value>,
    /// Codes by name: `isrc`, `upc`, `ean`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    pub external_ids: Map<String, Value>,
    /// Its pictures, the largest first.
    #[serde(deserialize_with = "list")]
    pub images: Vec<Image>,
    /// What else the service says.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Object {
    /// Its page on the service, which terms ask to link to.
    pub fn url(&self) -> Option<&str> {
        self.external_urls.get("spotify").and_then(Value::as_str)
    }
}

/// A picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Image {
    /// Where it is.
    pub url: Option<String>,
    /// Its width in pixels.
    #[serde(deserialize_with = "whole")]
    pub width: Option<u32>,
    /// Its height in pixels.
    #[serde(deserialize_with = "whole")]
    pub height: Option<u32>,
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "T: Default + DeserializeOwned"))]
#[non_exhaustive]
pub struct Page<T> {
    /// What is in it. Fewer than `limit` do not mean that it is the last.
    #[serde(deserialize_with = "list")]
    pub items: Vec<T>,
    /// The address of the next part; `None` for the last.
    pub next: Option<String>,
    /// How many there are in all.
    #[serde(deserialize_with = "whole")]
    pub total: Option<u64>,
    /// The most that it could hold.
    #[serde(deserialize_with = "whole")]
    pub limit: Option<u32>,
    /// How many come before it, in a list that is counted.
    #[serde(deserialize_with = "whole")]
    pub offset: Option<u64>,
    /// Where its neighbours begin, in a list that is not counted.
    pub cursors: Option<Cursors>,
}

/// Where the neighbours of a part begin: an id, or a time in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Cursors {
    /// What comes after it.
    pub after: Option<String>,
    /// What comes before it.
    pub before: Option<String>,
}

/// A track; or an episode where a list holds both, as its `kind` says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Track {
    /// Id, title, addresses, code, and what has no field here.
    #[serde(flatten)]
    pub object: Object,
    /// Who made it.
    #[serde(deserialize_with = "list")]
    pub artists: Vec<Artist>,
    /// The album that it is on; `None` among the tracks of an album.
    pub album: Option<Album>,
    /// How long it is, in milliseconds.
    #[serde(deserialize_with = "whole")]
    pub duration_ms: Option<u64>,
    /// Whether its words are explicit.
    pub explicit: Option<bool>,
    /// Whether it is a file of the user's own.
    pub is_local: Option<bool>,
    /// Whether it can be heard in the market that was asked for.
    pub is_playable: Option<bool>,
    /// The track that was asked for, where another stands in for it in this market.
    pub linked_from: Option<Object>,
    /// From 0 to 100; not in development mode.
    pub popularity: Option<f32>,
}

/// An album.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Album {
    /// Id, title, addresses, codes, pictures, and what has no field here.
    #[serde(flatten)]
    pub object: Object,
    /// `album`, `single` or `compilation`.
    pub album_type: Option<String>,
    /// Who made it.
    #[serde(deserialize_with = "list")]
    pub artists: Vec<Artist>,
    /// When it came out: `1981`, `1981-12` or `1981-12-15`.
    pub release_date: Option<String>,
    /// How many tracks it has.
    #[serde(deserialize_with = "whole")]
    pub total_tracks: Option<u32>,
    /// Who published it; not in development mode.
    pub label: Option<String>,
}

/// An artist.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Artist {
    /// Id, name, addresses, pictures, and what has no field here.
    #[serde(flatten)]
    pub object: Object,
    /// Its genres; empty where the artist is part of something else.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub genres: Vec<String>,
}

/// What is found, by what it is; `None` for what was not asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SearchResult {
    /// Tracks.
    pub tracks: Option<Page<Track>>,
    /// Albums.
    pub albums: Option<Page<Album>>,
    /// Artists.
    pub artists: Option<Page<Artist>>,
    /// Playlists.
    pub playlists: Option<Page<Playlist>>,
    /// Podcasts.
    pub shows: Option<Page<Object>>,
    /// Episodes of podcasts.
    pub episodes: Option<Page<Object>>,
    /// Audiobooks.
    pub audiobooks: Option<Page<Object>>,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct User {
    /// Id, addresses, pictures, and what has no field here, such as `country` and `product` of extended mode.
    #[serde(flatten)]
    pub object: Object,
    /// The id that stays for good, which only `/me` tells: the key to link accounts by.
    pub account_id: Option<String>,
    /// The name as shown.
    pub display_name: Option<String>,
}

/// A playlist.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Playlist {
    /// Id, name, addresses, pictures, and what has no field here.
    #[serde(flatten)]
    pub object: Object,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Whose it is.
    pub owner: Option<User>,
    /// Whether others see it.
    pub public: Option<bool>,
    /// Whether others may change it.
    pub collaborative: Option<bool>,
    /// Which version this is.
    pub snapshot_id: Option<String>,
    /// What is in it, or only how much in a list of playlists; `None` where the user may not see that.
    pub items: Option<Page<Entry>>,
    /// The same under its old name.
    pub tracks: Option<Page<Entry>>,
}

impl Playlist {
    /// What is in it, whichever name it goes by.
    pub fn contents(&self) -> Option<&Page<Entry>> {
        self.items.as_ref().or(self.tracks.as_ref())
    }
}

/// A place in a playlist, in a library or in a history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Entry {
    /// When it was put there; `None` in very old playlists.
    pub added_at: Option<String>,
    /// When it was heard, in a history.
    pub played_at: Option<String>,
    /// Whether it is a file of the user's own.
    pub is_local: Option<bool>,
    /// What stands there in a playlist; `None` when the service no longer has it.
    pub item: Option<Track>,
    /// What stands there in a library or a history; in a playlist the old name of `item`.
    pub track: Option<Track>,
    /// What stands there in the library of albums.
    pub album: Option<Album>,
    /// What else the service says, and what stands there in the libraries of `show`, `episode` and `audiobook`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Entry {
    /// The track or episode that stands there, whichever name it goes by.
    pub fn into_track(self) -> Option<Track> {
        self.item.or(self.track)
    }
}

/// Which version of a playlist a write made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Version {
    /// The version.
    pub snapshot_id: Option<String>,
}

/// Something that plays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Device {
    /// Id, name, type, and what has no field here.
    #[serde(flatten)]
    pub object: Object,
    /// Whether it is the one that plays now.
    pub is_active: Option<bool>,
    /// Whether it takes no commands from here.
    pub is_restricted: Option<bool>,
    /// From 0 to 100; `None` where it cannot be told.
    #[serde(deserialize_with = "whole")]
    pub volume_percent: Option<u8>,
}

/// What plays where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Playback {
    /// Where; `None` when only the track was asked for.
    pub device: Option<Device>,
    /// `off`, `track` or `context`; `None` when only the track was asked for.
    pub repeat_state: Option<String>,
    /// Whether the order is random; `None` when only the track was asked for.
    pub shuffle_state: Option<bool>,
    /// How far into it, in milliseconds.
    #[serde(deserialize_with = "whole")]
    pub progress_ms: Option<u64>,
    /// Whether it plays now.
    pub is_playing: Option<bool>,
    /// What plays; `None` for an advertisement and in a private session.
    pub item: Option<Track>,
    /// What else the service says, such as `context`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Queue {
    /// What plays now.
    pub currently_playing: Option<Track>,
    /// What follows, the next first.
    #[serde(deserialize_with = "list")]
    pub queue: Vec<Track>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let items: Option<Vec<Option<T>>> = Option::deserialize(from)?;
    Ok(items.into_iter().flatten().flatten().collect())
}

/// A whole number, though the service may write it with a fraction; one that cannot be, such as a length below zero, is
/// unknown. <https://github.com/ramsayleung/rspotify/issues/452>
pub(super) fn whole<'de, D: Deserializer<'de>, N: TryFrom<u64>>(from: D) -> Result<Option<N>, D::Error> {
    let number: Option<Number> = Option::deserialize(from)?;
    let number = number.and_then(|number| match number.as_u64() {
        None => format!("{:.0}", number.as_f64()?).parse().ok(),
        whole => whole,
    });
    Ok(number.and_then(|number| number.try_into().ok()))
}
