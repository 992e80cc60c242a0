//! The outbox through its public interface, over both stores. No test waits for real time.

#![cfg(all(feature = "inbox", feature = "sqlite"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod flow;
mod guard;
mod keys;
mod support;
mod worker;
