//! The remote calls: one struct each, with pure functions for the request and the answer.

use http::header::HeaderName;
use http::{StatusCode, Uri};
use integrations_core::{Op, Req, Result, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};

use super::{spec, wire};
use crate::{NewNote, Note, NoteId};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `GET /notes/{id}`: vendor page [Get a note](https://notes.example/docs/get-note).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetNote {
    /// The note.
    pub id: NoteId,
}

impl GetNote {
    /// The facts of this call.
    pub const OP: &'static Op = &spec::GET_NOTE;

    /// The request.
    pub fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["notes", self.id.as_str()]).build()
    }

    /// The note.
    pub fn response(&self, response: &WireResponse) -> Result<Note> {
        response.json::<wire::Note>()?.into_domain(response)
    }
}

/// `GET /notes`: vendor page [List notes](https://notes.example/docs/list-notes).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ListNotes {
    /// At most this many notes, 1 to 100; the vendor's default is 20.
    pub limit: Option<u8>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl ListNotes {
    /// The facts of this call.
    pub const OP: &'static Op = &spec::LIST_NOTES;

    /// The request.
    pub fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base)
            .path(["notes"])
            .query("limit", self.limit)
            .query("cursor", self.cursor.as_deref())
            .build()
    }

    /// The notes of one page, and where it ended unless it was the last.
    pub fn response(&self, response: &WireResponse) -> Result<(Vec<Note>, Option<String>)> {
        let page: wire::Notes = response.json()?;
        let notes = page.notes.into_iter().map(|note| note.into_domain(response)).collect::<Result<_>>()?;
        // An empty cursor means the same as none: https://notes.example/docs/list-notes, "The last page".
        Ok((notes, page.next_cursor.filter(|cursor| !cursor.is_empty())))
    }
}

/// `POST /notes`: vendor page [Create a note](https://notes.example/docs/create-note).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateNote {
    /// What the note holds.
    pub note: NewNote,
    /// The same for every attempt of one call.
    pub idempotency_key: String, // tidy: not a secret, the vendor compares it and nothing more
}

impl CreateNote {
    /// The facts of this call.
    pub const OP: &'static Op = &spec::CREATE_NOTE;

    /// The request.
    pub fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::post(base)
            .path(["notes"])
            .header(IDEMPOTENCY_KEY, Some(&self.idempotency_key))
            .json(&self.note)
            .build()
    }

    /// The note as the service keeps it.
    pub fn response(&self, response: &WireResponse) -> Result<Note> {
        response.json::<wire::Note>()?.into_domain(response)
    }
}

/// `DELETE /notes/{id}`: vendor page [Delete a note](https://notes.example/docs/delete-note).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteNote {
    /// The note.
    pub id: NoteId,
}

impl DeleteNote {
    /// The facts of this call.
    pub const OP: &'static Op = &spec::DELETE_NOTE;

    /// The request.
    pub fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::delete(base).path(["notes", self.id.as_str()]).build()
    }

    /// Nothing: the service answers 204 without a body.
    pub fn response(&self, response: &WireResponse) -> Result<()> {
        if response.status == StatusCode::NO_CONTENT {
            return Ok(());
        }
        Err(response.undecodable("a deletion is answered by 204 only"))
    }
}
