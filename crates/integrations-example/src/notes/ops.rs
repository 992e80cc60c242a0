//! The remote calls: one struct each, with pure functions for the request and the answer.

use http::{StatusCode, Uri};
#[cfg(feature = "dynamic")]
use integrations_core::dynamic::OpEntry;
use integrations_core::{Endpoint, Op, Req, Result, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};

use super::{spec, wire};
use crate::{NewNote, Note, NoteId};

/// Every call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[OpEntry] = &[
    OpEntry::of::<GetNote>(),
    OpEntry::of::<ListNotes>(),
    OpEntry::of::<CreateNote>(),
    OpEntry::of::<DeleteNote>(),
];

/// `GET /notes/{id}`: vendor page [Get a note](https://notes.example/docs/get-note).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetNote {
    /// The note.
    pub id: NoteId,
}

impl Endpoint for GetNote {
    type Output = Note;
    const OP: &'static Op = &spec::GET_NOTE;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["notes", self.id.as_str()]).build()
    }

    fn response(&self, response: WireResponse) -> Result<Note> {
        response.json::<wire::Note>()?.into_domain(&response)
    }
}

/// `GET /notes`: vendor page [List notes](https://notes.example/docs/list-notes).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ListNotes {
    /// At most this many notes, 1 to 100; the vendor's default is 20.
    pub limit: Option<u32>,
    /// The vendor's own cursor: where the last page ended.
    pub cursor: Option<String>,
}

/// One page as the service gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotesPage {
    /// The notes, oldest first.
    pub notes: Vec<Note>,
    /// The vendor's own cursor of the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

impl Endpoint for ListNotes {
    type Output = NotesPage;
    const OP: &'static Op = &spec::LIST_NOTES;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base)
            .path(["notes"])
            .query("limit", self.limit)
            .query("cursor", self.cursor.as_deref())
            .build()
    }

    fn response(&self, response: WireResponse) -> Result<NotesPage> {
        let page: wire::Notes = response.json()?;
        let notes = page.notes.into_iter().map(|note| note.into_domain(&response)).collect::<Result<_>>()?;
        // An empty cursor means the same as none: https://notes.example/docs/list-notes, "The last page".
        Ok(NotesPage { notes, next_cursor: page.next_cursor.filter(|cursor| !cursor.is_empty()) })
    }
}

/// `POST /notes`: vendor page [Create a note](https://notes.example/docs/create-note). The idempotency key is the
/// caller's: it travels in a header that is the same for all keyed calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateNote {
    /// What the note holds.
    pub note: NewNote,
}

impl Endpoint for CreateNote {
    type Output = Note;
    const OP: &'static Op = &spec::CREATE_NOTE;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::post(base).path(["notes"]).json(&self.note).build()
    }

    fn response(&self, response: WireResponse) -> Result<Note> {
        response.json::<wire::Note>()?.into_domain(&response)
    }
}

/// `DELETE /notes/{id}`: vendor page [Delete a note](https://notes.example/docs/delete-note).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteNote {
    /// The note.
    pub id: NoteId,
}

impl Endpoint for DeleteNote {
    type Output = ();
    const OP: &'static Op = &spec::DELETE_NOTE;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::delete(base).path(["notes", self.id.as_str()]).build()
    }

    fn response(&self, response: WireResponse) -> Result<()> {
        if response.status == StatusCode::NO_CONTENT {
            return Ok(());
        }
        Err(response.undecodable("a deletion is answered by 204 only"))
    }
}
