//! The museum: bugs that users of such software have met, each with the public thread that tells of it.
//!
//! Each exhibit is a reference that does what the field commonly does, written here to show the bug, and ours under the
//! same conditions. A reference that came out clean would prove nothing: it is asserted to fail.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bodies;
mod keys;
mod logs;
mod pages;
mod success;
mod tokens;
mod values;
mod waits;
