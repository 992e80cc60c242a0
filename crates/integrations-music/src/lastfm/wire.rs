//! What the service sends. It is JSON converted from XML: a list of one is the item itself, an empty list or thing may be an
//! empty text, numbers are texts, the text of an element is `#text`, its attributes are `@attr`
//! (<https://www.last.fm/api/rest>). So nothing has one shape, and all is asked for by name.

use integrations_core::loose::Thing;
use integrations_core::page::NumberedItems;
use integrations_core::{Result, WireResponse};

use super::id::{album_id, track_id};
use super::types::{AlbumDetails, Session, Token, TrackDetails, User};
use crate::{
    Album, AlbumRef, Artist, ArtistId, ArtistInfo, ArtistRef, IgnoredReason, Image, Played, PlaylistEntry,
    Scrobbled, Tag, Track,
};

/// What the vendor shows where it has no picture.
const PLACEHOLDER: &str = "2a96cbd8b46e442fc41c2b86b821562f";

/// The widths of pictures; sizes that the vendor names besides are the largest again
/// (<https://lastfm-docs.github.io/api-docs/album/getInfo/>, the addresses).
const WIDTHS: &[(&str, u32)] = &[("extralarge", 300), ("large", 174), ("medium", 64), ("small", 34)];

/// Vendor page: <https://www.last.fm/api/show/track.scrobble>, "ignoredMessage".
const IGNORED: &[(&str, IgnoredReason)] = &[
    ("1", IgnoredReason::Artist),
    ("2", IgnoredReason::Track),
    ("3", IgnoredReason::TooOld),
    ("4", IgnoredReason::TooNew),
    ("5", IgnoredReason::DailyLimit),
];

type Read<T> = fn(&Thing) -> Result<T>;

/// The one thing that an answer has.
pub(super) fn one<T>(response: &WireResponse, name: &str, read: Read<T>) -> Result<T> {
    read(&Thing::under(response, name)?)
}

/// A list.
pub(super) fn list<T>(response: &WireResponse, at: [&str; 2], read: Read<T>) -> Result<NumberedItems<T>> {
    let list = Thing::under(response, at[0])?;
    let about = list.thing("@attr");
    Ok(NumberedItems::new(list.each(at[1], read)?, about.number("totalPages"), about.number("total")))
}

/// What a search has found.
pub(super) fn found<T>(response: &WireResponse, kind: &str, read: Read<T>) -> Result<NumberedItems<T>> {
    let results = Thing::under(response, "results")?;
    let items = results.thing(&format!("{kind}matches")).each(kind, read)?;
    let total = results.number("opensearch:totalResults");
    let size = results.number("opensearch:itemsPerPage").filter(|size| *size > 0);
    Ok(NumberedItems::new(items, total.zip(size).map(|(total, size)| total.div_ceil(size)), total))
}

pub(super) fn to_played(thing: &Thing) -> Result<Played> {
    Ok(Played::new(to_track(thing)?, thing.thing("date").time("uts")))
}

pub(super) fn to_entry(thing: &Thing) -> Result<PlaylistEntry> {
    Ok(PlaylistEntry::track(to_track(thing)?, thing.thing("date").time("uts")))
}

/// A track by itself counts milliseconds (<https://lastfm-docs.github.io/api-docs/track/getInfo/>).
pub(super) fn to_track_details(thing: &Thing) -> Result<TrackDetails> {
    let mut track = to_track(thing)?;
    track.duration_ms = duration(thing, 1);
    let (loved, plays) = (thing.number("userloved").map(|loved| loved > 0), thing.number("userplaycount"));
    Ok(TrackDetails { track, loved, plays })
}

pub(super) fn to_album_details(thing: &Thing) -> Result<AlbumDetails> {
    let (mut album, tracks) = (to_album(thing)?, thing.thing("tracks").each("track", to_track)?);
    album.total_tracks = u32::try_from(tracks.len()).ok().filter(|total| *total > 0);
    Ok(AlbumDetails { album, tracks, tags: to_tags(&thing.thing("tags")) })
}

pub(super) fn to_artist_info(thing: &Thing) -> Result<ArtistInfo> {
    let mut info = ArtistInfo::new(to_artist(thing)?);
    info.tags = to_tags(&thing.thing("tags"));
    info.artist.genres = info.tags.iter().map(|tag| tag.name.clone()).collect();
    let similar = thing.thing("similar").many("artist");
    info.similar = similar.iter().filter_map(|artist| artist.word("name")).map(artist_ref).collect();
    info.biography = thing.thing("bio").word("content");
    let stats = thing.thing("stats");
    (info.listeners, info.plays) = (stats.number("listeners"), stats.number("playcount"));
    Ok(info)
}

