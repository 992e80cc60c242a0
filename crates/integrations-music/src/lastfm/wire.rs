//! What the service sends. It is JSON converted from XML: a list of one is the item itself, an empty list or thing may be an
//! empty text, numbers are texts, the text of an element is `#text`, its attributes are `@attr`
//! (<https://www.last.fm/api/rest>).

use integrations_core::{Result, WireResponse};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::{Map, Value};

use super::id::{album_id, track_id};
use super::types::{AlbumDetails, Listed, Session, TagInfo, Token, TrackDetails, User};
use crate::{
    Album, AlbumRef, Artist, ArtistId, ArtistInfo, ArtistRef, ExternalIds, IgnoredReason, Image, Played,
    PlaylistEntry, Scrobbled, Tag, Track,
};

/// What the vendor shows where it has no picture.
const PLACEHOLDER: &str = "2a96cbd8b46e442fc41c2b86b821562f";

/// The widths of pictures (<https://lastfm-docs.github.io/api-docs/album/getInfo/>, the addresses).
const WIDTHS: &[(&str, u32)] = &[("extralarge", 300), ("large", 174), ("medium", 64), ("small", 34)];

/// Milliseconds in one unit of a duration: lists and albums count seconds, a track by itself milliseconds
/// (<https://lastfm-docs.github.io/api-docs/album/getInfo/>).
const SECONDS: u64 = 1000;
const MILLISECONDS: u64 = 1;

#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    #[serde(default, deserialize_with = "number")]
    pub(super) error: Option<u64>,
    #[serde(default, deserialize_with = "word")]
    pub(super) message: Option<String>,
}

/// Declares what is sent: texts, numbers, things and lists, none of which need be there.
macro_rules! sent {
    ($($name:ident { $($field:ident: $type:ty = $wire:literal by $read:literal,)* })+) => {
        $(
            #[derive(Debug, Default, Deserialize)]
            #[serde(default)]
            struct $name {
                $(#[serde(rename = $wire, deserialize_with = $read)] $field: $type,)*
            }
        )+
    };
}

sent! {
    TrackForm {
        name: Option<String> = "name" by "word",
        artist: Option<String> = "artist" by "word",
        album: Thing = "album" by "thing",
        mbid: Option<String> = "mbid" by "word",
        url: Option<String> = "url" by "word",
        duration: Option<u64> = "duration" by "number",
        images: Vec<Picture> = "image" by "many",
        listeners: Option<u64> = "listeners" by "number",
        plays: Option<u64> = "playcount" by "number",
        loved: Option<u64> = "userloved" by "number",
        user_plays: Option<u64> = "userplaycount" by "number",
        date: Date = "date" by "thing",
    }
    ArtistForm {
        name: Option<String> = "name" by "word",
        mbid: Option<String> = "mbid" by "word",
        url: Option<String> = "url" by "word",
        images: Vec<Picture> = "image" by "many",
        stats: Stats = "stats" by "thing",
        tags: Tags = "tags" by "thing",
        similar: Similar = "similar" by "thing",
        bio: Text = "bio" by "thing",
    }
    AlbumForm {
        name: Option<String> = "name" by "word",
        artist: Option<String> = "artist" by "word",
        mbid: Option<String> = "mbid" by "word",
        url: Option<String> = "url" by "word",
        images: Vec<Picture> = "image" by "many",
        tracks: Tracks = "tracks" by "thing",
        tags: Tags = "tags" by "thing",
    }
    Thing { title: Option<String> = "title" by "word", text: Option<String> = "#text" by "word", artist: Option<String> = "artist" by "word", }
    Picture { url: Option<String> = "#text" by "word", size: Option<String> = "size" by "word", }
    Date { unix: Option<u64> = "uts" by "number", }
    Stats { listeners: Option<u64> = "listeners" by "number", plays: Option<u64> = "playcount" by "number", }
    Text { content: Option<String> = "content" by "word", }
    TagForm { name: Option<String> = "name" by "word", count: Option<u64> = "count" by "number", }
    Tags { items: Vec<TagForm> = "tag" by "many", }
    Similar { items: Vec<ArtistForm> = "artist" by "many", }
    Tracks { items: Vec<TrackForm> = "track" by "many", }
    Attributes { pages: Option<u64> = "totalPages" by "number", total: Option<u64> = "total" by "number", }
    Found { total: Option<u64> = "opensearch:totalResults" by "number", size: Option<u64> = "opensearch:itemsPerPage" by "number", }
    UserForm {
        name: Option<String> = "name" by "word",
        real_name: Option<String> = "realname" by "word",
        url: Option<String> = "url" by "word",
        country: Option<String> = "country" by "word",
        plays: Option<u64> = "playcount" by "number",
        registered: Registered = "registered" by "thing",
    }
    Registered { unix: Option<u64> = "unixtime" by "number", }
    TagInfoForm {
        name: Option<String> = "name" by "word",
        total: Option<u64> = "total" by "number",
        reach: Option<u64> = "reach" by "number",
        wiki: Text = "wiki" by "thing",
    }
    SessionForm { name: Option<String> = "name" by "word", key: Option<String> = "key" by "word", }
    Ignored { message: IgnoredMessage = "ignoredMessage" by "thing", }
    IgnoredMessage { code: Option<String> = "code" by "word", }
    Scrobbles { items: Vec<Ignored> = "scrobble" by "many", }
}

/// A text, wherever it stands: as it is, as a number, as the text or the name of a thing. Empty is none.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Value::deserialize(deserializer).map(text_of)
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text).filter(|text| !text.trim().is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(mut thing) => ["name", "#text"].iter().find_map(|name| text_of(thing.remove(*name)?)),
        _ => None,
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(word(deserializer)?.and_then(|text| text.trim().parse().ok()))
}

