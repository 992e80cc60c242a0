//! The remote calls: one struct each, with pure functions for the request and the answer. A field is the vendor's parameter
//! of the same name; `None` leaves it out. A thing is named by `mbid`, or by its names.

use http::{Method, Uri};
#[cfg(feature = "dynamic")]
use integrations_core::dynamic::OpEntry;
use integrations_core::{Endpoint, Error, Op, Req, Result, SecretString, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::types::{AlbumDetails, Listed, Session, TagInfo, Token, TrackDetails, User, in_full};
use super::{spec, wire};
use crate::{Album, Artist, ArtistInfo, Play, Played, PlaylistEntry, Scrobbled, Tag, Track};

/// Declares calls whose fields are the vendor's parameters.
macro_rules! calls {
    (
        $derives:tt
        $(
            $name:ident = $op:ident $method:literal { $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)? }
                -> $output:ty: $read:expr;
        )+
    ) => {
        $(
            #[doc = concat!("Vendor page [", $method, "](https://www.last.fm/api/show/", $method, ").")]
            #[derive $derives]
            pub struct $name {
                $(
                    $(#[$meta])*
                    #[doc = concat!("The vendor's parameter `", stringify!($field), "`.")]
                    pub $field: $type,
                )*
            }

            impl Endpoint for $name {
                type Output = $output;
                const OP: &'static Op = &spec::$op;

                fn request(&self, base: &Uri) -> Result<WireRequest> {
                    request(Self::OP, base, $method, fields(self)?)
                }

                fn response(&self, response: WireResponse) -> Result<$output> {
                    ($read)(&response)
                }
            }
        )+
    };
}

calls! {
    (Debug, Clone, Default, Serialize, Deserialize)
    TrackSearch = TRACK_SEARCH "track.search"
        { track: String, artist: Option<String>, limit: Option<u32>, page: Option<u32> }
        -> Listed<Track>: wire::found_tracks;
    TrackGetInfo = TRACK_GET_INFO "track.getInfo"
        {
            artist: Option<String>, track: Option<String>, mbid: Option<String>, autocorrect: Option<bool>,
            username: Option<String>,
        }
        -> TrackDetails: wire::track;
    TrackGetTopTags = TRACK_GET_TOP_TAGS "track.getTopTags"
        { artist: Option<String>, track: Option<String>, mbid: Option<String>, autocorrect: Option<bool> }
        -> Vec<Tag>: wire::tags;
    TrackGetSimilar = TRACK_GET_SIMILAR "track.getSimilar"
        {
            artist: Option<String>, track: Option<String>, mbid: Option<String>, autocorrect: Option<bool>,
            limit: Option<u32>,
        }
        -> Vec<Track>: |response| wire::tracks(response, "similartracks").map(|list| list.items);
    TrackLove = TRACK_LOVE "track.love" { artist: String, track: String } -> (): wire::done;
    TrackUnlove = TRACK_UNLOVE "track.unlove" { artist: String, track: String } -> (): wire::done;
    TrackAddTags = TRACK_ADD_TAGS "track.addTags" { artist: String, track: String, tags: String }
        -> (): wire::done;
    TrackRemoveTag = TRACK_REMOVE_TAG "track.removeTag" { artist: String, track: String, tag: String }
        -> (): wire::done;
    ArtistSearch = ARTIST_SEARCH "artist.search" { artist: String, limit: Option<u32>, page: Option<u32> }
        -> Listed<Artist>: wire::found_artists;
    ArtistGetInfo = ARTIST_GET_INFO "artist.getInfo"
        {
            artist: Option<String>, mbid: Option<String>, autocorrect: Option<bool>, username: Option<String>,
            lang: Option<String>,
        }
        -> ArtistInfo: wire::artist_info;
    ArtistGetSimilar = ARTIST_GET_SIMILAR "artist.getSimilar"
        { artist: Option<String>, mbid: Option<String>, autocorrect: Option<bool>, limit: Option<u32> }
        -> Vec<Artist>: |response| wire::artists(response, "similarartists").map(|list| list.items);
    ArtistGetTopTracks = ARTIST_GET_TOP_TRACKS "artist.getTopTracks"
        {
            artist: Option<String>, mbid: Option<String>, autocorrect: Option<bool>, limit: Option<u32>,
            page: Option<u32>,
        }
        -> Listed<Track>: |response| wire::tracks(response, "toptracks");
    ArtistGetTopTags = ARTIST_GET_TOP_TAGS "artist.getTopTags"
        { artist: Option<String>, mbid: Option<String>, autocorrect: Option<bool> }
        -> Vec<Tag>: wire::tags;
    ArtistGetTopAlbums = ARTIST_GET_TOP_ALBUMS "artist.getTopAlbums"
        {
            artist: Option<String>, mbid: Option<String>, autocorrect: Option<bool>, limit: Option<u32>,
            page: Option<u32>,
        }
        -> Listed<Album>: wire::top_albums;
    ArtistAddTags = ARTIST_ADD_TAGS "artist.addTags" { artist: String, tags: String } -> (): wire::done;
    ArtistRemoveTag = ARTIST_REMOVE_TAG "artist.removeTag" { artist: String, tag: String } -> (): wire::done;
    AlbumSearch = ALBUM_SEARCH "album.search" { album: String, limit: Option<u32>, page: Option<u32> }
        -> Listed<Album>: wire::found_albums;
    AlbumGetInfo = ALBUM_GET_INFO "album.getInfo"
        {
            artist: Option<String>, album: Option<String>, mbid: Option<String>, autocorrect: Option<bool>,
            username: Option<String>, lang: Option<String>,
        }
        -> AlbumDetails: wire::album;
    UserGetInfo = USER_GET_INFO "user.getInfo" { user: Option<String> } -> User: wire::user;
    UserGetRecentTracks = USER_GET_RECENT_TRACKS "user.getRecentTracks"
        {
            user: String, limit: Option<u32>, page: Option<u32>, from: Option<i64>, to: Option<i64>,
            extended: Option<bool>,
        }
        -> Listed<Played>: wire::recent_tracks;
    UserGetTopTracks = USER_GET_TOP_TRACKS "user.getTopTracks"
        { user: String, period: Option<String>, limit: Option<u32>, page: Option<u32> }
        -> Listed<Track>: |response| wire::tracks(response, "toptracks");
    UserGetTopArtists = USER_GET_TOP_ARTISTS "user.getTopArtists"
        { user: String, period: Option<String>, limit: Option<u32>, page: Option<u32> }
        -> Listed<Artist>: |response| wire::artists(response, "topartists");
    UserGetLovedTracks = USER_GET_LOVED_TRACKS "user.getLovedTracks"
        { user: String, limit: Option<u32>, page: Option<u32> }
        -> Listed<PlaylistEntry>: wire::loved_tracks;
    TagGetInfo = TAG_GET_INFO "tag.getInfo" { tag: String, lang: Option<String> } -> TagInfo: wire::tag_info;
    TagGetTopTracks = TAG_GET_TOP_TRACKS "tag.getTopTracks"
        { tag: String, limit: Option<u32>, page: Option<u32> }
        -> Listed<Track>: |response| wire::tracks(response, "tracks");
    ChartGetTopTracks = CHART_GET_TOP_TRACKS "chart.getTopTracks" { limit: Option<u32>, page: Option<u32> }
        -> Listed<Track>: |response| wire::tracks(response, "tracks");
    ChartGetTopArtists = CHART_GET_TOP_ARTISTS "chart.getTopArtists" { limit: Option<u32>, page: Option<u32> }
        -> Listed<Artist>: |response| wire::artists(response, "artists");
    LibraryGetArtists = LIBRARY_GET_ARTISTS "library.getArtists"
        { user: String, limit: Option<u32>, page: Option<u32> }
        -> Listed<Artist>: |response| wire::artists(response, "artists");
    AuthGetToken = AUTH_GET_TOKEN "auth.getToken" {} -> Token: wire::token;
}

calls! {
    (Debug, Clone, Serialize, Deserialize)
    AuthGetSession = AUTH_GET_SESSION "auth.getSession"
        { #[serde(serialize_with = "in_full")] token: SecretString }
        -> Session: wire::session;
    AuthGetMobileSession = AUTH_GET_MOBILE_SESSION "auth.getMobileSession"
        { username: String, #[serde(serialize_with = "in_full")] password: SecretString }
        -> Session: wire::session;
}

/// Vendor page [track.scrobble](https://www.last.fm/api/show/track.scrobble).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TrackScrobble {
    /// What was heard, at most 50.
    pub plays: Vec<Play>,
}

impl Endpoint for TrackScrobble {
    type Output = Vec<Scrobbled>;
    const OP: &'static Op = &spec::TRACK_SCROBBLE;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let item = |(at, play): (usize, &Play)| {
            let started = ("timestamp", play.started.as_second().to_string());
            let chosen = play.chosen.map(|chosen| ("chosenByUser", u8::from(chosen).to_string()));
            let all = heard(play).into_iter().chain([started]).chain(chosen);
            all.map(|(name, value)| (format!("{name}[{at}]"), value)).collect::<Vec<_>>()
        };
        request(Self::OP, base, "track.scrobble", self.plays.iter().enumerate().flat_map(item).collect())
    }

    fn response(&self, response: WireResponse) -> Result<Vec<Scrobbled>> {
        wire::scrobbled(&response, self.plays.len())
    }
}

