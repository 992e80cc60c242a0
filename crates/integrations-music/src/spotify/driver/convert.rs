//! The service's types as the category's.

use integrations_core::{Effect, Error, ErrorKind, Result};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::wire;
use crate::{
    Album, AlbumKind, AlbumRef, Artist, ArtistRef, Device, DeviceId, Enqueued, EntryKind, ExternalIds, Image,
    Owner, PlaybackState, Played, Playlist, PlaylistEntry, RepeatMode, Snapshot, Track,
};

/// What an id cannot stand for where tracks are meant: a local file has none, and an episode's would name another thing.
pub(super) const LOCAL: &str = "spotify:local:";
const EPISODE: &str = "spotify:episode:";

/// What cannot be used without its id, or its like.
fn lacking(what: &str) -> Error {
    Error::new(ErrorKind::Decode, Effect::Rejected, format!("the answer has {what}"))
}

fn id(object: &wire::Object, what: &str) -> Result<String> {
    object.id.clone().filter(|id| !id.is_empty()).ok_or_else(|| lacking(what))
}

fn is_local(track: &wire::Track) -> bool {
    track.is_local == Some(true) || track.object.uri.as_deref().is_some_and(|uri| uri.starts_with(LOCAL))
}

/// Where another track stands in, the id is that of the one that was asked for: a playlist and a library have that.
/// <https://developer.spotify.com/documentation/web-api/concepts/track-relinking>
pub(super) fn track(mut from: wire::Track) -> Result<Track> {
    let address = from.object.uri.take_if(|uri| uri.starts_with(LOCAL) || uri.starts_with(EPISODE));
    let meant = address.or_else(|| from.linked_from.take()?.id);
    let id = meant.map_or_else(|| id(&from.object, "a track without an id"), Ok)?;
    let url = from.object.url().map(str::to_owned);
    let mut track = Track::new(id, from.object.name.unwrap_or_default());
    track.artists = artist_refs(from.artists);
    if let Some(album) = from.album {
        track.released = released(album.release_date.as_deref());
        track.images = images(album.object.images);
        let title = album.object.name.unwrap_or_default();
        track.album = Some(AlbumRef::new(album.object.id.map(Into::into), title));
    }
    track.duration_ms = from.duration_ms;
    track.ids = codes(&from.object.external_ids);
    track.explicit = from.explicit;
    track.playable = from.is_playable;
    track.popularity = share(from.popularity);
    track.url = url;
    track.extra = from.object.extra;
    Ok(track)
}

pub(super) fn album(from: wire::Album) -> Result<Album> {
    let url = from.object.url().map(str::to_owned);
    let mut album =
        Album::new(id(&from.object, "an album without an id")?, from.object.name.unwrap_or_default());
    album.artists = artist_refs(from.artists);
    album.kind = from.album_type.map(AlbumKind::from);
    album.released = released(from.release_date.as_deref());
    album.total_tracks = from.total_tracks;
    album.ids = codes(&from.object.external_ids);
    album.label = from.label;
    album.url = url;
    album.images = images(from.object.images);
    album.extra = from.object.extra;
    Ok(album)
}

pub(super) fn artist(from: wire::Artist) -> Result<Artist> {
    let url = from.object.url().map(str::to_owned);
    let mut artist =
        Artist::new(id(&from.object, "an artist without an id")?, from.object.name.unwrap_or_default());
    artist.genres = from.genres;
    let mut extra = from.object.extra;
    let followers = extra.remove("followers").unwrap_or_default();
    artist.followers = followers.get("total").and_then(|total| wire::whole(total).ok()?);
    artist.popularity =
        share(extra.remove("popularity").and_then(|percent| serde_json::from_value(percent).ok()));
    artist.url = url;
    artist.images = images(from.object.images);
    artist.extra = extra;
    Ok(artist)
}

pub(super) fn playlist(from: wire::Playlist) -> Result<Playlist> {
    let url = from.object.url().map(str::to_owned);
    let total = from.contents().and_then(|contents| contents.total);
    let id = id(&from.object, "a playlist without an id")?;
    let mut playlist = Playlist::new(id, from.object.name.unwrap_or_default());
    playlist.description = from.description.filter(|text| !text.is_empty());
    playlist.owner = from.owner.and_then(|user| Some(Owner::new(user.object.id?, user.display_name)));
    playlist.public = from.public;
    playlist.collaborative = from.collaborative.unwrap_or_default();
    playlist.total = total;
    playlist.snapshot = from.snapshot_id.map(Snapshot::from);
    playlist.url = url;
    playlist.images = images(from.object.images);
    playlist.extra = from.object.extra;
    Ok(playlist)
}

