//! Ids: the vendor has names and, for some things, MusicBrainz ids.
//!
//! A track is `Artist/_/Title` and an album `Artist/Title`, each side written as in the addresses of the vendor's pages: a
//! space is `+`, and everything but letters, digits, `-`, `.`, `_` and `~` is percent-encoded UTF-8. An artist is its name as
//! it is. In place of each a MusicBrainz id may stand.

use integrations_core::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{AlbumId, ArtistId, TrackId};

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b' ');

/// The parameters by which the vendor finds one thing: `mbid`, or the names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) artist: Option<String>,
    /// The title, or the album's.
    pub(super) title: Option<String>,
    pub(super) mbid: Option<String>,
}

impl Place {
    pub(super) fn of_track(id: &TrackId) -> Result<Self> {
        let wrong = || wrong("a track", "Artist/_/Title");
        match id.as_str().split('/').collect::<Vec<_>>()[..] {
            [mbid] => by_mbid(mbid).ok_or_else(wrong),
            [artist, "_", title] => by_names(artist, title).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    pub(super) fn of_album(id: &AlbumId) -> Result<Self> {
        let wrong = || wrong("an album", "Artist/Title");
        match id.as_str().split('/').collect::<Vec<_>>()[..] {
            [mbid] => by_mbid(mbid).ok_or_else(wrong),
            [artist, title] => by_names(artist, title).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    pub(super) fn of_artist(id: &ArtistId) -> Result<Self> {
        let name = id.as_str();
        if name.trim().is_empty() {
            return Err(wrong("an artist", "its name"));
        }
        Ok(by_mbid(name).unwrap_or_else(|| Self { artist: Some(name.to_owned()), ..Self::default() }))
    }
}

pub(super) fn track_id(artist: &str, title: &str) -> TrackId {
    TrackId::from(format!("{}/_/{}", encoded(artist), encoded(title)))
}

pub(super) fn album_id(artist: &str, title: &str) -> AlbumId {
    AlbumId::from(format!("{}/{}", encoded(artist), encoded(title)))
}

fn by_mbid(text: &str) -> Option<Place> {
    let is_hyphen = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if is_hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    let is_mbid = text.len() == 36 && text.bytes().enumerate().all(fits);
    is_mbid.then(|| Place { mbid: Some(text.to_owned()), ..Place::default() })
}

fn by_names(artist: &str, title: &str) -> Option<Place> {
    Some(Place { artist: Some(decoded(artist)?), title: Some(decoded(title)?), mbid: None })
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string().replace(' ', "+")
}

fn decoded(text: &str) -> Option<String> {
    let is_whole = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_whole) {
        return None;
    }
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    (!text.trim().is_empty()).then(|| text.into_owned())
}

fn wrong(what: &str, form: &str) -> Error {
    Error::invalid_request(format!("this is no id of {what}"))
        .with_hint(format!("an id is `{form}`, written as in Last.fm's addresses, or a MusicBrainz id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_kind_come_back_from_an_id() {
        for (artist, title) in
            [("AC/DC", "Hell's Bells"), ("_", "_"), ("a+b %41", "Ça Monte?"), ("/", "100%")]
        {
            let place = Place::of_track(&track_id(artist, title)).unwrap();
            assert_eq!((place.artist.as_deref(), place.title.as_deref()), (Some(artist), Some(title)));
            let place = Place::of_album(&album_id(artist, title)).unwrap();
            assert_eq!((place.artist.as_deref(), place.title.as_deref()), (Some(artist), Some(title)));
        }
        assert_eq!(track_id("AC/DC", "Hells Bells").as_str(), "AC%2FDC/_/Hells+Bells");
    }

    #[test]
    fn a_musicbrainz_id_stands_for_anything() {
        let mbid = "30cb03f3-bd95-43b0-9d41-6d75e13cd353";
        for place in
            [Place::of_track(&mbid.into()), Place::of_album(&mbid.into()), Place::of_artist(&mbid.into())]
        {
            assert_eq!(place.unwrap(), Place { mbid: Some(mbid.to_owned()), ..Place::default() });
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let wrong =
            ["", "x", "a/b", "a/_/b/c", "/_/b", "a/_/", "a/_/%zz", "a/_/%4", "a/_/%ff", "a/x/b", "+/_/a"];
        for id in wrong {
            assert!(Place::of_track(&id.into()).is_err(), "{id}");
        }
        for id in ["", "x", "a/", "/b", "a/_/b", "a/%2"] {
            assert!(Place::of_album(&id.into()).is_err(), "{id}");
        }
        assert!(Place::of_artist(&" ".into()).is_err());
    }
}