/// A thing; anything else counts as one of which nothing is said.
fn thing<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    Value::deserialize(deserializer).map(|value| thing_of(value).unwrap_or_default())
}

fn thing_of<T: DeserializeOwned>(value: Value) -> Option<T> {
    value.is_object().then(|| serde_json::from_value(value).ok()).flatten()
}

/// One or many; what is no thing is left out.
fn many<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Value::deserialize(deserializer).map(many_of)
}

fn many_of<T: DeserializeOwned>(value: Value) -> Vec<T> {
    match value {
        Value::Array(items) => items.into_iter().filter_map(thing_of).collect(),
        one => thing_of(one).into_iter().collect(),
    }
}

/// What stands under the one name that every answer has on top. A text in its place is an empty thing.
fn body(response: &WireResponse, name: &str) -> Result<Map<String, Value>> {
    match response.json::<Map<String, Value>>()?.remove(name) {
        Some(Value::Object(thing)) => Ok(thing),
        Some(Value::String(_)) => Ok(Map::new()),
        _ => Err(response.undecodable(format!("the answer has no `{name}`"))),
    }
}

fn one<T: DeserializeOwned + Default>(response: &WireResponse, name: &str) -> Result<T> {
    Ok(thing_of(Value::Object(body(response, name)?)).unwrap_or_default())
}

/// The items of a list under the name of their kind, as the category's type.
fn list<T: DeserializeOwned, U>(
    response: &WireResponse,
    (outer, inner): (&str, &str),
    convert: impl FnMut(T) -> Result<U>,
) -> Result<Listed<U>> {
    let mut list = body(response, outer)?;
    let Attributes { pages, total } = list.remove("@attr").and_then(thing_of).unwrap_or_default();
    let items = many_of(list.remove(inner).unwrap_or_default());
    Ok(Listed { items: items.into_iter().map(convert).collect::<Result<_>>()?, last: pages, total })
}

/// What a search has found.
fn found<T: DeserializeOwned, U>(
    response: &WireResponse,
    (outer, inner): (&str, &str),
    convert: impl FnMut(T) -> Result<U>,
) -> Result<Listed<U>> {
    let mut results = body(response, "results")?;
    let matches = results.remove(outer).and_then(thing_of::<Map<String, Value>>);
    let items = matches.and_then(|mut matches| matches.remove(inner)).map(many_of).unwrap_or_default();
    let items = items.into_iter().map(convert).collect::<Result<_>>()?;
    let Found { total, size } = thing_of(Value::Object(results)).unwrap_or_default();
    let last = total.zip(size.filter(|size| *size > 0)).map(|(total, size)| total.div_ceil(size));
    Ok(Listed { items, last, total })
}

pub(super) fn tracks(response: &WireResponse, name: &str) -> Result<Listed<Track>> {
    list(response, (name, "track"), |track: TrackForm| track.into_domain(response, SECONDS))
}

pub(super) fn found_tracks(response: &WireResponse) -> Result<Listed<Track>> {
    found(response, ("trackmatches", "track"), |track: TrackForm| track.into_domain(response, SECONDS))
}

pub(super) fn artists(response: &WireResponse, name: &str) -> Result<Listed<Artist>> {
    list(response, (name, "artist"), |artist: ArtistForm| artist.into_domain(response))
}

