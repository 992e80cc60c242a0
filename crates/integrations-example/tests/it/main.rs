//! Golden tests, requests and answers as bytes; and the client against the fake service, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod book;
#[cfg(feature = "notes")]
mod client;
#[cfg(feature = "notes")]
mod demo;
#[cfg(feature = "notes")]
mod notebook;
#[cfg(all(feature = "notes", feature = "hub"))]
mod registry;

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "notes")]
mod notes;
// codegen:end