/// Vendor page [track.updateNowPlaying](https://www.last.fm/api/show/track.updateNowPlaying).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrackUpdateNowPlaying {
    /// What is being heard.
    pub play: Play,
}

impl Endpoint for TrackUpdateNowPlaying {
    type Output = Scrobbled;
    const OP: &'static Op = &spec::TRACK_UPDATE_NOW_PLAYING;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let pairs = heard(&self.play).into_iter().map(|(name, value)| (name.to_owned(), value));
        request(Self::OP, base, "track.updateNowPlaying", pairs.collect())
    }

    fn response(&self, response: WireResponse) -> Result<Scrobbled> {
        wire::now_playing(&response)
    }
}

/// What both kinds of scrobbling say about a track. Durations are in seconds.
fn heard(play: &Play) -> Vec<(&'static str, String)> {
    let optional = [
        ("album", play.album.clone()),
        ("duration", play.duration_ms.map(|duration| (duration / 1000).to_string())),
        ("mbid", play.mbid.clone()),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    [("artist", play.artist.clone()), ("track", play.title.clone())].into_iter().chain(optional).collect()
}

/// The fields of a call as parameters, by name; flags are 0 and 1.
fn fields(call: &impl Serialize) -> Result<Vec<(String, String)>> {
    let value = serde_json::to_value(call)
        .map_err(|_| Error::invalid_request("the call cannot be written as parameters"))?;
    let Value::Object(fields) = value else { return Ok(Vec::new()) };
    let mut pairs: Vec<_> =
        fields.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect();
    pairs.sort();
    Ok(pairs)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Bool(flag) => Some(u8::from(flag).to_string()),
        other => Some(other.to_string()),
    }
}

