//! What a catalogue holds, and what users make of it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::id::{AlbumId, ArtistId, Isrc, Market, PlaylistId, Snapshot, TrackId};
use crate::error::{Error, Result};
use crate::open_enum;

/// Codes that hold across services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExternalIds {
    /// The recording's code.
    pub isrc: Option<Isrc>,
    /// The album's code on its sleeve: a UPC or an EAN, digits only.
    pub upc: Option<String>,
    /// The MusicBrainz id.
    pub mbid: Option<String>,
}

/// A picture at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Image {
    /// Its address; it may expire.
    pub url: String,
    /// Pixels, where known.
    pub width: Option<u32>,
    /// Pixels, where known.
    pub height: Option<u32>,
}

impl Image {
    /// A picture of unknown size.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), width: None, height: None }
    }

    /// Sets its size in pixels.
    #[must_use]
    pub fn size(mut self, width: Option<u32>, height: Option<u32>) -> Self {
        (self.width, self.height) = (width, height);
        self
    }
}

/// A day, a month or a year: as much of a date as a service knows.
///
/// ```
/// use integrations_core::music::ReleaseDate;
/// let date: ReleaseDate = "1981-12".parse()?;
/// assert_eq!((date.year, date.month, date.day), (1981, Some(12), None));
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ReleaseDate {
    /// The year, 1 to 9999.
    pub year: u16,
    /// The month, 1 to 12.
    pub month: Option<u8>,
    /// The day, 1 to 31; only with a month.
    pub day: Option<u8>,
}

impl FromStr for ReleaseDate {
    type Err = Error;

    /// `1981`, `1981-12` or `1981-12-15`. Zeros stand for what is unknown, as some services write `0000-00-00`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid_request("this is no date such as 1981, 1981-12 or 1981-12-15");
        let mut parts = text.splitn(3, '-');
        let year: u16 = parts.next().and_then(|year| year.parse().ok()).ok_or_else(wrong)?;
        let mut part = |largest: u8| match parts.next() {
            None => Ok(None),
            Some(text) => match text.parse::<u8>() {
                Ok(0) => Ok(None),
                Ok(number) if number <= largest => Ok(Some(number)),
                _ => Err(wrong()),
            },
        };
        let (month, day) = (part(12)?, part(31)?);
        if !(1..=9999).contains(&year) || (day.is_some() && month.is_none()) {
            return Err(wrong());
        }
        Ok(Self { year, month, day })
    }
}

impl fmt::Display for ReleaseDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        self.month.map_or(Ok(()), |month| write!(f, "-{month:02}"))?;
        self.day.map_or(Ok(()), |day| write!(f, "-{day:02}"))
    }
}

impl Serialize for ReleaseDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReleaseDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|e: Error| serde::de::Error::custom(e.message()))
    }
}

/// An artist as named on a track or an album.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ArtistRef {
    /// The service's id, where it has one.
    pub id: Option<ArtistId>,
    /// The name as shown.
    pub name: String,
}

impl ArtistRef {
    /// An artist by name.
    pub fn new(id: Option<ArtistId>, name: impl Into<String>) -> Self {
        Self { id, name: name.into() }
    }
}

/// An album as named on a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AlbumRef {
    /// The service's id, where it has one.
    pub id: Option<AlbumId>,
    /// The title as shown; empty after some take-downs.
    pub title: String,
}

impl AlbumRef {
    /// An album by title.
    pub fn new(id: Option<AlbumId>, title: impl Into<String>) -> Self {
        Self { id, title: title.into() }
    }
}

/// A recording in a service's catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Track {
    /// The service's id.
    pub id: TrackId,
    /// The title as shown.
    pub title: String,
    /// Who made it, the main artist first. Empty where the service does not say.
    pub artists: Vec<ArtistRef>,
    /// The album that it is taken from.
    pub album: Option<AlbumRef>,
    /// How long it is, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Its codes across services.
    pub ids: ExternalIds,
    /// When it came out.
    pub released: Option<ReleaseDate>,
    /// Whether its words are marked as explicit.
    pub explicit: Option<bool>,
    /// Whether it can be heard in the market that was asked for.
    pub playable: Option<bool>,
    /// How much it is heard, from 0.0 to 1.0, on the service's own scale.
    pub popularity: Option<f32>,
    /// Its page, which terms often ask to link to.
    pub url: Option<String>,
    /// Pictures, the largest first.
    pub images: Vec<Image>,
    /// What the service says besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Track {
    /// A track of which no more than this is known.
    pub fn new(id: impl Into<TrackId>, title: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            artists: Vec::new(),
            album: None,
            duration_ms: None,
            ids: ExternalIds::default(),
            released: None,
            explicit: None,
            playable: None,
            popularity: None,
            url: None,
            images: Vec::new(),
            extra: Map::new(),
        }
    }

    /// The main artist's name, empty where the service does not say.
    pub fn artist(&self) -> &str {
        self.artists.first().map_or("", |artist| &artist.name)
    }
}

