//! JSON Schema of music's ids and words.

use super::{
    AlbumId, AlbumKind, ArtistId, DeviceId, EntryKind, IgnoredReason, Isrc, Market, Period, PlaylistId,
    ReleaseDate, RepeatMode, Snapshot, TrackId,
};
use crate::schema::text_schemas;

text_schemas! {
    TrackId: "a service's name for a track";
    AlbumId: "a service's name for an album";
    ArtistId: "a service's name for an artist";
    PlaylistId: "a service's name for a playlist";
    DeviceId: "a service's name for something that plays";
    Snapshot: "which version of a playlist is meant";
    Isrc: "a recording's code (ISO 3901), such as USUM71703861";
    Market: "a country's two letters (ISO 3166-1)";
    ReleaseDate: "a date such as 1981, 1981-12 or 1981-12-15";
    AlbumKind: "what kind of album it is", AlbumKind::KNOWN;
    EntryKind: "what stands in a place of a playlist", EntryKind::KNOWN;
    IgnoredReason: "why a scrobble does not count", IgnoredReason::KNOWN;
    Period: "the time over which most is counted", Period::KNOWN;
    RepeatMode: "what comes after the end", RepeatMode::KNOWN;
}
