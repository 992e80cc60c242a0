//! What the user saved, follows and hears.

use std::marker::PhantomData;

use integrations_core::Op;
use serde::{Deserialize, Serialize};

use super::{Args, Audiobook, Episode, Listed, Show};
use crate::spotify::spec;
use crate::spotify::wire::{Album, Artist, Entry, Page, Track};

/// What can be saved by ids in extended mode.
pub trait Saving: Send + Sync {
    /// The operation that saves.
    const SAVE: &'static Op;
    /// The operation that takes away.
    const REMOVE: &'static Op;
    /// The operation that looks.
    const CHECK: &'static Op;
    /// The fields of saving that go into the body.
    const BODY: &'static [&'static str] = &[];
}

/// `PUT /me/tracks` and the like. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Save<K> {
    /// The ids: at most 50; of albums 20.
    pub ids: Vec<String>,
    /// What they are.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Saving> Args for Save<K> {
    type Output = ();
    const OP: &'static Op = K::SAVE;
    const BODY: &'static [&'static str] = K::BODY;
}

/// `DELETE /me/tracks` and the like. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Unsave<K> {
    /// The ids: at most 50; of albums 20.
    pub ids: Vec<String>,
    /// What they are.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Saving> Args for Unsave<K> {
    type Output = ();
    const OP: &'static Op = K::REMOVE;
}

/// `GET /me/tracks/contains` and the like: whether each is saved, in the order of the ids. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CheckSaved<K> {
    /// The ids: at most 50; of albums 20.
    pub ids: Vec<String>,
    /// What they are.
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Saving> Args for CheckSaved<K> {
    type Output = Vec<Option<bool>>;
    const OP: &'static Op = K::CHECK;
}

/// What the user saved, as a kind of list.
#[derive(Debug, Clone, Default)]
pub struct Saved<K>(PhantomData<K>);

/// `PUT /me/library`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SaveItems {
    /// At most 40 URIs of tracks, albums, shows, episodes, audiobooks, users or playlists.
    pub uris: Vec<String>,
}

impl Args for SaveItems {
    type Output = ();
    const OP: &'static Op = &spec::SAVE_ITEMS;
}

/// `DELETE /me/library`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RemoveItems {
    /// At most 40 URIs of what [`SaveItems`] takes.
    pub uris: Vec<String>,
}

impl Args for RemoveItems {
    type Output = ();
    const OP: &'static Op = &spec::REMOVE_ITEMS;
}

/// `GET /me/library/contains`: whether each is there, in the order of the URIs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CheckItems {
    /// At most 40 URIs of what [`SaveItems`] takes, and of artists.
    pub uris: Vec<String>,
}

impl Args for CheckItems {
    type Output = Vec<Option<bool>>;
    const OP: &'static Op = &spec::CHECK_ITEMS;
}

/// `GET /me/following`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetFollowed {
    /// `artist`: users are not listed.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the last artist of the part before.
    pub after: Option<String>,
    /// At most this many, 1 to 50; the vendor's default is 20.
    pub limit: Option<u32>,
}

impl Args for GetFollowed {
    type Output = Page<Artist>;
    const OP: &'static Op = &spec::GET_FOLLOWED;
    const KEY: &'static str = "artists";
}

/// `PUT /me/following`. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Follow {
    /// `artist` or `user`.
    #[serde(rename = "type")]
    pub kind: String,
    /// At most 50 ids.
    pub ids: Vec<String>,
}

impl Args for Follow {
    type Output = ();
    const OP: &'static Op = &spec::FOLLOW;
}

/// `DELETE /me/following`. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unfollow(pub Follow);

impl Args for Unfollow {
    type Output = ();
    const OP: &'static Op = &spec::UNFOLLOW;
}

/// `GET /me/following/contains`: whether each is followed, in the order of the ids. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckFollows(pub Follow);

impl Args for CheckFollows {
    type Output = Vec<Option<bool>>;
    const OP: &'static Op = &spec::CHECK_FOLLOWS;
}

/// `GET /me/player/recently-played`. Either `after` or `before`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetRecentlyPlayed {
    /// At most this many, 1 to 50; the vendor's default is 20.
    pub limit: Option<u32>,
    /// What was heard after this time, in milliseconds of Unix time.
    pub after: Option<i64>,
    /// What was heard before it.
    pub before: Option<i64>,
}

impl Args for GetRecentlyPlayed {
    type Output = Page<Entry>;
    const OP: &'static Op = &spec::GET_RECENTLY_PLAYED;
}

rows! { Saving:
    Track => SAVE_TRACKS, REMOVE_TRACKS, CHECK_TRACKS, &["ids"];
    Album => SAVE_ALBUMS, REMOVE_ALBUMS, CHECK_ALBUMS;
    Show => SAVE_SHOWS, REMOVE_SHOWS, CHECK_SHOWS;
    Episode => SAVE_EPISODES, REMOVE_EPISODES, CHECK_EPISODES;
    Audiobook => SAVE_AUDIOBOOKS, REMOVE_AUDIOBOOKS, CHECK_AUDIOBOOKS;
}

rows! { Listed, Item, LIST:
    Saved<Track> => GET_SAVED_TRACKS, Entry;
    Saved<Album> => GET_SAVED_ALBUMS, Entry;
    Saved<Show> => GET_SAVED_SHOWS, Entry;
    Saved<Episode> => GET_SAVED_EPISODES, Entry;
    Saved<Audiobook> => GET_SAVED_AUDIOBOOKS, Entry;
}
