//! The remote calls: for each the fields that it takes, and what it gives.
//!
//! [`Call`] makes an endpoint of them, all alike, because the service is regular: a field whose name stands in braces in
//! the operation's path goes there, those of [`Args::BODY`] go into a JSON body, and the others into the query. Calls
//! that take the same fields are a family, whose parameter says what is meant; each operation's [`Op`] in
//! [`spec`](super::spec) links to the vendor's page.
//!
//! ```
//! use integrations_core::Endpoint;
//! use integrations_music::spotify::ops::{Call, Get};
//! use integrations_music::spotify::wire::Track;
//!
//! let track = Call(Get::<Track> { id: "t1".into(), market: Some("FR".parse()?), ..Get::default() });
//! let request = track.request(&"https://api.spotify.com/v1".parse()?)?;
//! assert_eq!(request.uri(), "https://api.spotify.com/v1/tracks/t1?market=FR");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(clippy::exhaustive_structs, reason = "made by their fields, with `..Default::default()`")]

/// What calls of a family differ in, one row for each kind: the operation, what it gives, and the field of the answer that
/// holds that.
macro_rules! rows {
    (Several: $($kind:ty => $op:ident, $key:literal;)+) => {$(
        impl Several for $kind {
            const SEVERAL: (&'static Op, &'static str) = (&spec::$op, $key);
        }
    )+};
    (Saving: $($kind:ty => $save:ident, $remove:ident, $check:ident $(, $body:expr)?;)+) => {$(
        impl Saving for $kind {
            const SAVE: &'static Op = &spec::$save;
            const REMOVE: &'static Op = &spec::$remove;
            const CHECK: &'static Op = &spec::$check;
            $(const BODY: &'static [&'static str] = $body;)?
        }
    )+};
    ($family:ident, $gives:ident, $call:ident: $($kind:ty => $op:ident, $output:ty $(, $key:literal)?;)+) => {$(
        impl $family for $kind {
            type $gives = $output;
            const $call: &'static Op = &spec::$op;
            $(const KEY: &'static str = $key;)?
        }
    )+};
}

