//! Playlists. What is in one goes by `items`, and in extended mode also by its old name `tracks`: [`Items`] and
//! [`Tracks`] say which path a call takes.

use std::marker::PhantomData;

use http::Uri;
use http::header::CONTENT_TYPE;
use integrations_core::{Op, Req, Result, WireRequest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Args, addressed, fields};
use crate::Market;
use crate::spotify::spec;
use crate::spotify::wire::{Entry, Page, Playlist, Version};

/// A name that the contents of a playlist go by.
pub trait Contents: Send + Sync + 'static {
    /// The operation that lists them.
    const LIST: &'static Op;
    /// The operation that adds to them.
    const ADD: &'static Op;
    /// The operation that replaces them.
    const REPLACE: &'static Op;
    /// The operation that moves some of them.
    const REORDER: &'static Op;
    /// The operation that removes some of them.
    const REMOVE: &'static Op;
    /// The name.
    const NAME: &'static str;
}

/// `/playlists/{id}/items`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Items;

impl Contents for Items {
    const LIST: &'static Op = &spec::GET_PLAYLIST_ITEMS;
    const ADD: &'static Op = &spec::ADD_PLAYLIST_ITEMS;
    const REPLACE: &'static Op = &spec::REPLACE_PLAYLIST_ITEMS;
    const REORDER: &'static Op = &spec::REORDER_PLAYLIST_ITEMS;
    const REMOVE: &'static Op = &spec::REMOVE_PLAYLIST_ITEMS;
    const NAME: &'static str = "items";
}

/// `/playlists/{id}/tracks`: not in development mode.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracks;

impl Contents for Tracks {
    const LIST: &'static Op = &spec::GET_PLAYLIST_TRACKS;
    const ADD: &'static Op = &spec::ADD_PLAYLIST_TRACKS;
    const REPLACE: &'static Op = &spec::REPLACE_PLAYLIST_TRACKS;
    const REORDER: &'static Op = &spec::REORDER_PLAYLIST_TRACKS;
    const REMOVE: &'static Op = &spec::REMOVE_PLAYLIST_TRACKS;
    const NAME: &'static str = "tracks";
}

/// `GET /playlists/{id}/items`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetContents<W> {
    /// The playlist.
    pub id: String,
    /// Whose catalogue is meant.
    pub market: Option<Market>,
    /// The fields of the answer that are wanted, as the vendor's page writes them.
    pub fields: Option<String>,
    /// At most this many, 1 to 50, by the old path to 100; the vendor's default is 20, by the old path 100.
    pub limit: Option<u32>,
    /// How many to leave out before.
    pub offset: Option<u64>,
    /// `track`, `episode`: what the caller understands.
    #[serde(default)]
    pub additional_types: Vec<String>,
    /// By which path.
    #[serde(skip)]
    pub path: PhantomData<W>,
}

impl<W: Contents> Args for GetContents<W> {
    type Output = Page<Entry>;
    const OP: &'static Op = W::LIST;
}

/// `POST /playlists/{id}/items`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AddContents<W> {
    /// The playlist.
    pub id: String,
    /// At most 100 URIs of tracks or episodes.
    pub uris: Vec<String>,
    /// Before which place, from 0; at the end, if not set.
    pub position: Option<u32>,
    /// By which path.
    #[serde(skip)]
    pub path: PhantomData<W>,
}

impl<W: Contents> Args for AddContents<W> {
    type Output = Version;
    const OP: &'static Op = W::ADD;
    // In the query they would win over the body, and a hundred of them are long.
    const BODY: &'static [&'static str] = &["uris", "position"];
}

/// `PUT /playlists/{id}/items` with other contents.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReplaceContents<W> {
    /// The playlist.
    pub id: String,
    /// At most 100 URIs of tracks or episodes; none empties the playlist.
    pub uris: Vec<String>,
    /// By which path.
    #[serde(skip)]
    pub path: PhantomData<W>,
}

impl<W: Contents> Args for ReplaceContents<W> {
    type Output = Version;
    const OP: &'static Op = W::REPLACE;
    const BODY: &'static [&'static str] = &["uris"];
}

/// `PUT /playlists/{id}/items` with another order.
/// Places count from 0 in the order before the move.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReorderContents<W> {
    /// The playlist.
    pub id: String,
    /// The first that moves.
    pub range_start: u32,
    /// The one that they come to stand before; one past the end for the end.
    pub insert_before: u32,
    /// How many move; the vendor's default is 1.
    pub range_length: Option<u32>,
    /// The version that is meant.
    pub snapshot_id: Option<String>,
    /// By which path.
    #[serde(skip)]
    pub path: PhantomData<W>,
}

impl<W: Contents> Args for ReorderContents<W> {
    type Output = Version;
    const OP: &'static Op = W::REORDER;
    const BODY: &'static [&'static str] = &["range_start", "insert_before", "range_length", "snapshot_id"];
}

