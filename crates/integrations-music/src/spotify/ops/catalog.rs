//! The catalogue: what is got by id, listed, searched for and recommended.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use integrations_core::Op;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::Args;
use crate::Market;
use crate::spotify::spec;
use crate::spotify::wire::{Album, Artist, Image, Object, Page, Playlist, SearchResult, Track, User};

/// What is got by its id, or by the id of what it belongs to.
pub trait Single: Send + Sync {
    /// What is given.
    type Output: DeserializeOwned + Send + 'static;
    /// The operation.
    const GET: &'static Op;
    /// The field of the answer that holds what is given.
    const KEY: &'static str = "";
}

/// `GET /tracks/{id}` and the like.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Get<K> {
    /// The id.
    pub id: String,
    /// Whose catalogue is meant; for what differs between them.
    pub market: Option<Market>,
    /// What is got.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Single> Args for Get<K> {
    type Output = K::Output;
    const OP: &'static Op = K::GET;
    const KEY: &'static str = K::KEY;
}

/// What is got by several ids at once, in extended mode.
pub trait Several: Single {
    /// The operation, and the field of the answer that holds them.
    const SEVERAL: (&'static Op, &'static str);
}

/// `GET /tracks` and the like: one place for each id, in the order of the ids; `None` for what is not there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetSeveral<K> {
    /// The ids: at most 50; of albums 20, of audio features 100.
    pub ids: Vec<String>,
    /// Whose catalogue is meant; for what differs between them.
    pub market: Option<Market>,
    /// What they are.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Several> Args for GetSeveral<K> {
    type Output = Vec<Option<K::Output>>;
    const OP: &'static Op = K::SEVERAL.0;
    const KEY: &'static str = K::SEVERAL.1;
}

/// What is listed by the id of what it belongs to.
pub trait Part: Send + Sync {
    /// What is listed.
    type Item: DeserializeOwned + Default + Send + 'static;
    /// The operation.
    const LIST: &'static Op;
    /// The field of the answer that holds the list.
    const KEY: &'static str = "";
}

/// `GET /albums/{id}/tracks` and the like.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ListOf<K> {
    /// The id of what they belong to.
    pub id: String,
    /// Which groups of an artist's albums: `album`, `single`, `appears_on`, `compilation`; all, if empty.
    #[serde(default)]
    pub include_groups: Vec<String>,
    /// Whose catalogue is meant; for what differs between them.
    pub market: Option<Market>,
    /// At most this many, 1 to 50; of an artist's albums in development mode to 10.
    pub limit: Option<u32>,
    /// How many to leave out before.
    pub offset: Option<u64>,
    /// What is listed.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Part> Args for ListOf<K> {
    type Output = Page<K::Item>;
    const OP: &'static Op = K::LIST;
    const KEY: &'static str = K::KEY;
}

/// What is listed by itself.
pub trait Listed: Send + Sync {
    /// What is listed.
    type Item: DeserializeOwned + Default + Send + 'static;
    /// The operation.
    const LIST: &'static Op;
    /// The field of the answer that holds the list.
    const KEY: &'static str = "";
}

/// `GET /me/tracks`, `GET /browse/new-releases` and the like.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct List<K> {
    /// At most this many, 1 to 50; the vendor's default is 20.
    pub limit: Option<u32>,
    /// How many to leave out before.
    pub offset: Option<u64>,
    /// Whose catalogue is meant; for saved tracks, albums and episodes.
    pub market: Option<Market>,
    /// In which language, such as `es_MX`; for what editors chose, and for categories.
    pub locale: Option<String>,
    /// `short_term`, `medium_term` or `long_term`; for what is heard most.
    pub time_range: Option<String>,
    /// What is listed.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Listed> Args for List<K> {
    type Output = Page<K::Item>;
    const OP: &'static Op = K::LIST;
    const KEY: &'static str = K::KEY;
}

/// What is one for everybody, or for the user.
pub trait Only: Send + Sync {
    /// What is given.
    type Output: DeserializeOwned + Send + 'static;
    /// The operation.
    const GET: &'static Op;
    /// The field of the answer that holds what is given.
    const KEY: &'static str = "";
}

/// `GET /me`, `GET /markets` and the like, which take nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Fetch<K> {
    /// What is got.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Only> Args for Fetch<K> {
    type Output = K::Output;
    const OP: &'static Op = K::GET;
    const KEY: &'static str = K::KEY;
}

/// `GET /search`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Search {
    /// Words, and filters such as `artist:`, `album:`, `year:`, `isrc:`.
    pub q: String,
    /// What is searched for: `track`, `album`, `artist`, `playlist`, `show`, `episode`, `audiobook`.
    #[serde(rename = "type")]
    pub kinds: Vec<String>,
    /// Whose catalogue is meant.
    pub market: Option<Market>,
    /// At most this many of each: 1 to 50, in development mode to 10; the vendor's default is 20, there 5.
    pub limit: Option<u32>,
    /// How many to leave out before, at most 1000.
    pub offset: Option<u64>,
    /// `audio`: the caller can play what is hosted elsewhere.
    pub include_external: Option<String>,
}