open_enum! {
    /// What kind of album it is.
    pub enum AlbumKind {
        /// An album.
        Album = "album",
        /// A single.
        Single = "single",
        /// An extended play.
        Ep = "ep",
        /// Tracks from several places.
        Compilation = "compilation",
    }
}

/// An album in a service's catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Album {
    /// The service's id.
    pub id: AlbumId,
    /// The title as shown; empty after some take-downs.
    pub title: String,
    /// Who made it, the main artist first.
    pub artists: Vec<ArtistRef>,
    /// What kind of album it is.
    pub kind: Option<AlbumKind>,
    /// When it came out.
    pub released: Option<ReleaseDate>,
    /// How many tracks it has.
    pub total_tracks: Option<u32>,
    /// Its codes across services.
    pub ids: ExternalIds,
    /// Who published it.
    pub label: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// Pictures, the largest first.
    pub images: Vec<Image>,
    /// What the service says besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Album {
    /// An album of which no more than this is known.
    pub fn new(id: impl Into<AlbumId>, title: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            artists: Vec::new(),
            kind: None,
            released: None,
            total_tracks: None,
            ids: ExternalIds::default(),
            label: None,
            url: None,
            images: Vec::new(),
            extra: Map::new(),
        }
    }
}

/// An artist in a service's catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Artist {
    /// The service's id.
    pub id: ArtistId,
    /// The name as shown.
    pub name: String,
    /// Genres in the service's own words.
    pub genres: Vec<String>,
    /// How many follow it.
    pub followers: Option<u64>,
    /// How much it is heard, from 0.0 to 1.0, on the service's own scale.
    pub popularity: Option<f32>,
    /// Its codes across services.
    pub ids: ExternalIds,
    /// Its page.
    pub url: Option<String>,
    /// Pictures, the largest first.
    pub images: Vec<Image>,
    /// What the service says besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Artist {
    /// An artist of which no more than this is known.
    pub fn new(id: impl Into<ArtistId>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            genres: Vec::new(),
            followers: None,
            popularity: None,
            ids: ExternalIds::default(),
            url: None,
            images: Vec::new(),
            extra: Map::new(),
        }
    }
}

/// A word that listeners or editors gave: genre, mood, era.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Tag {
    /// The word, in lower case as far as the service does so.
    pub name: String,
    /// How much it was given, 0 to 100 with 100 for the tag given most; `None` where the service does not say.
    pub weight: Option<u8>,
}

impl Tag {
    /// A tag.
    pub fn new(name: impl Into<String>, weight: Option<u8>) -> Self {
        Self { name: name.into(), weight }
    }
}

/// What is told about an artist beyond the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ArtistInfo {
    /// The artist.
    pub artist: Artist,
    /// Its life in some paragraphs of text; services mix HTML into it.
    pub biography: Option<String>,
    /// Its tags, the strongest first.
    pub tags: Vec<Tag>,
    /// Artists like it.
    pub similar: Vec<ArtistRef>,
    /// How many have heard it.
    pub listeners: Option<u64>,
    /// How often it was heard.
    pub plays: Option<u64>,
}

impl ArtistInfo {
    /// Nothing beyond the catalogue.
    pub fn new(artist: Artist) -> Self {
        Self { artist, biography: None, tags: Vec::new(), similar: Vec::new(), listeners: None, plays: None }
    }
}

/// Whose playlist it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Owner {
    /// The service's id of the account.
    pub id: String,
    /// The name as shown.
    pub name: Option<String>,
}

impl Owner {
    /// An account.
    pub fn new(id: impl Into<String>, name: Option<String>) -> Self {
        Self { id: id.into(), name }
    }
}

/// A playlist, without what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Playlist {
    /// The service's id.
    pub id: PlaylistId,
    /// The name as shown.
    pub name: String,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// Whether others see it; `None` where the service does not say.
    pub public: Option<bool>,
    /// Whether others may change it.
    pub collaborative: bool,
    /// How many entries it has.
    pub total: Option<u64>,
    /// Which version this is.
    pub snapshot: Option<Snapshot>,
    /// Its page.
    pub url: Option<String>,
    /// Pictures, the largest first.
    pub images: Vec<Image>,
    /// What the service says besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Playlist {
    /// A playlist of which no more than this is known.
    pub fn new(id: impl Into<PlaylistId>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            description: None,
            owner: None,
            public: None,
            collaborative: false,
            total: None,
            snapshot: None,
            url: None,
            images: Vec::new(),
            extra: Map::new(),
        }
    }
}

open_enum! {
    /// What stands in a place of a playlist.
    pub enum EntryKind {
        /// A track of the catalogue.
        Track = "track",
        /// An episode of a podcast; its `track` holds what is known of it.
        Episode = "episode",
        /// A file of the user's own: its track's id cannot be looked up or added.
        Local = "local",
        /// Something that the service no longer has.
        Gone = "gone",
    }
}

/// One place in a playlist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlaylistEntry {
    /// What stands there.
    pub kind: EntryKind,
    /// The track, or what is known of it; `None` when the service no longer has it.
    pub track: Option<Track>,
    /// When it was put there; unknown for very old ones.
    pub added_at: Option<Timestamp>,
}

