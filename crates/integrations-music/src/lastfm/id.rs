//! Ids: the vendor has names and, for some things, MusicBrainz ids.
//!
//! A track is `Artist/_/Title` and an album `Artist/Title`, each side written as in the addresses of the vendor's pages: a
//! space is `+`, and everything but letters, digits, `-`, `.`, `_` and `~` is percent-encoded UTF-8. An artist is its name as
//! it is. In place of each a MusicBrainz id may stand.

use integrations_core::{Error, Result, params};

use crate::{AlbumId, ArtistId, TrackId, is_mbid};

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
        Self::of(id.as_str(), "/_/").ok_or_else(|| wrong("a track", "Artist/_/Title"))
    }

    pub(super) fn of_album(id: &AlbumId) -> Result<Self> {
        Self::of(id.as_str(), "/").ok_or_else(|| wrong("an album", "Artist/Title"))
    }

    fn of(id: &str, between: &str) -> Option<Self> {
        by_mbid(id).or_else(|| {
            let (artist, title) = id.split_once(between)?;
            Some(Self { artist: Some(name(artist)?), title: Some(name(title)?), mbid: None })
        })
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
    TrackId::from(format!("{}/_/{}", params::encode(artist), params::encode(title)))
}

pub(super) fn album_id(artist: &str, title: &str) -> AlbumId {
    AlbumId::from(format!("{}/{}", params::encode(artist), params::encode(title)))
}

fn by_mbid(text: &str) -> Option<Place> {
    is_mbid(text).then(|| Place { mbid: Some(text.to_owned()), ..Place::default() })
}

fn name(text: &str) -> Option<String> {
    params::decode(text).filter(|name| !name.trim().is_empty() && !text.contains('/'))
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
