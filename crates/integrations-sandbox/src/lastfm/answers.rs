//! The catalogue and its answers in this vendor's words: JSON that was XML once.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::{Answer, SONGS, Song};

/// The star in place of pictures that there are not.
const STAR: &str = "2a96cbd8b46e442fc41c2b86b821562f";

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b' ');

/// An error with its status.
pub(super) fn error(status: u16, code: u32, message: &str) -> Answer {
    Answer::json(status, &json!({ "message": message, "error": code, "links": [] }))
}

pub(super) fn not_found(status: u16, what: &str) -> Answer {
    error(status, 6, &format!("{what} not found"))
}

/// As the addresses of pages have it.
pub(super) fn in_address(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string().replace(' ', "+")
}

pub(super) fn address(path: &str) -> String {
    format!("https://www.last.fm/music/{path}")
}

/// A stable id in the form of a UUID.
pub(super) fn mbid(of: &str) -> String {
    let hash = |start: u64| {
        of.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x8422_2325_cbf2_9ce4));
    let low = format!("{low:016x}");
    format!(
        "{:08x}-{:04x}-4{:03x}-a{}-{}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        &low[..3],
        &low[4..]
    )
}

pub(super) fn track_mbid(song: &Song) -> String {
    mbid(&format!("{}/_/{}", song.artist, song.title))
}

/// Sizes in the vendor's order, of a picture or of none.
pub(super) fn pictures(hash: &str) -> Value {
    let one = |(size, folder): (&str, &str)| json!({ "size": size, "#text": format!("https://lastfm.freetls.fastly.net/i/u/{folder}/{hash}.png") });
    [("small", "34s"), ("medium", "64s"), ("large", "174s"), ("extralarge", "300x300")]
        .map(one)
        .to_vec()
        .into()
}

pub(super) fn star() -> Value {
    pictures(STAR)
}

pub(super) fn cover(song: &Song) -> Value {
    pictures(&mbid(song.album).replace('-', ""))
}

/// What every list calls a track. Durations are seconds here.
pub(super) fn track(song: &Song) -> Map<String, Value> {
    let value = json!({
        "name": song.title,
        "mbid": track_mbid(song),
        "url": track_address(song),
        "duration": (song.duration_ms / 1000).to_string(),
        "streamable": { "#text": "0", "fulltrack": "0" },
        "artist": { "name": song.artist, "mbid": mbid(song.artist), "url": address(&in_address(song.artist)) },
        "image": star(),
    });
    object(value)
}

pub(super) fn track_address(song: &Song) -> String {
    address(&format!("{}/_/{}", in_address(song.artist), in_address(song.title)))
}

pub(super) fn album_address(song: &Song) -> String {
    address(&format!("{}/{}", in_address(song.artist), in_address(song.album)))
}

pub(super) fn artist(name: &str) -> Map<String, Value> {
    object(json!({
        "name": name,
        "mbid": mbid(name),
        "url": address(&in_address(name)),
        "streamable": "0",
        "image": star(),
    }))
}

/// How many hear a track; made up, and the same each time.
pub(super) fn listeners(song: &Song) -> u64 {
    song.duration_ms / 7 + u64::from(song.year)
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The quirk of XML: one thing is no list.
pub(super) fn one_or_many(mut things: Vec<Value>) -> Value {
    if things.len() == 1 { things.remove(0) } else { Value::Array(things) }
}

pub(super) fn with(mut thing: Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    thing.insert(name.to_owned(), value);
    thing
}

/// Numbers its place in the list, from 1.
pub(super) fn ranked(things: impl IntoIterator<Item = Map<String, Value>>, before: usize) -> Vec<Value> {
    let ranked = |(at, thing): (usize, Map<String, Value>)| {
        Value::Object(with(thing, "@attr", json!({ "rank": (before + at + 1).to_string() })))
    };
    things.into_iter().enumerate().map(ranked).collect()
}

pub(super) fn song(artist: &str, title: &str) -> Option<&'static Song> {
    SONGS.iter().find(|song| same(song.artist, artist) && same(song.title, title))
}

/// Names are found in capitals and in small letters.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Every artist once, in the catalogue's order.
pub(super) fn artists() -> Vec<&'static str> {
    let mut names: Vec<&str> = SONGS.iter().map(|song| song.artist).collect();
    names.dedup();
    names
}

/// The first song of every album.
pub(super) fn albums() -> Vec<&'static Song> {
    let mut songs: Vec<&Song> = SONGS.iter().collect();
    songs.dedup_by_key(|song| (song.artist, song.album));
    songs
}

/// Tags of songs, given most first, with the share of the songs that have them.
pub(super) fn tags(songs: &[&Song]) -> Vec<(&'static str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for song in songs {
        for (at, tag) in song.tags.iter().enumerate() {
            let weight = 100 / (at + 1);
            match counts.iter_mut().find(|(name, _)| name == tag) {
                Some((_, count)) => *count += weight,
                None => counts.push((tag, weight)),
            }
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(1);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(name, count)| (name, count * 100 / most)).collect()
}