pub(super) fn found_artists(response: &WireResponse) -> Result<Listed<Artist>> {
    found(response, ("artistmatches", "artist"), |artist: ArtistForm| artist.into_domain(response))
}

pub(super) fn top_albums(response: &WireResponse) -> Result<Listed<Album>> {
    list(response, ("topalbums", "album"), |album: AlbumForm| album.into_domain(response))
}

pub(super) fn found_albums(response: &WireResponse) -> Result<Listed<Album>> {
    found(response, ("albummatches", "album"), |album: AlbumForm| album.into_domain(response))
}

pub(super) fn recent_tracks(response: &WireResponse) -> Result<Listed<Played>> {
    list(response, ("recenttracks", "track"), |track: TrackForm| {
        let at = time(track.date.unix);
        Ok(Played::new(track.into_domain(response, SECONDS)?, at))
    })
}

pub(super) fn loved_tracks(response: &WireResponse) -> Result<Listed<PlaylistEntry>> {
    list(response, ("lovedtracks", "track"), |track: TrackForm| {
        let at = time(track.date.unix);
        Ok(PlaylistEntry::track(track.into_domain(response, SECONDS)?, at))
    })
}

pub(super) fn track(response: &WireResponse) -> Result<TrackDetails> {
    let form: TrackForm = one(response, "track")?;
    let (loved, plays) = (form.loved.map(|loved| loved > 0), form.user_plays);
    Ok(TrackDetails { track: form.into_domain(response, MILLISECONDS)?, loved, plays })
}

pub(super) fn album(response: &WireResponse) -> Result<AlbumDetails> {
    let mut form: AlbumForm = one(response, "album")?;
    let tracks = std::mem::take(&mut form.tracks.items).into_iter();
    let tracks: Vec<_> = tracks.map(|track| track.into_domain(response, SECONDS)).collect::<Result<_>>()?;
    let tags = std::mem::take(&mut form.tags).into_domain();
    let mut album = form.into_domain(response)?;
    album.total_tracks = u32::try_from(tracks.len()).ok().filter(|total| *total > 0);
    Ok(AlbumDetails { album, tracks, tags })
}

pub(super) fn artist_info(response: &WireResponse) -> Result<ArtistInfo> {
    let mut form: ArtistForm = one(response, "artist")?;
    let (tags, similar) = (std::mem::take(&mut form.tags), std::mem::take(&mut form.similar.items));
    let (biography, stats) = (form.bio.content.take(), std::mem::take(&mut form.stats));
    let mut info = ArtistInfo::new(form.into_domain(response)?);
    info.tags = tags.into_domain();
    info.artist.genres = info.tags.iter().map(|tag| tag.name.clone()).collect();
    info.similar = similar.into_iter().filter_map(|artist| artist.name).map(artist_ref).collect();
    (info.biography, info.listeners, info.plays) = (biography, stats.listeners, stats.plays);
    Ok(info)
}

pub(super) fn tags(response: &WireResponse) -> Result<Vec<Tag>> {
    Ok(one::<Tags>(response, "toptags")?.into_domain())
}

pub(super) fn user(response: &WireResponse) -> Result<User> {
    let UserForm { name, real_name, url, country, plays, registered } = one(response, "user")?;
    let name = name.ok_or_else(|| response.undecodable("the user has no name"))?;
    Ok(User { name, real_name, url, country, plays, registered: time(registered.unix) })
}

pub(super) fn tag_info(response: &WireResponse) -> Result<TagInfo> {
    let TagInfoForm { name, total, reach, wiki } = one(response, "tag")?;
    let name = name.ok_or_else(|| response.undecodable("the tag has no name"))?;
    Ok(TagInfo { name, taggings: total, reach, about: wiki.content })
}

pub(super) fn session(response: &WireResponse) -> Result<Session> {
    let SessionForm { name, key } = one(response, "session")?;
    let (user, key) =
        name.zip(key).ok_or_else(|| response.undecodable("the session has no name or no key"))?;
    Ok(Session { user, key: key.into() })
}

pub(super) fn token(response: &WireResponse) -> Result<Token> {
    let token = response.json::<Map<String, Value>>()?.remove("token").and_then(text_of);
    Ok(Token { token: token.ok_or_else(|| response.undecodable("the answer has no `token`"))?.into() })
}

/// A write answers with an empty thing.
pub(super) fn done(response: &WireResponse) -> Result<()> {
    response.json::<Map<String, Value>>().map(drop)
}

