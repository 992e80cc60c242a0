//! The portable type: what every driver does, what some do, and what only one provider has.

use std::any::Any;

use async_trait::async_trait;
use integrations_core::driver::{Caps, Driver};
use integrations_core::provider::ProviderSpec;
use integrations_core::{Effect, ErrorKind, IdempotencyKey, Page, PageReq, Result};
use integrations_example::notes::{Notes, spec};
use integrations_example::{
    FakeNotes, Fault, NewNote, Note, NoteId, Notebook, NotesCap, NotesDriver, WritingDriver,
};

const TOKEN: &str = "t-1";

fn connected() -> (FakeNotes, Notes) {
    let service = FakeNotes::new(TOKEN);
    let notes = Notes::builder().token(TOKEN).transport(service.clone()).build().unwrap();
    (service, notes)
}

fn note(text: &str) -> NewNote {
    NewNote { text: text.to_owned() }
}

/// The same service, on a plan or with a token that leaves something out.
struct Limited {
    notes: Notes,
    caps: Caps,
    writes: bool,
}

impl Driver for Limited {
    fn spec(&self) -> &'static ProviderSpec {
        self.notes.spec()
    }

    fn caps(&self) -> Caps {
        self.caps.clone()
    }

    fn raw(&self) -> &dyn Any {
        self.notes.raw()
    }
}

#[async_trait]
impl NotesDriver for Limited {
    async fn note(&self, id: &NoteId) -> Result<Note> {
        self.notes.note(id).await
    }

    async fn notes(&self, page: PageReq) -> Result<Page<Note>> {
        self.notes.notes(page).await
    }

    fn writing(&self) -> Option<&dyn WritingDriver> {
        self.writes.then_some(&self.notes)
    }
}

#[tokio::test(start_paused = true)]
async fn notes_are_kept_whoever_keeps_them() {
    let (service, notes) = connected();
    let notebook = Notebook::new(notes).require(&NotesCap::ALL).unwrap();
    let writing = notebook.writing().unwrap();
    for text in ["a", "b", "c"] {
        writing.create(note(text)).await.unwrap();
    }
    writing.delete("n_2").await.unwrap();
    let all = notebook.pages(PageReq::first().limit(1)).collect_up_to(10).await.unwrap();
    assert_eq!(all.iter().map(|note| note.text.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(notebook.note("n_3").await.unwrap(), all[1]);
    assert_eq!(service.texts(), ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_given_to_the_portable_type_reaches_the_service() {
    let (service, notes) = connected();
    let notebook = Notebook::new(notes);
    let writing = notebook.writing().unwrap();
    let key = IdempotencyKey::new("tenant-7/note-1").unwrap();
    (0..3).for_each(|_| service.fail_next(Fault::ReplyLost));
    let error = writing.create_keyed(note("once"), key.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Transport, Effect::Unknown));
    writing.create_keyed(note("once"), key).await.unwrap();
    assert_eq!(service.texts(), ["once"]);
}

#[test]
fn what_is_absent_fails_before_anything_is_sent() {
    let all = || Caps::of(&spec::SPEC);
    for (caps, writes) in [(all().without("write"), true), (all(), false), (all().without("write"), false)] {
        let (service, notes) = connected();
        let notebook = Notebook::new(Limited { notes, caps, writes });
        let error = notebook.writing().err().unwrap();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unsupported, Effect::NotSent));
        assert_eq!(error.message(), "this instance of `notes` lacks write");
        assert!(error.hint().is_some());
        assert_eq!(service.requests(), 0);
    }
}

#[test]
fn needs_are_checked_at_start_up() {
    let (_, notes) = connected();
    let limited = Limited { notes, caps: Caps::of(&spec::SPEC).without("write"), writes: true };
    let notebook = Notebook::new(limited).require(&[NotesCap::Read]).unwrap();
    let error = notebook.require(&[NotesCap::Read, NotesCap::Write]).unwrap_err();
    assert_eq!(error.message(), "this instance of `notes` lacks write");
}

#[test]
fn the_providers_own_client_is_within_reach() {
    let (_, notes) = connected();
    let notebook = Notebook::new(notes);
    assert!(notebook.raw::<Notes>().is_some());
    assert!(notebook.raw::<Limited>().is_none());
    assert_eq!(format!("{notebook:?}"), "Notebook { provider: \"notes\", .. }");
}

#[test]
fn facts_and_category_name_the_same_capabilities() {
    let names: Vec<&str> = NotesCap::ALL.iter().map(|cap| cap.as_str()).collect();
    for provider in integrations_example::PROVIDERS {
        assert!(provider.caps.iter().all(|cap| names.contains(cap)), "{}: {:?}", provider.id, provider.caps);
    }
}
