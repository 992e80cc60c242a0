//! Playlists as files, without a service.
//!
//! | format | written | read | keeps |
//! |---|---|---|---|
//! | [`Json`](Format::Json) | yes | yes | everything |
//! | [`Csv`](Format::Csv) | yes | yes, of other programs too | all that a match needs, ids, addresses |
//! | [`M3u8`](Format::M3u8) | yes | yes, of other programs too | artists, title, album, whole seconds, ISRC, addresses |
//! | [`Xspf`](Format::Xspf) | yes | no | artists, title, album, duration, ISRC, addresses |
//!
//! XSPF is not read, because this crate has no XML reader. What was read is looked for at a service as
//! [`wanted`](PlaylistFile::wanted) recordings: see [`matching`](crate::matching) and
//! [`TransferPlan::of`](crate::transfer::TransferPlan::of).
//!
//! Invariants:
//! - A file is foreign input: what is wrong with it is an error with the number of the line, and never a panic.
//! - A spreadsheet that opens the CSV runs nothing: what would begin a formula is made text, and read back as it was.
//!
//! ```
//! use integrations_music::playlist_file::{Format, PlaylistFile};
//!
//! let text = "Track Name,Artist Name(s),ISRC\r\nAutobahn,Kraftwerk,DEA621201096\r\n";
//! let file = PlaylistFile::read(text.as_bytes(), Format::Csv)?;
//! assert_eq!(file.wanted()[0].title, "Autobahn");
//!
//! let m3u = file.write(Format::M3u8)?;
//! assert!(m3u.contains("#EXTINF:-1,Kraftwerk - Autobahn"));
//! # Ok::<(), integrations_core::Error>(())
//! ```

mod csv;
mod json;
mod m3u;
mod xspf;

use integrations_core::music::{EntryKind, Playlist, PlaylistEntry, Track};
use integrations_core::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::matching::Wanted;

/// The largest file that is read: a playlist of a hundred thousand entries fits.
const LARGEST: usize = 64 * 1024 * 1024;

/// How many entries are read. Two bytes may be an entry, which takes some hundred in memory.
const MOST_ENTRIES: usize = 200_000;

/// How many names are taken out of one field; what follows stays in the last.
const MOST_NAMES: usize = 256;

/// How a playlist is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// This crate's own form, which loses nothing.
    Json,
    /// Comma-separated values (RFC 4180) with a header.
    Csv,
    /// An extended M3U playlist in UTF-8.
    M3u8,
    /// XML Shareable Playlist Format, version 1. Written only.
    Xspf,
}

/// One entry of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileEntry {
    /// What stands there.
    pub kind: EntryKind,
    /// What is known of the recording.
    pub wanted: Wanted,
    /// The service's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its page or its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
    /// All that the service said of it; in JSON only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<Box<Track>>,
}

impl FileEntry {
    /// A recording of the catalogue of which no more than this is known.
    pub fn new(wanted: Wanted) -> Self {
        Self { kind: EntryKind::Track, wanted, id: None, url: None, added_at: None, track: None }
    }
}

impl From<&PlaylistEntry> for FileEntry {
    fn from(entry: &PlaylistEntry) -> Self {
        let track = entry.track.as_ref();
        Self {
            kind: entry.kind.clone(),
            wanted: track.map(Wanted::from).unwrap_or_default(),
            id: track.map(|track| track.id.to_string()).filter(|id| !id.is_empty()),
            url: track.and_then(|track| track.url.clone()),
            added_at: entry.added_at,
            track: track.cloned().map(Box::new),
        }
    }
}

/// A playlist as a file holds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlaylistFile {
    /// The provider that it comes from, empty if none.
    #[serde(default)]
    pub provider: String,
    /// The name as shown, empty where the file does not say.
    #[serde(default)]
    pub name: String,
    /// What its owner says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its entries, in order.
    #[serde(deserialize_with = "json::entries")]
    pub entries: Vec<FileEntry>,
}

impl PlaylistFile {
    /// A playlist of a service.
    pub fn of(provider: &str, playlist: &Playlist, entries: &[PlaylistEntry]) -> Self {
        Self {
            provider: provider.to_owned(),
            name: playlist.name.clone(),
            description: playlist.description.clone(),
            entries: entries.iter().map(FileEntry::from).collect(),
        }
    }

    /// Recordings under a name.
    pub fn new(name: impl Into<String>, wanted: impl IntoIterator<Item = Wanted>) -> Self {
        let entries = wanted.into_iter().map(FileEntry::new).collect();
        Self { name: name.into(), entries, ..Self::default() }
    }

    /// What can be looked for at a service: the tracks, without episodes, local files and what is gone.
    pub fn wanted(&self) -> Vec<Wanted> {
        let tracks = self.entries.iter().filter(|entry| entry.kind == EntryKind::Track);
        tracks
            .map(|entry| entry.wanted.clone())
            .filter(|wanted| !wanted.title.is_empty() || wanted.isrc.is_some())
            .collect()
    }

    /// The file's text.
    pub fn write(&self, format: Format) -> Result<String> {
        match format {
            Format::Json => json::write(self),
            Format::Csv => Ok(csv::write(self)),
            Format::M3u8 => Ok(m3u::write(self)),
            Format::Xspf => Ok(xspf::write(self)),
        }
    }

    /// Reads a file. [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) names the line that is wrong;
    /// [`ErrorKind::Unsupported`](integrations_core::ErrorKind) for XSPF.
    pub fn read(bytes: &[u8], format: Format) -> Result<Self> {
        if bytes.len() > LARGEST {
            return Err(Error::invalid_request(format!(
                "the file has {} bytes, and {LARGEST} are read",
                bytes.len()
            )));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            wrong(line, "this is not UTF-8").with_hint("save the file as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match format {
            Format::Json => json::read(text),
            Format::Csv => csv::read(text),
            Format::M3u8 => m3u::read(text),
            Format::Xspf => {
                Err(Error::unsupported("XSPF is written and not read", "save the playlist as CSV or M3U8"))
            }
        }
    }
}

/// What is wrong with a line, counted from 1. The file's own text is not repeated.
fn wrong(line: usize, what: &str) -> Error {
    Error::invalid_request(format!("line {line}: {what}"))
}

fn too_many(line: usize) -> Error {
    wrong(line, &format!("more than {MOST_ENTRIES} entries")).with_hint("split the file")
}

/// Several names in one field; a separator inside a name is marked.
fn join(names: &[String]) -> String {
    let marked: Vec<String> =
        names.iter().map(|name| name.replace('\\', "\\\\").replace(';', "\\;")).collect();
    marked.join("; ")
}

/// The names that [`join`] has joined.
fn split(text: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = names.len() - 1;
        match c {
            '\\' if matches!(chars.peek(), Some('\\' | ';')) => names[last].extend(chars.next()),
            ';' if names.len() < MOST_NAMES => {
                chars.next_if_eq(&' ');
                names.push(String::new());
            }
            c => names[last].push(c),
        }
    }
    names.retain(|name| !name.trim().is_empty());
    names
}
