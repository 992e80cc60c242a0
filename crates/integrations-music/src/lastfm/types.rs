//! What this service has beyond its category.

use integrations_core::SecretString;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{Album, Tag, Track};

/// Declares what calls give.
macro_rules! outputs {
    ($($(#[$meta:meta])* $name:ident $(<$T:ident>)? { $($(#[$about:meta])* $field:ident: $type:ty,)* })+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Serialize)]
            #[non_exhaustive]
            pub struct $name $(<$T>)? {
                $($(#[$about])* pub $field: $type,)*
            }
        )+
    };
}

outputs! {
    /// One page as the service gives it.
    Listed<T> {
        /// What is on it.
        items: Vec<T>,
        /// The number of the last page, from 1, where the service says so.
        last: Option<u64>,
        /// How many items all pages have, where the service says so.
        total: Option<u64>,
    }

    /// What is told about a track.
    TrackDetails {
        /// The track.
        track: Track,
        /// Whether the user loves it, if one was named.
        loved: Option<bool>,
        /// How often the user heard it, if one was named.
        plays: Option<u64>,
    }

    /// What is told about an album.
    AlbumDetails {
        /// The album.
        album: Album,
        /// Its tracks, in its order.
        tracks: Vec<Track>,
        /// Its tags, the strongest first.
        tags: Vec<Tag>,
    }

    /// A user.
    User {
        /// The name that they sign in with.
        name: String,
        /// Their own name, if they tell it.
        real_name: Option<String>,
        /// Their page.
        url: Option<String>,
        /// Their country, if they tell it.
        country: Option<String>,
        /// How often they heard anything.
        plays: Option<u64>,
        /// Since when they are here.
        registered: Option<Timestamp>,
    }

    /// What is told about a tag.
    TagInfo {
        /// The tag.
        name: String,
        /// How often it was given.
        taggings: Option<u64>,
        /// How many gave it.
        reach: Option<u64>,
        /// What it means, in some text.
        about: Option<String>,
    }

    /// A user's consent. The key does not expire; store it with the name. Serialised it is there in full.
    Session {
        /// Whose it is: the setting `user`.
        user: String,
        /// The setting `session_key`.
        #[serde(serialize_with = "in_full")]
        key: SecretString,
    }

    /// What a user is asked to consent to. Good for an hour and for one session. Serialised it is there in full.
    Token {
        /// The token.
        #[serde(serialize_with = "in_full")]
        token: SecretString,
    }
}

pub(super) fn in_full<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}