/// Names of kinds that have no type of their own.
macro_rules! kinds {
    ($($(#[$about:meta])+ $name:ident;)+) => {$(
        $(#[$about])+
        #[derive(Debug, Clone, Default)]
        pub struct $name;
    )+};
}

mod catalog;
mod library;
mod player;
mod playlists;

use std::any::TypeId;

use bytes::Bytes;
use http::{Method, Uri};
#[cfg(feature = "dynamic")]
use integrations_core::dynamic::OpEntry;
use integrations_core::{Endpoint, Error, Op, Req, Result, WireRequest, WireResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(feature = "dynamic")]
use super::wire;

pub use catalog::*;
pub use library::*;
pub use player::*;
pub use playlists::*;

/// Every call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[OpEntry] = &[
    OpEntry::of::<Call<Get<wire::Track>>>(),
    OpEntry::of::<Call<GetSeveral<wire::Track>>>(),
    OpEntry::of::<Call<Get<wire::Album>>>(),
    OpEntry::of::<Call<GetSeveral<wire::Album>>>(),
    OpEntry::of::<Call<ListOf<wire::Track>>>(),
    OpEntry::of::<Call<Get<wire::Artist>>>(),
    OpEntry::of::<Call<GetSeveral<wire::Artist>>>(),
    OpEntry::of::<Call<ListOf<wire::Album>>>(),
    OpEntry::of::<Call<Get<TopTracks>>>(),
    OpEntry::of::<Call<Get<RelatedArtists>>>(),
    OpEntry::of::<Call<Get<Show>>>(),
    OpEntry::of::<Call<GetSeveral<Show>>>(),
    OpEntry::of::<Call<ListOf<Episode>>>(),
    OpEntry::of::<Call<Get<Episode>>>(),
    OpEntry::of::<Call<GetSeveral<Episode>>>(),
    OpEntry::of::<Call<Get<Audiobook>>>(),
    OpEntry::of::<Call<GetSeveral<Audiobook>>>(),
    OpEntry::of::<Call<ListOf<Chapter>>>(),
    OpEntry::of::<Call<Get<Chapter>>>(),
    OpEntry::of::<Call<GetSeveral<Chapter>>>(),
    OpEntry::of::<Call<Get<AudioFeatures>>>(),
    OpEntry::of::<Call<GetSeveral<AudioFeatures>>>(),
    OpEntry::of::<Call<Get<AudioAnalysis>>>(),
    OpEntry::of::<Call<Get<wire::User>>>(),
    OpEntry::of::<Call<Search>>(),
    OpEntry::of::<Call<GetRecommendations>>(),
    OpEntry::of::<Call<Fetch<Genres>>>(),
    OpEntry::of::<Call<Fetch<Markets>>>(),
    OpEntry::of::<Call<List<NewReleases>>>(),
    OpEntry::of::<Call<List<Featured>>>(),
    OpEntry::of::<Call<List<Category>>>(),
    OpEntry::of::<Call<GetCategory>>(),
    OpEntry::of::<Call<ListOf<Category>>>(),
    OpEntry::of::<Call<GetPlaylist>>(),
    OpEntry::of::<Call<ChangePlaylist>>(),
    OpEntry::of::<Call<GetContents<Items>>>(),
    OpEntry::of::<Call<AddContents<Items>>>(),
    OpEntry::of::<Call<ReplaceContents<Items>>>(),
    OpEntry::of::<Call<ReorderContents<Items>>>(),
    OpEntry::of::<Call<RemoveContents<Items>>>(),
    OpEntry::of::<Call<GetContents<Tracks>>>(),
    OpEntry::of::<Call<AddContents<Tracks>>>(),
    OpEntry::of::<Call<ReplaceContents<Tracks>>>(),
    OpEntry::of::<Call<ReorderContents<Tracks>>>(),
    OpEntry::of::<Call<RemoveContents<Tracks>>>(),
    OpEntry::of::<Call<List<wire::Playlist>>>(),
    OpEntry::of::<Call<CreatePlaylist>>(),
    OpEntry::of::<Call<ListOf<wire::Playlist>>>(),
    OpEntry::of::<Call<CreateUserPlaylist>>(),
    OpEntry::of::<Call<Get<Cover>>>(),
    OpEntry::of::<Call<SetPlaylistCover>>(),
    OpEntry::of::<Call<FollowPlaylist>>(),
    OpEntry::of::<Call<UnfollowPlaylist>>(),
    OpEntry::of::<Call<CheckFollowsPlaylist>>(),
    OpEntry::of::<Call<List<Saved<wire::Track>>>>(),
    OpEntry::of::<Call<Save<wire::Track>>>(),
    OpEntry::of::<Call<Unsave<wire::Track>>>(),
    OpEntry::of::<Call<CheckSaved<wire::Track>>>(),
    OpEntry::of::<Call<List<Saved<wire::Album>>>>(),
    OpEntry::of::<Call<Save<wire::Album>>>(),
    OpEntry::of::<Call<Unsave<wire::Album>>>(),
    OpEntry::of::<Call<CheckSaved<wire::Album>>>(),
    OpEntry::of::<Call<List<Saved<Show>>>>(),
    OpEntry::of::<Call<Save<Show>>>(),
    OpEntry::of::<Call<Unsave<Show>>>(),
    OpEntry::of::<Call<CheckSaved<Show>>>(),
    OpEntry::of::<Call<List<Saved<Episode>>>>(),
    OpEntry::of::<Call<Save<Episode>>>(),
    OpEntry::of::<Call<Unsave<Episode>>>(),
    OpEntry::of::<Call<CheckSaved<Episode>>>(),
    OpEntry::of::<Call<List<Saved<Audiobook>>>>(),
    OpEntry::of::<Call<Save<Audiobook>>>(),
    OpEntry::of::<Call<Unsave<Audiobook>>>(),
    OpEntry::of::<Call<CheckSaved<Audiobook>>>(),
    OpEntry::of::<Call<SaveItems>>(),
    OpEntry::of::<Call<RemoveItems>>(),
    OpEntry::of::<Call<CheckItems>>(),
    OpEntry::of::<Call<GetFollowed>>(),
    OpEntry::of::<Call<Follow>>(),
    OpEntry::of::<Call<Unfollow>>(),
    OpEntry::of::<Call<CheckFollows>>(),
    OpEntry::of::<Call<Fetch<wire::User>>>(),
    OpEntry::of::<Call<List<wire::Track>>>(),
    OpEntry::of::<Call<List<wire::Artist>>>(),
    OpEntry::of::<Call<GetRecentlyPlayed>>(),
    OpEntry::of::<Call<GetPlayback>>(),
    OpEntry::of::<Call<GetCurrentlyPlaying>>(),
    OpEntry::of::<Call<Fetch<wire::Device>>>(),
    OpEntry::of::<Call<Fetch<wire::Queue>>>(),
    OpEntry::of::<Call<Transfer>>(),
    OpEntry::of::<Call<Control<Play>>>(),
    OpEntry::of::<Call<Control<Pause>>>(),
    OpEntry::of::<Call<Control<Next>>>(),
    OpEntry::of::<Call<Control<Previous>>>(),
    OpEntry::of::<Call<Control<Seek>>>(),
    OpEntry::of::<Call<Control<Repeat>>>(),
    OpEntry::of::<Call<Control<Volume>>>(),
    OpEntry::of::<Call<Control<Shuffle>>>(),
    OpEntry::of::<Call<Control<Enqueue>>>(),
];

/// An endpoint: the fields of one operation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Call<A>(pub A);

/// The fields of one operation, and what there is to know about it.
pub trait Args: Serialize + Send + Sync {
    /// What the operation gives.
    type Output: DeserializeOwned + Send + 'static;
    /// The operation.
    const OP: &'static Op;
    /// The fields that go into the body. One that is not set is left out, there as in the query.
    const BODY: &'static [&'static str] = &[];
    /// The field of the answer that holds what is given; empty for the whole answer.
    const KEY: &'static str = "";

    /// The request.
    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let mut fields = fields(self)?;
        let body: Map<_, _> = Self::BODY.iter().filter_map(|name| fields.remove_entry(*name)).collect();
        let request = addressed(Self::OP, base, fields);
        if Self::BODY.is_empty() { request.build() } else { request.json(&body).build() }
    }
}

