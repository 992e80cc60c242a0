//! A category, [`Notebook`], with one invented provider: read it to learn where things are in every other.
//!
//! Invariants:
//! - A provider is pure mapping: it builds requests and reads answers, and does no I/O.
//! - Its facts stand in `provider.toml` alone; what follows from them is generated.
//! - The fake service shares no type with the provider: it is written from the facts.

#[cfg(all(
    doctest,
    feature = "notes",
    feature = "http",
    feature = "cache",
    feature = "dynamic",
    feature = "hub"
))]
mod book;
mod driver;
mod fake;
mod note;
mod notebook;
mod transport;

pub use driver::{NotesCap, NotesDriver, WritingDriver};
pub use fake::{FakeNotes, Fault};
pub use note::{NewNote, Note, NoteId};
pub use notebook::{Notebook, Writing};
pub use transport::default_transport;

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "notes")]
pub mod notes;

/// The providers of this category that this build has.
pub static PROVIDERS: &[&integrations_core::provider::ProviderSpec] = &[
    #[cfg(feature = "notes")]
    &notes::spec::SPEC,
];

/// The remote calls of the providers that this build has, with their types erased, by provider.
#[cfg(feature = "dynamic")]
pub static ENDPOINTS: &[(&str, &[integrations_core::dynamic::OpEntry])] = &[
    #[cfg(feature = "notes")]
    ("notes", notes::ops::OPS),
];

/// All providers of this category, also those that this build has not.
#[cfg(feature = "hub")]
pub static KNOWN: &[integrations_core::registry::Known] =
    &[integrations_core::registry::Known::new("notes", "example", "notes")];

/// Adds the providers of this category that this build has, and makes all of them known.
#[cfg(feature = "hub")]
pub fn register(registry: &mut integrations_core::registry::Registry) {
    registry.know(KNOWN);
    #[cfg(feature = "notes")]
    notes::register(registry);
}
// codegen:end
