//! What anybody may read: searches, similar things, what is heard most.

use serde_json::{Map, Value, json};

use super::answers::{
    address, album_address, albums, artist, artists, cover, in_address, listeners, mbid, not_found, object,
    one_or_many, ranked, same, tags, track, with,
};
use super::{Asked, first, listed, paged, songs_of, tag_object};
use crate::{Answer, SONGS, Song};

fn found(asked: &Asked, kind: &str, all: &[Map<String, Value>], words: &str) -> Answer {
    let limit = asked.number("limit").unwrap_or(30).clamp(1, 1000);
    let page = asked.number("page").unwrap_or(1).max(1);
    let start = (page - 1).saturating_mul(limit).min(all.len());
    let items: Vec<Value> = all[start..].iter().take(limit).cloned().map(Value::from).collect();
    // Nothing at all is an element without anything in it, which became an empty text.
    let matches = if all.is_empty() { json!("\n") } else { json!({ kind: one_or_many(items) }) };
    let body = json!({ "results": {
        "opensearch:Query": { "#text": "", "role": "request", "searchTerms": words, "startPage": page.to_string() },
        "opensearch:totalResults": all.len().to_string(),
        "opensearch:startIndex": start.to_string(),
        "opensearch:itemsPerPage": limit.to_string(),
        format!("{kind}matches"): matches,
        "@attr": { "for": words },
    } });
    Answer::json(200, &body)
}