impl<A: Args> Endpoint for Call<A> {
    type Output = A::Output;
    const OP: &'static Op = A::OP;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        self.0.request(base)
    }

    fn response(&self, mut response: WireResponse) -> Result<A::Output> {
        // No content, as of a player that is silent, stands for `null`. What a command answers is not looked at.
        if response.body.is_empty() || TypeId::of::<A::Output>() == TypeId::of::<()>() {
            response.body = Bytes::from_static(b"null");
        }
        if !A::KEY.is_empty() {
            let held = response.json::<Map<String, Value>>()?.remove(A::KEY);
            let held = held.ok_or_else(|| response.undecodable(format!("the answer has no `{}`", A::KEY)))?;
            response.body = held.to_string().into();
        }
        response.json()
    }
}

/// The fields that are set.
fn fields(args: &(impl Serialize + ?Sized)) -> Result<Map<String, Value>> {
    let mut fields: Map<String, Value> = serde_json::to_value(args)
        .and_then(serde_json::from_value)
        .map_err(|_| Error::invalid_request("the fields cannot be written as a JSON object"))?;
    fields.retain(|_, value| !value.is_null());
    Ok(fields)
}

/// The operation's method and address, with the fields in its path or in its query.
fn addressed(op: &'static Op, base: &Uri, mut fields: Map<String, Value>) -> Req {
    let mut segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => fields.remove(name).map(text).unwrap_or_default(),
        None => part.to_owned(),
    };
    let path: Vec<String> = op.path.split('/').skip(1).map(&mut segment).collect();
    let method = Method::from_bytes(op.method.as_bytes()).unwrap_or_default();
    fields
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .filter(|(_, text)| !text.is_empty())
        .fold(Req::new(method, base).path(path), |request, (name, text)| request.query(&name, Some(text)))
}

