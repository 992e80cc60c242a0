//! The category's operations on this service, and the service's types as the category's.

use async_trait::async_trait;
use integrations_core::driver::Driver;
use integrations_core::page::{self, Page, PageReq, Pages};
use integrations_core::{Endpoint, IdempotencyKey, Result, WireResponse};

use super::ops::{CreateNote, DeleteNote, GetNote, ListNotes};
use super::{Notes, spec, wire};
use crate::{NewNote, Note, NoteId, NotesDriver, WritingDriver};

/// Vendor page "List notes": a larger page is refused.
const LARGEST_PAGE: u32 = 100;

impl Notes {
    /// One note.
    pub async fn get(&self, id: impl Into<NoteId>) -> Result<Note> {
        self.caller.call(&GetNote { id: id.into() }).await
    }

    /// One page of all notes, oldest first. A limit above 100 counts as 100.
    pub async fn list(&self, page: impl Into<PageReq>) -> Result<Page<Note>> {
        let page = page.into();
        let scope = page::Scope::new(ListNotes::OP, &())?;
        let limit = page.limit.map(|limit| limit.clamp(1, LARGEST_PAGE));
        let cursor = scope.position(page.cursor.as_ref())?;
        let answer = self.caller.call(&ListNotes { limit, cursor }).await?;
        Ok(Page::new(answer.notes, answer.next_cursor.map(|cursor| scope.cursor(cursor))))
    }

    /// All notes from `start` on, page by page.
    pub fn pages(&self, start: impl Into<PageReq>) -> Pages<'_, Note> {
        page::pages(start, |request| self.list(request))
    }

    /// Makes a note. Retries of this call make no second one.
    pub async fn create(&self, note: NewNote) -> Result<Note> {
        self.caller.call(&CreateNote { note }).await
    }

    /// Makes the note of one intent: the same key within a day gives the same note, from another process too.
    pub async fn create_keyed(&self, note: NewNote, key: IdempotencyKey) -> Result<Note> {
        self.caller.call_keyed(&CreateNote { note }, key).await
    }

    /// Deletes a note; [`ErrorKind::NotFound`](integrations_core::ErrorKind::NotFound) if it is gone already.
    pub async fn delete(&self, id: impl Into<NoteId>) -> Result<()> {
        self.caller.call(&DeleteNote { id: id.into() }).await
    }
}

impl Driver for Notes {
    integrations_core::client_driver!(&spec::SPEC);
}

#[async_trait]
impl NotesDriver for Notes {
    async fn note(&self, id: &NoteId) -> Result<Note> {
        self.get(id.clone()).await
    }

    async fn notes(&self, page: PageReq) -> Result<Page<Note>> {
        self.list(page).await
    }

    integrations_core::facets! { writing: WritingDriver }
}

#[async_trait]
impl WritingDriver for Notes {
    async fn create_note(&self, note: NewNote, key: Option<IdempotencyKey>) -> Result<Note> {
        match key {
            Some(key) => self.create_keyed(note, key).await,
            None => self.create(note).await,
        }
    }

    async fn delete_note(&self, id: &NoteId) -> Result<()> {
        self.delete(id.clone()).await
    }
}

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
