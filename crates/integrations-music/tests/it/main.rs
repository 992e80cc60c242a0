//! Providers against their fakes, and what is built on top of the interface.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(all(feature = "lastfm", feature = "spotify"))]
mod crossing;
#[cfg(feature = "dynamic")]
mod judges;
mod matching;
mod playlist_file;
mod shelf;
mod sync;
mod transfer;

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "lastfm")]
mod lastfm;
#[cfg(feature = "spotify")]
mod spotify;
// codegen:end
