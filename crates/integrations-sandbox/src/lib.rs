//! Fake vendors that remember: for tests and for work without an account anywhere.
//!
//! A [`Sandbox`] is one vendor. It carries a client's calls as a [`Transport`](integrations_core::Transport), in this
//! process, or answers on 127.0.0.1 with the feature `server`. On demand it does what real services do: it is slow, breaks off
//! before or after it has acted, refuses, answers with a proxy's page, with half an answer, with an error under status 200.
//!
//! Invariants:
//! - A fake is written from the vendor's documents and descriptions. It shares no type with the client that it judges.
//! - The same seed gives the same data and the same faults.
//! - What a call changed stands in the [`Ledger`], whether the caller was told or not.

mod catalogue;
mod fault;
mod known;
mod ledger;
mod plan;
mod sandbox;
#[cfg(feature = "server")]
mod server;
mod state;
mod vendor;

pub use catalogue::{SONGS, Song};
pub use fault::{DelayForm, Fault, Severity};
pub use known::Known;
pub use ledger::{Change, Ledger};
pub use plan::Plan;
pub use sandbox::Sandbox;
#[cfg(feature = "server")]
pub use server::Server;
pub use state::Seen;
pub use vendor::{Answer, Call, Fake, Trouble, Vendor, World};

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "lastfm")]
pub mod lastfm;
#[cfg(feature = "spotify")]
pub mod spotify;

/// The fakes of this build.
pub static FAKES: &[Fake] = &[
    #[cfg(feature = "lastfm")]
    lastfm::FAKE,
    #[cfg(feature = "spotify")]
    spotify::FAKE,
];
// codegen:end
