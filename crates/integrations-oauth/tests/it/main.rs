//! The tests of this crate as one program.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod client;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "http")]
mod live;
mod stores;
mod vault;
mod vendor_requests;
mod vendors;
