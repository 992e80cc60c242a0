//! The fakes, from outside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "spotify")]
mod spotify;
