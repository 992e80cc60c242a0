//! The remote calls: one struct each, with pure functions for the request and the answer. A field is the vendor's parameter
//! of the same name; `None` leaves it out. A thing is named by `mbid`, or by its names.

use http::Uri;
#[cfg(feature = "dynamic")]
use integrations_core::dynamic::OpEntry;
use integrations_core::page::{Numbered, NumberedItems};
use integrations_core::{Endpoint, Op, Req, Result, SecretString, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};

use super::types::{AlbumDetails, Session, Token, TrackDetails, User};
use super::{spec, wire};
use crate::{Album, Artist, ArtistInfo, Play, Played, PlaylistEntry, Scrobbled, Tag, Track};

/// Parameters by name.
type Pairs = Vec<(String, String)>;

/// Declares a call: how its fields become parameters, and how its answer is read.
macro_rules! call {
    ($name:ident $op:ident $method:literal $output:ty, $pairs:expr, $read:expr) => {
        impl Endpoint for $name {
            type Output = $output;
            const OP: &'static Op = &spec::$op;

            fn request(&self, base: &Uri) -> Result<WireRequest> {
                let pairs: fn(&Self) -> Pairs = $pairs;
                request(Self::OP, base, $method, pairs(self))
            }

            fn response(&self, response: WireResponse) -> Result<$output> {
                let read: fn(&Self, &WireResponse) -> Result<$output> = $read;
                read(self, &response)
            }
        }
    };
}

/// A call whose list has numbered pages.
pub(super) trait Paged: Endpoint + Serialize {
    fn at(self, page: &Numbered) -> Self;
}