impl PlaylistEntry {
    /// A place with a track of the catalogue.
    pub fn track(track: Track, added_at: Option<Timestamp>) -> Self {
        Self { kind: EntryKind::Track, track: Some(track), added_at }
    }

    /// A place with anything.
    pub fn new(kind: EntryKind, track: Option<Track>, added_at: Option<Timestamp>) -> Self {
        Self { kind, track, added_at }
    }
}

/// What a new playlist is like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct NewPlaylist {
    /// The name as shown, not empty.
    pub name: String,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Whether others see it. `None`: as the service does it.
    pub public: Option<bool>,
    /// Whether others may change it.
    pub collaborative: bool,
}

impl NewPlaylist {
    /// A playlist of this name, seen as the service does it, changed by its owner alone.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets what its owner says about it.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Sets whether others see it.
    #[must_use]
    pub fn public(mut self, is_public: bool) -> Self {
        self.public = Some(is_public);
        self
    }

    /// Lets others change it.
    #[must_use]
    pub fn collaborative(mut self) -> Self {
        self.collaborative = true;
        self
    }
}

/// What is to be different about a playlist; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[allow(clippy::exhaustive_structs, reason = "made by its fields, with `..Default::default()`")]
pub struct PlaylistEdit {
    /// The name as shown.
    pub name: Option<String>,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Whether others see it.
    pub public: Option<bool>,
    /// Whether others may change it.
    pub collaborative: Option<bool>,
}

/// What is searched for: words anywhere, or words in certain places. What is set must all hold.
///
/// ```
/// use integrations_core::music::Query;
/// let query = Query::from("autobahn").artist("Kraftwerk").market("DE".parse()?);
/// assert_eq!(query.artist.as_deref(), Some("Kraftwerk"));
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Query {
    /// Words anywhere.
    pub text: Option<String>,
    /// Words of the title.
    pub title: Option<String>,
    /// Words of the artist's name.
    pub artist: Option<String>,
    /// Words of the album's title.
    pub album: Option<String>,
    /// The year it came out.
    pub year: Option<u16>,
    /// Whose catalogue is searched.
    pub market: Option<Market>,
}

impl Query {
    /// Nothing is set: [`ErrorKind::InvalidRequest`](crate::ErrorKind) where it is used as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets words of the title.
    #[must_use]
    pub fn title(mut self, words: impl Into<String>) -> Self {
        self.title = Some(words.into());
        self
    }

    /// Sets words of the artist's name.
    #[must_use]
    pub fn artist(mut self, words: impl Into<String>) -> Self {
        self.artist = Some(words.into());
        self
    }

    /// Sets words of the album's title.
    #[must_use]
    pub fn album(mut self, words: impl Into<String>) -> Self {
        self.album = Some(words.into());
        self
    }

    /// Sets the year it came out.
    #[must_use]
    pub fn year(mut self, year: u16) -> Self {
        self.year = Some(year);
        self
    }

    /// Sets whose catalogue is searched.
    #[must_use]
    pub fn market(mut self, market: Market) -> Self {
        self.market = Some(market);
        self
    }

    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind) when no words are set.
    pub(super) fn check(&self) -> Result<()> {
        let words = [&self.text, &self.title, &self.artist, &self.album];
        if words.into_iter().flatten().any(|words| !words.trim().is_empty()) {
            return Ok(());
        }
        Err(Error::invalid_request("there is nothing to search for")
            .with_hint("set words, a title, an artist or an album"))
    }
}

impl From<&str> for Query {
    fn from(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }
}

impl From<String> for Query {
    fn from(text: String) -> Self {
        Self { text: Some(text), ..Self::default() }
    }
}

/// What recommendations start from; at least one, and at most five in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[allow(clippy::exhaustive_structs, reason = "made by its fields, with `..Default::default()`")]
pub struct Seeds {
    /// Tracks.
    pub tracks: Vec<TrackId>,
    /// Artists.
    pub artists: Vec<ArtistId>,
    /// Genres in the service's own words.
    pub genres: Vec<String>,
}

open_enum! {
    /// The time over which "most" is counted. A service rounds to what it has.
    pub enum Period {
        /// About a month.
        Month = "month",
        /// About half a year.
        HalfYear = "half_year",
        /// A year.
        Year = "year",
        /// All time.
        All = "all",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_as_precise_as_the_service_knows() {
        for (text, shown) in
            [("1981", "1981"), ("1981-12", "1981-12"), ("1981-12-15", "1981-12-15"), ("1981-00-00", "1981")]
        {
            assert_eq!(text.parse::<ReleaseDate>().unwrap().to_string(), shown);
        }
        for text in ["", "0000-00-00", "81-13", "1981-12-32", "1981-00-15", "1981-12-15-1", "soon"] {
            assert!(text.parse::<ReleaseDate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_needs_words() {
        Query::from("x").check().unwrap();
        Query::new().album("x").check().unwrap();
        for empty in [Query::new(), Query::from("  "), Query::new().year(1981)] {
            assert!(empty.check().is_err(), "{empty:?}");
        }
    }
}
