//! This crate's own form.

use integrations_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{PlaylistFile, wrong};

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

/// Without the parser's words, which may repeat what the file holds.
fn malformed(error: serde_json::Error) -> Error {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "the file ends too early",
        Category::Data => "a field is missing or has the wrong type",
        Category::Syntax | Category::Io => "this is not JSON",
    };
    wrong(error.line().max(1), &format!("{what} (column {})", error.column()))
}