/// A value as addresses have it: lists have commas.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(values) => values.into_iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use http::{HeaderMap, StatusCode};
    use integrations_core::{Effect, ErrorKind};

    use super::*;
    use crate::spotify::wire::Track;

    fn sent<A: Args>(args: A) -> (String, String) {
        let request = Call(args).request(&"https://api.example/v1".parse().unwrap()).unwrap();
        let body = request.body().as_bytes().unwrap_or_default();
        (request.uri().to_string(), String::from_utf8(body.to_vec()).unwrap())
    }

    fn read<A: Args + Default>(body: &'static str) -> Result<A::Output> {
        let response = WireResponse::new(A::OP, StatusCode::OK, HeaderMap::new(), body);
        Call(A::default()).response(response)
    }

    #[test]
    fn each_field_goes_where_the_operation_has_it() {
        let id = "a/../b".to_owned();
        let (uri, body) = sent(Get::<Track> { id: id.clone(), ..Get::default() });
        assert_eq!((uri.as_str(), body.as_str()), ("https://api.example/v1/tracks/a%2F..%2Fb", ""));
        let uris = vec!["a".to_owned(), "b".to_owned()];
        let (uri, _) = sent(SaveItems { uris: uris.clone() });
        assert_eq!(uri, "https://api.example/v1/me/library?uris=a%2Cb");
        let (uri, body) =
            sent(AddContents::<Items> { id, uris, position: Some(0), ..AddContents::default() });
        assert_eq!(uri, "https://api.example/v1/playlists/a%2F..%2Fb/items");
        assert_eq!(body, r#"{"position":0,"uris":["a","b"]}"#);
        let (uri, body) = sent(Control { device_id: Some("d".to_owned()), command: Play::default() });
        assert_eq!(
            (uri.as_str(), body.as_str()),
            ("https://api.example/v1/me/player/play?device_id=d", "{}")
        );
    }

    #[test]
    fn the_body_of_a_removal_goes_by_the_name_of_the_path() {
        let uris = vec!["a".to_owned()];
        let items = RemoveContents::<Items> { id: "p".to_owned(), uris, ..RemoveContents::default() };
        assert_eq!(sent(items.clone()).1, r#"{"items":[{"uri":"a"}]}"#);
        let version = Some("s".to_owned());
        let tracks = RemoveContents::<Tracks> {
            id: items.id,
            uris: items.uris,
            snapshot_id: version,
            path: PhantomData,
        };
        assert_eq!(sent(tracks).1, r#"{"snapshot_id":"s","tracks":[{"uri":"a"}]}"#);
    }

    #[test]
    fn an_address_without_its_id_is_refused_before_it_is_sent() {
        let request = Call(Get::<Track>::default()).request(&"https://api.example/v1".parse().unwrap());
        assert_eq!(request.unwrap_err().effect(), Effect::NotSent);
    }

    #[test]
    fn what_is_held_by_a_field_is_taken_out_and_silence_is_nothing() {
        let tracks = read::<GetSeveral<Track>>(r#"{"tracks":[null,{"id":"t"}],"new":1}"#).unwrap();
        assert_eq!(tracks[0], None);
        assert_eq!(tracks[1].as_ref().unwrap().object.id.as_deref(), Some("t"));
        let error = read::<GetSeveral<Track>>(r#"{"songs":[]}"#).unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Rejected));
        assert_eq!(read::<GetPlayback>("").unwrap(), None);
        assert_eq!(read::<Get<Track>>("").unwrap_err().kind(), ErrorKind::Decode);
        read::<Control<Pause>>("no JSON at all").unwrap();
    }
}