/// A write is a form and a read a query. The one address ends in a slash, which [`Req`] leaves out.
fn request(op: &'static Op, base: &Uri, method: &str, fields: Vec<(String, String)>) -> Result<WireRequest> {
    let pairs = [("method".to_owned(), method.to_owned())].into_iter().chain(fields);
    let mut request = match op.method {
        "POST" => Req::new(Method::POST, base).form(pairs),
        _ => pairs.fold(Req::get(base), |req, (name, value)| req.query(&name, Some(value))),
    }
    .build()?;
    *request.uri_mut() = with_slash(request.uri())?;
    Ok(request)
}

/// The same address with a slash at the end of its path.
pub(super) fn with_slash(uri: &Uri) -> Result<Uri> {
    let text = uri.to_string();
    let (path, query) = text.split_once('?').map_or((&*text, None), |(path, query)| (path, Some(query)));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{query}", path.trim_end_matches('/'))
        .parse()
        .map_err(|_| Error::invalid_request("the address of the service is not a valid URI"))
}

/// Every call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[OpEntry] = &[
    OpEntry::of::<TrackSearch>(),
    OpEntry::of::<TrackGetInfo>(),
    OpEntry::of::<TrackGetTopTags>(),
    OpEntry::of::<TrackGetSimilar>(),
    OpEntry::of::<TrackScrobble>(),
    OpEntry::of::<TrackUpdateNowPlaying>(),
    OpEntry::of::<TrackLove>(),
    OpEntry::of::<TrackUnlove>(),
    OpEntry::of::<TrackAddTags>(),
    OpEntry::of::<TrackRemoveTag>(),
    OpEntry::of::<ArtistSearch>(),
    OpEntry::of::<ArtistGetInfo>(),
    OpEntry::of::<ArtistGetSimilar>(),
    OpEntry::of::<ArtistGetTopTracks>(),
    OpEntry::of::<ArtistGetTopTags>(),
    OpEntry::of::<ArtistGetTopAlbums>(),
    OpEntry::of::<ArtistAddTags>(),
    OpEntry::of::<ArtistRemoveTag>(),
    OpEntry::of::<AlbumSearch>(),
    OpEntry::of::<AlbumGetInfo>(),
    OpEntry::of::<UserGetInfo>(),
    OpEntry::of::<UserGetRecentTracks>(),
    OpEntry::of::<UserGetTopTracks>(),
    OpEntry::of::<UserGetTopArtists>(),
    OpEntry::of::<UserGetLovedTracks>(),
    OpEntry::of::<TagGetInfo>(),
    OpEntry::of::<TagGetTopTracks>(),
    OpEntry::of::<ChartGetTopTracks>(),
    OpEntry::of::<ChartGetTopArtists>(),
    OpEntry::of::<LibraryGetArtists>(),
    OpEntry::of::<AuthGetToken>(),
    OpEntry::of::<AuthGetSession>(),
    OpEntry::of::<AuthGetMobileSession>(),
];