/// The items stand in the order of the batch, and have nothing else that says which is which.
pub(super) fn scrobbled(response: &WireResponse, sent: usize) -> Result<Vec<Scrobbled>> {
    let Scrobbles { items } = one(response, "scrobbles")?;
    if items.len() != sent {
        return Err(response.undecodable(format!("{} outcomes for {sent} scrobbles", items.len())));
    }
    Ok(items.into_iter().map(Ignored::into_domain).collect())
}

pub(super) fn now_playing(response: &WireResponse) -> Result<Scrobbled> {
    one::<Ignored>(response, "nowplaying").map(Ignored::into_domain)
}

impl Ignored {
    /// Vendor page: <https://www.last.fm/api/show/track.scrobble>, "ignoredMessage".
    fn into_domain(self) -> Scrobbled {
        match self.message.code.as_deref() {
            None | Some("0") => Scrobbled::Accepted,
            Some("1") => Scrobbled::Ignored(IgnoredReason::Artist),
            Some("2") => Scrobbled::Ignored(IgnoredReason::Track),
            Some("3") => Scrobbled::Ignored(IgnoredReason::TooOld),
            Some("4") => Scrobbled::Ignored(IgnoredReason::TooNew),
            Some("5") => Scrobbled::Ignored(IgnoredReason::DailyLimit),
            Some(other) => Scrobbled::Ignored(IgnoredReason::from(other)),
        }
    }
}

impl TrackForm {
    /// A track is its names: without them it cannot be used.
    fn into_domain(self, response: &WireResponse, unit: u64) -> Result<Track> {
        let (title, artist) = self
            .name
            .zip(self.artist)
            .ok_or_else(|| response.undecodable("a track has no name or no artist"))?;
        let mut track = Track::new(track_id(&artist, &title), title);
        let album_artist = self.album.artist.unwrap_or_else(|| artist.clone());
        let album = self.album.title.or(self.album.text);
        track.album = album.map(|title| AlbumRef::new(Some(album_id(&album_artist, &title)), title));
        track.artists = vec![artist_ref(artist)];
        track.duration_ms =
            self.duration.filter(|length| *length > 0).map(|length| length.saturating_mul(unit));
        track.ids = ids(self.mbid);
        (track.url, track.images) = (self.url, images(self.images));
        for (name, count) in [("listeners", self.listeners), ("playcount", self.plays)] {
            track.extra.extend(count.map(|count| (name.to_owned(), count.into())));
        }
        Ok(track)
    }
}

impl ArtistForm {
    fn into_domain(self, response: &WireResponse) -> Result<Artist> {
        let name = self.name.ok_or_else(|| response.undecodable("an artist has no name"))?;
        let mut artist = Artist::new(name.as_str(), name.clone());
        artist.ids = ids(self.mbid);
        (artist.url, artist.images) = (self.url, images(self.images));
        Ok(artist)
    }
}

impl AlbumForm {
    fn into_domain(self, response: &WireResponse) -> Result<Album> {
        let (title, artist) = self
            .name
            .zip(self.artist)
            .ok_or_else(|| response.undecodable("an album has no name or no artist"))?;
        let mut album = Album::new(album_id(&artist, &title), title);
        album.artists = vec![artist_ref(artist)];
        album.ids = ids(self.mbid);
        (album.url, album.images) = (self.url, images(self.images));
        Ok(album)
    }
}

impl Tags {
    fn into_domain(self) -> Vec<Tag> {
        let weight = |count: u64| u8::try_from(count.min(100)).ok();
        let tag = |form: TagForm| Some(Tag::new(form.name?, form.count.and_then(weight)));
        self.items.into_iter().filter_map(tag).collect()
    }
}

fn artist_ref(name: String) -> ArtistRef {
    ArtistRef::new(Some(ArtistId::from(name.as_str())), name)
}

fn ids(mbid: Option<String>) -> ExternalIds {
    let mut ids = ExternalIds::default();
    ids.mbid = mbid;
    ids
}

/// The sizes that the vendor names without a width are the largest one again.
fn images(pictures: Vec<Picture>) -> Vec<Image> {
    let with_width = |(size, width): &(&str, u32)| {
        let of_size = pictures.iter().find(|picture| picture.size.as_deref() == Some(size));
        let url = of_size?.url.clone().filter(|url| !url.contains(PLACEHOLDER))?;
        Some(Image::new(url).size(Some(*width), None))
    };
    WIDTHS.iter().filter_map(with_width).collect()
}

/// Zero is the vendor's word for "not known".
fn time(unix: Option<u64>) -> Option<Timestamp> {
    let seconds = i64::try_from(unix.filter(|unix| *unix > 0)?).ok()?;
    Timestamp::from_second(seconds).ok()
}
