//! The fakes from outside, what faults do to the calls of a real client, and the fakes as a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod faults;
#[cfg(feature = "server")]
mod server;
mod shelf;
#[cfg(feature = "all")]
mod sign_in;
#[cfg(feature = "spotify")]
mod spotify;
