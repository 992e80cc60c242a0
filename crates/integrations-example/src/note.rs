//! The category's own types: what a note is, whoever keeps it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The service's name for a note: opaque text, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoteId(String);

impl NoteId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for NoteId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl From<&str> for NoteId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl fmt::Display for NoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// Its text, possibly empty.
    pub text: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Note {
    /// A note, as a provider reads it.
    pub fn new(id: NoteId, text: String, created: Timestamp) -> Self {
        Self { id, text, created }
    }
}

/// What a new note holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNote {
    /// Its text, possibly empty.
    pub text: String,
}
