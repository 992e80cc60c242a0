//! What a service must do to keep notes: the part that each has, and the parts that some have.

use async_trait::async_trait;
use integrations_core::driver::Driver;
use integrations_core::{IdempotencyKey, Page, PageReq, Result};

use crate::{NewNote, Note, NoteId};

integrations_core::caps! {
    /// What a service of this category can do.
    pub enum NotesCap {
        /// Notes are read and listed.
        Read = "read",
        /// Notes are made and deleted: [`WritingDriver`].
        Write = "write",
    }
}

/// What every service that keeps notes does.
#[async_trait]
pub trait NotesDriver: Driver {
    /// One note.
    async fn note(&self, id: &NoteId) -> Result<Note>;

    /// One page of all notes, oldest first. A limit that is larger than the service allows counts as the largest.
    async fn notes(&self, page: PageReq) -> Result<Page<Note>>;

    /// The part that writes, where the service has it.
    fn writing(&self) -> Option<&dyn WritingDriver> {
        None
    }
}

/// What a service does that lets us write.
#[async_trait]
pub trait WritingDriver: Send + Sync {
    /// Makes a note: once for each key, where there is one, and once for each call otherwise.
    async fn create_note(&self, note: NewNote, key: Option<IdempotencyKey>) -> Result<Note>;

    /// Deletes a note; [`ErrorKind::NotFound`](integrations_core::ErrorKind::NotFound) if there is none.
    async fn delete_note(&self, id: &NoteId) -> Result<()>;
}
