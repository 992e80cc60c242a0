//! What this service has beyond its category.

use integrations_core::SecretString;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{Album, Tag, Track};

/// Declares what calls give.
macro_rules! outputs {
    ($($about:literal $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty = $told:literal,)* })+) => {
        $(
            #[doc = $about]
            #[derive(Debug, Clone, Serialize)]
            #[non_exhaustive]
            pub struct $name { $($(#[$meta])* #[doc = $told] pub $field: $type,)* }
        )+
    };
}

outputs! {
    "What is told about a track."
    TrackDetails {
        track: Track = "The track.",
        loved: Option<bool> = "Whether the user loves it, if one was named.",
        plays: Option<u64> = "How often the user heard it, if one was named.",
    }
    "What is told about an album."
    AlbumDetails {
        album: Album = "The album.",
        tracks: Vec<Track> = "Its tracks, in its order.",
        tags: Vec<Tag> = "Its tags, the strongest first.",
    }
    "A user."
    User {
        name: String = "The name that they sign in with.",
        real_name: Option<String> = "Their own name, if they tell it.",
        url: Option<String> = "Their page.",
        plays: Option<u64> = "How often they heard anything.",
        registered: Option<Timestamp> = "Since when they are here.",
    }
    "A user's consent. The key does not expire; store it with the name. Serialised it is there in full."
    Session {
        user: String = "Whose it is: the setting `user`.",
        #[serde(serialize_with = "in_full")] key: SecretString = "The setting `session_key`.",
    }
    "What a user is asked to consent to. Good for an hour and for one session. Serialised it is there in full."
    Token { #[serde(serialize_with = "in_full")] token: SecretString = "The token.", }
}

fn in_full<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}