pub(super) fn to_user(thing: &Thing) -> Result<User> {
    let registered = thing.thing("registered").time("unixtime");
    let (name, real_name) = (thing.need("name")?, thing.word("realname"));
    Ok(User { name, real_name, url: thing.word("url"), plays: thing.number("playcount"), registered })
}

pub(super) fn to_session(thing: &Thing) -> Result<Session> {
    Ok(Session { user: thing.need("name")?, key: thing.need("key")?.into() })
}

pub(super) fn token(response: &WireResponse) -> Result<Token> {
    Ok(Token { token: Thing::top(response)?.need("token")?.into() })
}

/// A write answers with an empty thing.
pub(super) fn done(response: &WireResponse) -> Result<()> {
    Thing::top(response).map(drop)
}

/// The items stand in the order of the batch, and have nothing else that says which is which.
pub(super) fn scrobbled(response: &WireResponse, sent: usize) -> Result<Vec<Scrobbled>> {
    let items = Thing::under(response, "scrobbles")?.many("scrobble");
    if items.len() != sent {
        return Err(response.undecodable(format!("{} outcomes for {sent} scrobbles", items.len())));
    }
    Ok(items.iter().map(to_outcome).collect())
}

pub(super) fn to_outcome(thing: &Thing) -> Scrobbled {
    let Some(code) = thing.thing("ignoredMessage").word("code").filter(|code| code != "0") else {
        return Scrobbled::Accepted;
    };
    let known = IGNORED.iter().find(|(known, _)| *known == code).map(|(_, reason)| reason.clone());
    Scrobbled::Ignored(known.unwrap_or_else(|| IgnoredReason::from(code)))
}

/// A track is its names: without them it cannot be used. Lists and albums count seconds
/// (<https://lastfm-docs.github.io/api-docs/album/getInfo/>).
pub(super) fn to_track(thing: &Thing) -> Result<Track> {
    let (artist, title) = (artist(thing)?, thing.need("name")?);
    let mut track = Track::new(track_id(&artist, &title), title);
    let album = thing.thing("album");
    let album_artist = album.word("artist").unwrap_or_else(|| artist.clone());
    let album = album.word("title").or_else(|| album.word("#text"));
    track.album = album.map(|title| AlbumRef::new(Some(album_id(&album_artist, &title)), title));
    track.artists = vec![artist_ref(artist)];
    track.duration_ms = duration(thing, 1000);
    (track.ids.mbid, track.url, track.images) = (thing.word("mbid"), thing.word("url"), images(thing));
    for name in ["listeners", "playcount"] {
        track.extra.extend(thing.number(name).map(|count| (name.to_owned(), count.into())));
    }
    Ok(track)
}

pub(super) fn to_artist(thing: &Thing) -> Result<Artist> {
    let name = thing.need("name")?;
    let mut artist = Artist::new(name.as_str(), name.clone());
    (artist.ids.mbid, artist.url, artist.images) = (thing.word("mbid"), thing.word("url"), images(thing));
    Ok(artist)
}

pub(super) fn to_album(thing: &Thing) -> Result<Album> {
    let (artist, title) = (artist(thing)?, thing.need("name")?);
    let mut album = Album::new(album_id(&artist, &title), title);
    album.artists = vec![artist_ref(artist)];
    (album.ids.mbid, album.url, album.images) = (thing.word("mbid"), thing.word("url"), images(thing));
    Ok(album)
}

pub(super) fn to_tags(thing: &Thing) -> Vec<Tag> {
    let weight = |tag: &Thing| u8::try_from(tag.number("count")?.min(100)).ok();
    thing.many("tag").iter().filter_map(|tag| Some(Tag::new(tag.word("name")?, weight(tag)))).collect()
}

/// In lists it is a text, or a thing with a name or a text.
fn artist(thing: &Thing) -> Result<String> {
    thing.thing("artist").word("name").map_or_else(|| thing.need("artist"), Ok)
}

/// In milliseconds; the vendor's unit has so many. Zero is its word for "not known".
fn duration(thing: &Thing, unit: u64) -> Option<u64> {
    thing.number("duration").filter(|duration| *duration > 0).map(|duration| duration.saturating_mul(unit))
}

fn artist_ref(name: String) -> ArtistRef {
    ArtistRef::new(Some(ArtistId::from(name.as_str())), name)
}

fn images(thing: &Thing) -> Vec<Image> {
    let pictures = thing.many("image");
    let with_width = |(size, width): &(&str, u32)| {
        let picture = pictures.iter().find(|picture| picture.word("size").as_deref() == Some(size))?;
        let url = picture.word("#text").filter(|url| !url.contains(PLACEHOLDER))?;
        Some(Image::new(url).size(Some(*width), None))
    };
    WIDTHS.iter().filter_map(with_width).collect()
}
