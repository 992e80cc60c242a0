//! This crate's own form.

use std::fmt;

use integrations_core::{Error, Result};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{FileEntry, MOST_ENTRIES, PlaylistFile, wrong};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// The name by which the form is known.
const FORM: &str = "integrations.playlist";

#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(default)]
    format: String,
    #[serde(default)]
    version: u32,
}

#[derive(Serialize)]
struct Whole<'f> {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    file: &'f PlaylistFile,
}

pub(super) fn write(file: &PlaylistFile) -> Result<String> {
    let head = Head { format: FORM.to_owned(), version: VERSION };
    serde_json::to_string_pretty(&Whole { head, file })
        .map(|text| text + "\n")
        .map_err(|error| Error::invalid_request("the playlist cannot be written as JSON").with_source(error))
}

pub(super) fn read(text: &str) -> Result<PlaylistFile> {
    let head: Head = serde_json::from_str(text).map_err(malformed)?;
    if head.format != FORM {
        return Err(wrong(1, "this is not a playlist of this software")
            .with_hint(format!("its `format` must be `{FORM}`")));
    }
    if head.version != VERSION {
        return Err(wrong(1, &format!("the file has version {}", head.version))
            .with_hint(format!("this software reads version {VERSION}")));
    }
    serde_json::from_str(text).map_err(malformed)
}

/// The entries, if they are not too many.
pub(super) fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FileEntry>, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<FileEntry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MOST_ENTRIES} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut read: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = read.next_element()? {
                if entries.len() == MOST_ENTRIES {
                    return Err(A::Error::invalid_length(entries.len() + 1, &self));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_seq(Entries)
}

/// Without the parser's words, which may repeat what the file holds.
fn malformed(error: serde_json::Error) -> Error {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "the file ends too early",
        Category::Data if error.to_string().starts_with("invalid length") => "there are too many entries",
        Category::Data => "a field is missing or has the wrong type",
        Category::Syntax | Category::Io => "this is not JSON",
    };
    wrong(error.line().max(1), &format!("{what} (column {})", error.column()))
}
