//! Ids as people have them: bare, in the service's addresses, and in links to its pages.
//! <https://developer.spotify.com/documentation/web-api/concepts/spotify-uris-ids>

use integrations_core::{Error, Result};

use super::convert::LOCAL;
use crate::TrackId;

/// An id of this kind, as paths have it.
pub(super) fn id(kind: &str, given: impl AsRef<str>) -> Result<String> {
    let (found, id) = parts(given.as_ref());
    if found.is_some_and(|found| found != kind) {
        return Err(refused(
            &format!("this is no {kind}"),
            &format!("give the id, the address or a link of one {kind}"),
        ));
    }
    checked(id).map(str::to_owned)
}

/// The address of a thing of this kind.
pub(super) fn uri(kind: &str, given: impl AsRef<str>) -> Result<String> {
    Ok(format!("spotify:{kind}:{}", id(kind, given)?))
}

/// The address of what can stand among tracks. A library would take addresses of other kinds as well, and let a playlist
/// go where a track was meant.
pub(super) fn track_uri(track: &TrackId) -> Result<String> {
    match parts(track.as_str()) {
        (Some("episode"), id) => uri("episode", id),
        _ => uri("track", track),
    }
}

/// The addresses of what stands in a playlist: of files of the user's own, too.
pub(super) fn entry_uris(tracks: &[TrackId]) -> Result<Vec<String>> {
    let one = |track: &TrackId| match track.as_str() {
        local if local.starts_with(LOCAL) => Ok(local.to_owned()),
        _ => track_uri(track),
    };
    tracks.iter().map(one).collect()
}

/// The kind, where it is told, and the id.
fn parts(given: &str) -> (Option<&str>, &str) {
    let given = given.trim();
    let (path, separator) = match (given.strip_prefix("spotify:"), link(given)) {
        (Some(address), _) => (address, ':'),
        (None, Some(path)) => (path, '/'),
        (None, None) => return (None, given),
    };
    let mut parts = path.rsplit(separator);
    let id = parts.next().unwrap_or_default();
    (Some(parts.next().unwrap_or_default()), id)
}

/// The path of a page's address, which may begin with a language.
fn link(given: &str) -> Option<&str> {
    let address = given.strip_prefix("https://").or_else(|| given.strip_prefix("http://"))?;
    address.strip_prefix("open.spotify.com/")?.split(['?', '#']).next()
}

/// A comma would end an id in a list of them.
fn checked(id: &str) -> Result<&str> {
    if !id.is_empty() && id.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_".contains(&letter)) {
        return Ok(id);
    }
    Err(refused("this is no id", "give an id, a `spotify:` address, or a link to a page of open.spotify.com"))
}

fn refused(message: &str, hint: &str) -> Error {
    Error::invalid_request(format!("{message} of `spotify`")).with_hint(hint.to_owned())
}