/// Declares calls by the vendor's parameters: `(texts that there must be) [texts] {numbers}`, and whether its list is [`Paged`].
macro_rules! calls {
    (also [$($also:ident)+]
     $($name:ident $op:ident $method:literal ($($need:ident)*) [$($text:ident)*] {$($number:ident)*}
        $($paged:ident)? -> $output:ty: $read:expr;)+) => {
        $(
            #[doc = concat!("Vendor page [", $method, "](https://www.last.fm/api/show/", $method, ").")]
            #[derive(Debug, Clone, Default, Serialize, Deserialize)]
            pub struct $name {
                $(#[doc = concat!("The vendor's parameter `", stringify!($need), "`.")] pub $need: String,)*
                $(#[doc = concat!("The vendor's parameter `", stringify!($text), "`.")] pub $text: Option<String>,)*
                $(#[doc = concat!("The vendor's parameter `", stringify!($number), "`.")] pub $number: Option<u32>,)*
            }
            call!($name $op $method $output, |call| {
                let _ = call;
                let pairs: Vec<(&str, Option<String>)> = vec![
                    $((stringify!($need), Some(call.$need.clone())),)*
                    $((stringify!($text), call.$text.clone()),)*
                    $((stringify!($number), call.$number.map(|number| number.to_string())),)*
                ];
                pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
            }, |_, response| ($read)(response));
            $(
                impl $paged for $name {
                    fn at(self, page: &Numbered) -> Self {
                        Self { limit: Some(page.length()), page: Some(page.number()), ..self }
                    }
                }
            )?
        )+

        /// Every call with its types erased.
        #[cfg(feature = "dynamic")]
        pub static OPS: &[OpEntry] = &[$(OpEntry::of::<$name>(),)+ $(OpEntry::of::<$also>(),)+];
    };
}

calls! {
    also [AuthGetSession AuthGetMobileSession TrackScrobble TrackUpdateNowPlaying]
    TrackSearch TRACK_SEARCH "track.search" (track) [artist] {limit page} Paged
        -> NumberedItems<Track>: |r| wire::found(r, "track", wire::to_track);
    TrackGetInfo TRACK_GET_INFO "track.getInfo" () [artist track mbid username] {autocorrect}
        -> TrackDetails: |r| wire::one(r, "track", wire::to_track_details);
    TrackGetTopTags TRACK_GET_TOP_TAGS "track.getTopTags" () [artist track mbid] {autocorrect}
        -> Vec<Tag>: |r| wire::one(r, "toptags", |tags| Ok(wire::to_tags(tags)));
    TrackGetSimilar TRACK_GET_SIMILAR "track.getSimilar" () [artist track mbid] {autocorrect limit}
        -> Vec<Track>: |r| wire::list(r, ["similartracks", "track"], wire::to_track).map(|list| list.items);
    TrackLove TRACK_LOVE "track.love" (artist track) [] {} -> (): wire::done;
    TrackUnlove TRACK_UNLOVE "track.unlove" (artist track) [] {} -> (): wire::done;
    ArtistSearch ARTIST_SEARCH "artist.search" (artist) [] {limit page} Paged
        -> NumberedItems<Artist>: |r| wire::found(r, "artist", wire::to_artist);
    ArtistGetInfo ARTIST_GET_INFO "artist.getInfo" () [artist mbid username lang] {autocorrect}
        -> ArtistInfo: |r| wire::one(r, "artist", wire::to_artist_info);
    ArtistGetSimilar ARTIST_GET_SIMILAR "artist.getSimilar" () [artist mbid] {autocorrect limit}
        -> Vec<Artist>: |r| wire::list(r, ["similarartists", "artist"], wire::to_artist).map(|list| list.items);
    ArtistGetTopTracks ARTIST_GET_TOP_TRACKS "artist.getTopTracks" () [artist mbid] {autocorrect limit page} Paged
        -> NumberedItems<Track>: |r| wire::list(r, ["toptracks", "track"], wire::to_track);
    ArtistGetTopTags ARTIST_GET_TOP_TAGS "artist.getTopTags" () [artist mbid] {autocorrect}
        -> Vec<Tag>: |r| wire::one(r, "toptags", |tags| Ok(wire::to_tags(tags)));
    ArtistGetTopAlbums ARTIST_GET_TOP_ALBUMS "artist.getTopAlbums" () [artist mbid] {autocorrect limit page} Paged
        -> NumberedItems<Album>: |r| wire::list(r, ["topalbums", "album"], wire::to_album);
    AlbumSearch ALBUM_SEARCH "album.search" (album) [] {limit page} Paged
        -> NumberedItems<Album>: |r| wire::found(r, "album", wire::to_album);
    AlbumGetInfo ALBUM_GET_INFO "album.getInfo" () [artist album mbid username lang] {autocorrect}
        -> AlbumDetails: |r| wire::one(r, "album", wire::to_album_details);
    UserGetInfo USER_GET_INFO "user.getInfo" () [user] {} -> User: |r| wire::one(r, "user", wire::to_user);
    UserGetRecentTracks USER_GET_RECENT_TRACKS "user.getRecentTracks" (user) [] {limit page from to extended} Paged
        -> NumberedItems<Played>: |r| wire::list(r, ["recenttracks", "track"], wire::to_played);
    UserGetTopTracks USER_GET_TOP_TRACKS "user.getTopTracks" (user) [period] {limit page} Paged
        -> NumberedItems<Track>: |r| wire::list(r, ["toptracks", "track"], wire::to_track);
    UserGetTopArtists USER_GET_TOP_ARTISTS "user.getTopArtists" (user) [period] {limit page} Paged
        -> NumberedItems<Artist>: |r| wire::list(r, ["topartists", "artist"], wire::to_artist);
    UserGetLovedTracks USER_GET_LOVED_TRACKS "user.getLovedTracks" (user) [] {limit page} Paged
        -> NumberedItems<PlaylistEntry>: |r| wire::list(r, ["lovedtracks", "track"], wire::to_entry);
    TagGetTopTracks TAG_GET_TOP_TRACKS "tag.getTopTracks" (tag) [] {limit page} Paged
        -> NumberedItems<Track>: |r| wire::list(r, ["tracks", "track"], wire::to_track);
    AuthGetToken AUTH_GET_TOKEN "auth.getToken" () [] {} -> Token: wire::token;
}

/// Vendor page [auth.getSession](https://www.last.fm/api/show/auth.getSession).
#[derive(Debug, Clone, Deserialize)]
pub struct AuthGetSession {
    /// The token that the user has consented to.
    pub token: SecretString,
}
call!(AuthGetSession AUTH_GET_SESSION "auth.getSession" Session,
    |call| vec![pair("token", call.token.expose())],
    |_, response| wire::one(response, "session", wire::to_session));

/// Vendor page [auth.getMobileSession](https://www.last.fm/api/show/auth.getMobileSession).
#[derive(Debug, Clone, Deserialize)]
pub struct AuthGetMobileSession {
    /// The user's name.
    pub username: String,
    /// Their password.
    pub password: SecretString,
}
call!(AuthGetMobileSession AUTH_GET_MOBILE_SESSION "auth.getMobileSession" Session,
    |call| vec![pair("username", &call.username), pair("password", call.password.expose())],
    |_, response| wire::one(response, "session", wire::to_session));

/// Vendor page [track.scrobble](https://www.last.fm/api/show/track.scrobble).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TrackScrobble {
    /// What was heard, at most 50.
    pub plays: Vec<Play>,
}
call!(TrackScrobble TRACK_SCROBBLE "track.scrobble" Vec<Scrobbled>,
    |call| call.plays.iter().enumerate().flat_map(|(at, play)| numbered(at, play)).collect(),
    |call, response| wire::scrobbled(response, call.plays.len()));

/// Vendor page [track.updateNowPlaying](https://www.last.fm/api/show/track.updateNowPlaying).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrackUpdateNowPlaying {
    /// What is being heard.
    pub play: Play,
}
call!(TrackUpdateNowPlaying TRACK_UPDATE_NOW_PLAYING "track.updateNowPlaying" Scrobbled,
    |call| heard(&call.play),
    |_, response| wire::one(response, "nowplaying", |thing| Ok(wire::to_outcome(thing))));

/// What both kinds of scrobbling say about a track. Durations are in seconds.
fn heard(play: &Play) -> Pairs {
    let duration = play.duration_ms.map(|duration| (duration / 1000).to_string());
    let optional = [("album", play.album.clone()), ("duration", duration), ("mbid", play.mbid.clone())];
    let optional = optional.into_iter().filter_map(|(name, value)| Some(pair(name, value?)));
    [pair("artist", &*play.artist), pair("track", &*play.title)].into_iter().chain(optional).collect()
}

/// One play of a batch.
fn numbered(at: usize, play: &Play) -> Pairs {
    let mut pairs = heard(play);
    pairs.push(pair("timestamp", play.started.as_second().to_string()));
    pairs.extend(play.chosen.map(|chosen| pair("chosenByUser", u8::from(chosen).to_string())));
    pairs.into_iter().map(|(name, value)| (format!("{name}[{at}]"), value)).collect()
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// A write is a form and a read a query. The one address ends in a slash.
fn request(op: &'static Op, base: &Uri, method: &str, fields: Pairs) -> Result<WireRequest> {
    let pairs = [pair("method", method)].into_iter().chain(fields);
    let request = match op.method {
        "POST" => Req::post(base).slash().form(pairs),
        _ => pairs.fold(Req::get(base).slash(), |req, (name, value)| req.query(&name, Some(value))),
    };
    request.build()
}
