//! The category's portable type: notes, whoever keeps them.

use std::fmt;
use std::sync::Arc;

use integrations_core::driver::Caps;
use integrations_core::page::{self, Page, PageReq, Pages};
use integrations_core::provider::ProviderSpec;
use integrations_core::{IdempotencyKey, Result};

use crate::{NewNote, Note, NoteId, NotesCap, NotesDriver, WritingDriver};

/// Notes, whichever service keeps them. Cheap to clone.
///
/// ```
/// # #[cfg(feature = "notes")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// use integrations_example::notes::Notes;
/// use integrations_example::{FakeNotes, NewNote, Notebook, NotesCap};
///
/// let notes = Notes::builder().token("a-token").transport(FakeNotes::new("a-token")).build()?;
/// let notebook = Notebook::new(notes).require(&[NotesCap::Write])?; // at start-up, not in the middle of the work
/// let made = notebook.writing()?.create(NewNote { text: "Buy milk".to_owned() }).await?;
/// assert_eq!(notebook.note(made.id).await?.text, "Buy milk");
/// # Ok::<(), integrations_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Notebook {
    driver: Arc<dyn NotesDriver>,
}

impl fmt::Debug for Notebook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notebook").field("provider", &self.spec().id).finish_non_exhaustive()
    }
}

impl Notebook {
    /// Notes that `driver` keeps: a provider's client, or a driver of your own.
    pub fn new(driver: impl NotesDriver) -> Self {
        Self { driver: Arc::new(driver) }
    }

    /// The provider's facts.
    pub fn spec(&self) -> &'static ProviderSpec {
        self.driver.spec()
    }

    /// What this instance can do.
    pub fn caps(&self) -> Caps {
        self.driver.caps()
    }

    /// The same notes, if they can do all of `needs`;
    /// [`ErrorKind::Unsupported`](integrations_core::ErrorKind::Unsupported) that names what they cannot.
    pub fn require(self, needs: &[NotesCap]) -> Result<Self> {
        self.caps().require(needs.iter().map(|need| need.as_str()))?;
        Ok(self)
    }

    /// The provider's own client, for what the category does not have; `None` if another provider keeps the notes.
    pub fn raw<T: 'static>(&self) -> Option<&T> {
        self.driver.raw().downcast_ref()
    }

    /// One note.
    pub async fn note(&self, id: impl Into<NoteId>) -> Result<Note> {
        self.driver.note(&id.into()).await
    }

    /// One page of all notes, oldest first.
    pub async fn list(&self, page: impl Into<PageReq>) -> Result<Page<Note>> {
        self.driver.notes(page.into()).await
    }

    /// All notes from `start` on, page by page.
    pub fn pages(&self, start: impl Into<PageReq>) -> Pages<'_, Note> {
        page::pages(start, |request| self.list(request))
    }

    /// Writing, where this instance can; [`ErrorKind::Unsupported`](integrations_core::ErrorKind::Unsupported)
    /// otherwise.
    pub fn writing(&self) -> Result<Writing<'_>> {
        let driver = self.caps().facet(NotesCap::Write.as_str(), self.driver.writing())?;
        Ok(Writing { driver })
    }
}

/// Making and deleting notes.
#[derive(Clone, Copy)]
pub struct Writing<'n> {
    driver: &'n dyn WritingDriver,
}

impl fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").finish_non_exhaustive()
    }
}

impl Writing<'_> {
    /// Makes a note. Retries of this call make no second one.
    pub async fn create(&self, note: NewNote) -> Result<Note> {
        self.driver.create_note(note, None).await
    }

    /// Makes the note of one intent: the same key gives the same note, from another process too.
    pub async fn create_keyed(&self, note: NewNote, key: IdempotencyKey) -> Result<Note> {
        self.driver.create_note(note, Some(key)).await
    }

    /// Deletes a note; [`ErrorKind::NotFound`](integrations_core::ErrorKind::NotFound) if it is gone already.
    pub async fn delete(&self, id: impl Into<NoteId>) -> Result<()> {
        self.driver.delete_note(&id.into()).await
    }
}

#[cfg(feature = "hub")]
mod category {
    use integrations_core::PageReq;
    use integrations_core::registry::{Category, Probe, ProbeCost};

    use super::Notebook;

    impl Category for Notebook {
        const NAME: &'static str = "example";

        fn caps(&self) -> Option<Vec<&'static str>> {
            Self::caps(self).reduced()
        }

        fn probe(&self) -> Option<Probe<'_>> {
            let one_note = async { self.list(PageReq::first().limit(1)).await.map(drop) };
            Some(Probe::new(ProbeCost::Quota, one_note))
        }
    }
}
