//! The tests of this crate as one program.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod client;
mod vendor_requests;
mod vendors;