/// What has neither an id nor a file behind it is no longer there, though the service may still send its husk.
pub(super) fn entry(from: wire::Entry) -> PlaylistEntry {
    let added_at = time(from.added_at.as_deref());
    let said_local = from.is_local == Some(true);
    let Some(content) = from.into_track() else {
        return PlaylistEntry::new(EntryKind::Gone, None, added_at);
    };
    let kind = match content.object.kind.as_deref() {
        _ if said_local || is_local(&content) => EntryKind::Local,
        Some("episode") => EntryKind::Episode,
        None | Some("track") => EntryKind::Track,
        Some(other) => EntryKind::from(other),
    };
    match track(content) {
        Ok(track) => PlaylistEntry::new(kind, Some(track), added_at),
        Err(_) => PlaylistEntry::new(EntryKind::Gone, None, added_at),
    }
}

pub(super) fn saved_album(from: wire::Entry) -> Result<Album> {
    album(from.album.ok_or_else(|| lacking("a saved album without an album"))?)
}

pub(super) fn played(from: wire::Entry) -> Result<Played> {
    let heard = from.track.ok_or_else(|| lacking("a place in the history without a track"))?;
    Ok(Played::new(track(heard)?, time(from.played_at.as_deref())))
}

pub(super) fn device(from: wire::Device) -> Device {
    // A restricted device takes no commands, so that its id is good for nothing.
    let id = from.object.id.filter(|id| !id.is_empty() && from.is_restricted != Some(true));
    let mut device = Device::new(id.map(DeviceId::from), from.object.name.unwrap_or_default());
    device.kind = from.object.kind;
    device.active = from.is_active.unwrap_or_default();
    device.volume_percent = from.volume_percent;
    device
}

pub(super) fn playback(from: wire::Playback) -> Result<PlaybackState> {
    let mut state = PlaybackState::default();
    state.playing = from.is_playing.unwrap_or_default();
    state.track = from.item.filter(is_track).map(track).transpose()?;
    state.position_ms = from.progress_ms;
    state.device = from.device.map(device);
    state.shuffle = from.shuffle_state;
    state.repeat = from.repeat_state.map(RepeatMode::from);
    Ok(state)
}

pub(super) fn queue(from: wire::Queue) -> Result<Enqueued> {
    let mut queue = Enqueued::default();
    queue.current = from.currently_playing.filter(is_track).map(track).transpose()?;
    queue.next = from.queue.into_iter().filter(is_track).map(track).collect::<Result<_>>()?;
    Ok(queue)
}

/// An episode can stand wherever a track does.
fn is_track(from: &wire::Track) -> bool {
    from.object.kind.as_deref().is_none_or(|kind| kind == "track")
}

fn artist_refs(from: Vec<wire::Artist>) -> Vec<ArtistRef> {
    let one = |artist: wire::Artist| {
        ArtistRef::new(artist.object.id.map(Into::into), artist.object.name.unwrap_or_default())
    };
    from.into_iter().map(one).collect()
}

fn images(from: Vec<wire::Image>) -> Vec<Image> {
    let one = |image: wire::Image| Some(Image::new(image.url?).size(image.width, image.height));
    from.into_iter().filter_map(one).collect()
}

fn codes(from: &Map<String, Value>) -> ExternalIds {
    let text = |name| from.get(name).and_then(Value::as_str);
    let mut ids = ExternalIds::default();
    ids.isrc = text("isrc").and_then(|code| code.parse().ok());
    ids.upc = text("upc").or_else(|| text("ean")).map(str::to_owned);
    ids
}

fn released(from: Option<&str>) -> Option<crate::ReleaseDate> {
    from.and_then(|date| date.parse().ok())
}

fn time(from: Option<&str>) -> Option<Timestamp> {
    from.and_then(|time| time.parse().ok())
}

/// From 0 to 100, as a part of 1.
fn share(percent: Option<f32>) -> Option<f32> {
    percent.map(|percent| (percent / 100.0).clamp(0.0, 1.0))
}