impl Args for Search {
    type Output = SearchResult;
    const OP: &'static Op = &spec::SEARCH;
}

/// `GET /browse/categories/{id}`. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetCategory {
    /// The category.
    pub id: String,
    /// In which language, such as `es_MX`.
    pub locale: Option<String>,
}

impl Args for GetCategory {
    type Output = Object;
    const OP: &'static Op = &spec::GET_CATEGORY;
}

/// `GET /recommendations`, from one to five seeds in all; how far each seed led is left out. Only for extended
/// applications from before 2024-11-27.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GetRecommendations {
    /// Ids of tracks.
    pub seed_tracks: Vec<String>,
    /// Ids of artists.
    pub seed_artists: Vec<String>,
    /// Genres, of those that the service lists.
    pub seed_genres: Vec<String>,
    /// At most this many, 1 to 100; the vendor's default is 20.
    pub limit: Option<u32>,
    /// Whose catalogue is meant.
    pub market: Option<Market>,
    /// How they are to sound: `min_`, `max_` or `target_` with the name of an audio feature.
    #[serde(flatten)]
    pub sound: BTreeMap<String, Number>,
}

impl Args for GetRecommendations {
    type Output = Vec<Option<Track>>;
    const OP: &'static Op = &spec::GET_RECOMMENDATIONS;
    const KEY: &'static str = "tracks";
}

kinds! {
    /// A podcast.
    Show;
    /// An episode of a podcast.
    Episode;
    /// An audiobook.
    Audiobook;
    /// A chapter of an audiobook.
    Chapter;
    /// How a track sounds, as numbers by name: `tempo`, `energy`, `key`.
    AudioFeatures;
    /// A track's bars, beats, sections and segments.
    AudioAnalysis;
    /// What is heard most of an artist.
    TopTracks;
    /// Artists like an artist.
    RelatedArtists;
    /// A playlist's pictures.
    Cover;
    /// What editors sort playlists by.
    Category;
    /// Playlists that editors chose.
    Featured;
    /// Albums that came out lately.
    NewReleases;
    /// The genres that recommendations start from.
    Genres;
    /// The countries that have a catalogue.
    Markets;
}

rows! { Single, Output, GET:
    Track => GET_TRACK, Self;
    Album => GET_ALBUM, Self;
    Artist => GET_ARTIST, Self;
    Show => GET_SHOW, Object;
    Episode => GET_EPISODE, Object;
    Audiobook => GET_AUDIOBOOK, Object;
    Chapter => GET_CHAPTER, Object;
    AudioFeatures => GET_AUDIO_FEATURES, Map<String, Value>;
    AudioAnalysis => GET_AUDIO_ANALYSIS, Map<String, Value>;
    TopTracks => GET_ARTIST_TOP_TRACKS, Vec<Option<Track>>, "tracks";
    RelatedArtists => GET_RELATED_ARTISTS, Vec<Option<Artist>>, "artists";
    Cover => GET_PLAYLIST_COVER, Vec<Option<Image>>;
    User => GET_USER, Self;
}

rows! { Several:
    Track => GET_TRACKS, "tracks";
    Album => GET_ALBUMS, "albums";
    Artist => GET_ARTISTS, "artists";
    Show => GET_SHOWS, "shows";
    Episode => GET_EPISODES, "episodes";
    Audiobook => GET_AUDIOBOOKS, "audiobooks";
    Chapter => GET_CHAPTERS, "chapters";
    AudioFeatures => GET_SEVERAL_AUDIO_FEATURES, "audio_features";
}

rows! { Part, Item, LIST:
    Track => GET_ALBUM_TRACKS, Self;
    Album => GET_ARTIST_ALBUMS, Self;
    Episode => GET_SHOW_EPISODES, Object;
    Chapter => GET_AUDIOBOOK_CHAPTERS, Object;
    Playlist => GET_USER_PLAYLISTS, Self;
    Category => GET_CATEGORY_PLAYLISTS, Playlist, "playlists";
}

rows! { Listed, Item, LIST:
    Category => GET_CATEGORIES, Object, "categories";
    Playlist => GET_MY_PLAYLISTS, Self;
    Featured => GET_FEATURED_PLAYLISTS, Playlist, "playlists";
    NewReleases => GET_NEW_RELEASES, Album, "albums";
    Track => GET_TOP_TRACKS, Self;
    Artist => GET_TOP_ARTISTS, Self;
}

rows! { Only, Output, GET:
    User => GET_ME, Self;
    Genres => GET_GENRES, Vec<Option<String>>, "genres";
    Markets => GET_MARKETS, Vec<Option<String>>, "markets";
}