/// `DELETE /playlists/{id}/items`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RemoveContents<W> {
    /// The playlist.
    pub id: String,
    /// At most 100 URIs; each goes wherever it stands.
    pub uris: Vec<String>,
    /// The version that is meant.
    pub snapshot_id: Option<String>,
    /// By which path.
    #[serde(skip)]
    pub path: PhantomData<W>,
}

impl<W: Contents> Args for RemoveContents<W> {
    type Output = Version;
    const OP: &'static Op = W::REMOVE;

    /// The key in the body is the name in the path.
    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let mut fields = fields(self)?;
        fields.remove("uris");
        let version = fields.remove_entry("snapshot_id");
        let uris = self.uris.iter().map(|uri| json!({ "uri": uri })).collect();
        let body: serde_json::Map<_, _> = version.into_iter().chain([(W::NAME.to_owned(), uris)]).collect();
        addressed(Self::OP, base, fields).json(&body).build()
    }
}

/// `GET /playlists/{id}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetPlaylist {
    /// The playlist.
    pub id: String,
    /// Whose catalogue is meant.
    pub market: Option<Market>,
    /// The fields of the answer that are wanted, as the vendor's page writes them.
    pub fields: Option<String>,
    /// `track`, `episode`: what the caller understands.
    #[serde(default)]
    pub additional_types: Vec<String>,
}

impl Args for GetPlaylist {
    type Output = Playlist;
    const OP: &'static Op = &spec::GET_PLAYLIST;
}

/// `PUT /playlists/{id}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ChangePlaylist {
    /// The playlist.
    pub id: String,
    /// Its new name.
    pub name: Option<String>,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Whether others see it.
    pub public: Option<bool>,
    /// Whether others may change it; then it must not be public.
    pub collaborative: Option<bool>,
}

impl Args for ChangePlaylist {
    type Output = ();
    const OP: &'static Op = &spec::CHANGE_PLAYLIST;
    const BODY: &'static [&'static str] = DETAILS;
}

/// What an owner says of a playlist.
const DETAILS: &[&str] = &["name", "description", "public", "collaborative"];

/// `POST /me/playlists`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CreatePlaylist {
    /// Its name.
    pub name: String,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Whether others see it; the vendor's default is yes.
    pub public: Option<bool>,
    /// Whether others may change it; then it must not be public.
    pub collaborative: Option<bool>,
}

impl Args for CreatePlaylist {
    type Output = Playlist;
    const OP: &'static Op = &spec::CREATE_PLAYLIST;
    const BODY: &'static [&'static str] = DETAILS;
}

/// `POST /users/{id}/playlists`. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CreateUserPlaylist {
    /// The user who consented.
    pub id: String,
    /// What it is like.
    #[serde(flatten)]
    pub playlist: CreatePlaylist,
}

impl Args for CreateUserPlaylist {
    type Output = Playlist;
    const OP: &'static Op = &spec::CREATE_USER_PLAYLIST;
    const BODY: &'static [&'static str] = DETAILS;
}

/// `PUT /playlists/{id}/images`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SetPlaylistCover {
    /// The playlist.
    pub id: String,
    /// A JPEG as base64 text, at most 256 KB of it.
    pub jpeg: String,
}

impl Args for SetPlaylistCover {
    type Output = ();
    const OP: &'static Op = &spec::SET_PLAYLIST_COVER;

    /// The body is the text itself, under the type of what it encodes.
    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let mut fields = fields(self)?;
        fields.remove("jpeg");
        let request: Req = addressed(Self::OP, base, fields);
        request.header(CONTENT_TYPE, Some("image/jpeg")).body(self.jpeg.clone()).build()
    }
}

/// `PUT /playlists/{id}/followers`. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FollowPlaylist {
    /// The playlist.
    pub id: String,
    /// Whether others see that; the vendor's default is yes.
    pub public: Option<bool>,
}

impl Args for FollowPlaylist {
    type Output = ();
    const OP: &'static Op = &spec::FOLLOW_PLAYLIST;
    const BODY: &'static [&'static str] = &["public"];
}

/// `DELETE /playlists/{id}/followers`. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UnfollowPlaylist {
    /// The playlist.
    pub id: String,
}

impl Args for UnfollowPlaylist {
    type Output = ();
    const OP: &'static Op = &spec::UNFOLLOW_PLAYLIST;
}

/// `GET /playlists/{id}/followers/contains`. Not in development mode.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CheckFollowsPlaylist {
    /// The playlist.
    pub id: String,
    /// The user who consented.
    #[serde(default)]
    pub ids: Vec<String>,
}

impl Args for CheckFollowsPlaylist {
    type Output = Vec<Option<bool>>;
    const OP: &'static Op = &spec::CHECK_FOLLOWS_PLAYLIST;
}
