//! Names of things: those that belong to one service, and those that hold across services.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::text_id;

text_id! {
    /// A service's name for a track.
    pub struct TrackId;
}
text_id! {
    /// A service's name for an album.
    pub struct AlbumId;
}
text_id! {
    /// A service's name for an artist.
    pub struct ArtistId;
}
text_id! {
    /// A service's name for a playlist.
    pub struct PlaylistId;
}
text_id! {
    /// A service's name for something that plays: a phone, a speaker, a browser's tab.
    pub struct DeviceId;
}
text_id! {
    /// Which version of a playlist is meant, in the service's own words. A write that names one is judged against it.
    pub struct Snapshot;
}

/// Whether a text has the form of a MusicBrainz id (<https://musicbrainz.org/doc/MusicBrainz_Identifier>).
///
/// ```
/// use integrations_core::music::is_mbid;
/// assert!(is_mbid("30cb03f3-bd95-43b0-9d41-6d75e13cd353"));
/// assert!(!is_mbid("30cb03f3bd9543b09d416d75e13cd353"));
/// ```
pub fn is_mbid(text: &str) -> bool {
    let is_hyphen = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if is_hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// A recording's international standard code (ISO 3901): two letters, three letters or digits, seven digits.
///
/// ```
/// use integrations_core::music::Isrc;
/// let isrc: Isrc = "us-um7-17-03861".parse()?;
/// assert_eq!(isrc.as_str(), "USUM71703861");
/// assert!("USUM7170386".parse::<Isrc>().is_err());
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isrc(String);

impl Isrc {
    /// The code in capitals, without separators.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Isrc {
    type Err = Error;

    /// Hyphens and spaces are left out, and small letters count as capitals: services and users write both.
    fn from_str(text: &str) -> Result<Self> {
        let code: String =
            text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
        let fits = |(at, byte): (usize, u8)| match at {
            0..2 => byte.is_ascii_uppercase(),
            2..5 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            _ => byte.is_ascii_digit(),
        };
        if code.len() == 12 && code.bytes().enumerate().all(fits) {
            return Ok(Self(code));
        }
        Err(Error::invalid_request("this is no ISRC").with_hint(
            "two letters, three letters or digits, then seven digits; hyphens may stand between them",
        ))
    }
}

/// A country (ISO 3166-1, two letters) whose catalogue is meant: what can be heard differs from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Market([u8; 2]);

impl Market {
    /// The two capital letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Market {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(Error::invalid_request("a market is a country's two letters")
                .with_hint("write it as in ISO 3166-1, for example `FR`")),
        }
    }
}

/// Text forms that are parsed when they are read.
macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|e: Error| serde::de::Error::custom(e.message()))
            }
        }
    };
}

text_form!(Isrc);
text_form!(Market);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isrc_is_read_in_the_ways_people_write_it() {
        for text in ["GBAYE0601498", "gbaye0601498", "GB-AYE-06-01498", "GB AYE 06 01498"] {
            assert_eq!(text.parse::<Isrc>().unwrap().as_str(), "GBAYE0601498", "{text}");
        }
        for text in ["", "GBAYE060149", "GBAYE06014988", "1BAYE0601498", "GBAYE06O1498", "ÜBAYE060149"] {
            assert!(text.parse::<Isrc>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_market_is_two_letters() {
        assert_eq!("fr".parse::<Market>().unwrap().as_str(), "FR");
        for text in ["", "F", "FRA", "F1", "ü"] {
            assert!(text.parse::<Market>().is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&"de".parse::<Market>().unwrap()).unwrap(), "\"DE\"");
        assert!(serde_json::from_str::<Market>("\"x\"").is_err());
    }
}