/// Whether all words are somewhere in the text.
fn holds(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    words.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

pub(super) fn track_search(asked: &Asked) -> Result<Answer, Answer> {
    let (words, by) = (asked.need("track")?, asked.get("artist").unwrap_or_default());
    let fits =
        |song: &&Song| holds(&format!("{} {}", song.title, song.artist), words) && holds(song.artist, by);
    let item = |song: &Song| {
        let mut item = track(song);
        item.remove("duration");
        item = with(item, "artist", song.artist.into());
        // The vendor's own word, in each result: https://lastfm-docs.github.io/api-docs/track/search/
        item = with(item, "streamable", "FIXME".into());
        with(item, "listeners", listeners(song).to_string().into())
    };
    let all: Vec<_> = SONGS.iter().filter(fits).map(item).collect();
    Ok(found(asked, "track", &all, words))
}

pub(super) fn artist_search(asked: &Asked) -> Result<Answer, Answer> {
    let words = asked.need("artist")?;
    let item = |name| with(artist(name), "listeners", "1000".into());
    let all: Vec<_> = artists().into_iter().filter(|name| holds(name, words)).map(item).collect();
    Ok(found(asked, "artist", &all, words))
}

pub(super) fn album_search(asked: &Asked) -> Result<Answer, Answer> {
    let words = asked.need("album")?;
    let fits = |song: &&Song| holds(&format!("{} {}", song.album, song.artist), words);
    let item = |song: &Song| {
        object(json!({
            "name": song.album,
            "artist": song.artist,
            "url": album_address(song),
            "image": cover(song),
            "streamable": "0",
            "mbid": mbid(song.album),
        }))
    };
    let all: Vec<_> = albums().into_iter().filter(fits).map(item).collect();
    Ok(found(asked, "album", &all, words))
}

pub(super) fn track_similar(asked: &Asked) -> Result<Answer, Answer> {
    let song = asked.song()?;
    let shared = |other: &Song| other.tags.iter().filter(|tag| song.tags.contains(tag)).count();
    let mut alike: Vec<_> = SONGS.iter().filter(|other| *other != song && shared(other) > 0).collect();
    alike.sort_by_key(|other| std::cmp::Reverse(shared(other)));
    #[allow(clippy::cast_precision_loss, reason = "a share of two")]
    let item = |other: &&Song| Value::from(with(track(other), "match", (shared(other) as f64 / 2.0).into()));
    let items = alike.iter().take(asked.number("limit").unwrap_or(100)).map(item).collect();
    let attributes = object(json!({ "artist": song.artist }));
    Ok(listed("similartracks", "track", items, attributes))
}

/// Artists that share tags, with how much.
pub(super) fn similar_artists(name: &str) -> Vec<(&'static str, usize)> {
    let own = tags(&songs_of(name));
    let shared = |other: &str| {
        tags(&songs_of(other)).iter().filter(|(tag, _)| own.iter().any(|(own, _)| own == tag)).count()
    };
    let mut alike: Vec<_> = artists()
        .into_iter()
        .filter(|other| *other != name)
        .map(|other| (other, shared(other)))
        .filter(|(_, shared)| *shared > 0)
        .collect();
    alike.sort_by_key(|(_, shared)| std::cmp::Reverse(*shared));
    alike
}

pub(super) fn artist_similar(asked: &Asked) -> Result<Answer, Answer> {
    let name = asked.artist()?;
    let most = asked.number("limit").unwrap_or(100);
    let item = |(other, shared): (&str, usize)| {
        Value::from(with(artist(other), "match", format!("0.{shared}").into()))
    };
    let items = similar_artists(name).into_iter().take(most).map(item).collect();
    Ok(listed("similarartists", "artist", items, object(json!({ "artist": name }))))
}

fn by_listeners(mut songs: Vec<&'static Song>) -> Vec<&'static Song> {
    songs.sort_by_key(|song| std::cmp::Reverse(listeners(song)));
    songs
}

pub(super) fn artist_top_tracks(asked: &Asked) -> Result<Answer, Answer> {
    let name = asked.artist()?;
    let songs = by_listeners(songs_of(name));
    let (page, attributes) = paged(asked, &songs, 1000);
    let item = |song: &&Song| {
        let mut item = track(song);
        item.remove("duration");
        item = with(item, "playcount", (listeners(song) * 9).to_string().into());
        with(item, "listeners", listeners(song).to_string().into())
    };
    let items = ranked(page.iter().map(item), first(&attributes));
    Ok(listed("toptracks", "track", items, with(attributes, "artist", name.into())))
}

pub(super) fn artist_top_albums(asked: &Asked) -> Result<Answer, Answer> {
    let name = asked.artist()?;
    let songs: Vec<_> = albums().into_iter().filter(|song| song.artist == name).collect();
    let (page, attributes) = paged(asked, &songs, 1000);
    let item = |song: &&Song| {
        Value::from(object(json!({
            "name": song.album,
            "playcount": listeners(song) * 9,
            "mbid": mbid(song.album),
            "url": album_address(song),
            "artist": { "name": song.artist, "mbid": mbid(song.artist), "url": address(&in_address(name)) },
            "image": cover(song),
        })))
    };
    let items = page.iter().map(item).collect();
    Ok(listed("topalbums", "album", items, with(attributes, "artist", name.into())))
}

pub(super) fn album_info(asked: &Asked) -> Result<Answer, Answer> {
    let fits = |song: &&&Song| match asked.get("mbid") {
        Some(id) => mbid(song.album) == id,
        None => {
            let is = |name: &str, value: &str| asked.get(name).is_some_and(|asked| same(asked, value));
            is("artist", song.artist) && is("album", song.album)
        }
    };
    if asked.get("mbid").is_none() {
        asked.need("artist").and_then(|_| asked.need("album"))?;
    }
    let albums = albums();
    let first = albums.iter().find(fits).ok_or_else(|| not_found(404, "Album"))?;
    let songs: Vec<_> =
        SONGS.iter().filter(|song| (song.artist, song.album) == (first.artist, first.album)).collect();
    let item = |song: &&Song| {
        let mut item = track(song);
        item.remove("image");
        item.remove("mbid");
        with(item, "duration", (song.duration_ms / 1000).into())
    };
    let tracks = ranked(songs.iter().map(item), 0);
    let tags = tags(&songs).into_iter().map(|(tag, _)| tag_object(tag).into()).collect();
    let heard: u64 = songs.iter().map(|song| listeners(song)).sum();
    let text = format!("{} came out in {}.", first.album, first.year);
    let body = json!({ "album": {
        "name": first.album,
        "artist": first.artist,
        "mbid": mbid(first.album),
        "url": album_address(first),
        "image": cover(first),
        "listeners": heard.to_string(),
        "playcount": (heard * 9).to_string(),
        "tracks": { "track": one_or_many(tracks) },
        "tags": { "tag": one_or_many(tags) },
        "wiki": { "published": "01 Jan 2020, 00:00", "summary": text, "content": text },
    } });
    Ok(Answer::json(200, &body))
}

pub(super) fn tag_top_tracks(asked: &Asked) -> Result<Answer, Answer> {
    let tag = asked.need("tag")?;
    let songs = by_listeners(SONGS.iter().filter(|song| song.tags.contains(&tag)).collect());
    let (page, attributes) = paged(asked, &songs, 1000);
    let items = ranked(page.iter().map(|song| track(song)), first(&attributes));
    Ok(listed("tracks", "track", items, with(attributes, "tag", tag.into())))
}
