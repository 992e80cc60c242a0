//! From the service's types to the category's.

use integrations_core::{Result, WireResponse};

use super::wire;
use crate::{Note, NoteId};

impl wire::Note {
    /// A note without an id or a date cannot be used; one without text is empty.
    pub(super) fn into_domain(self, response: &WireResponse) -> Result<Note> {
        let id =
            self.id.filter(|id| !id.is_empty()).ok_or_else(|| response.undecodable("a note has no id"))?;
        let created = self
            .created_at
            .as_deref()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| response.undecodable("a note has no readable `created_at`"))?;
        Ok(Note::new(NoteId::from(id), self.text.unwrap_or_default(), created))
    }
}
