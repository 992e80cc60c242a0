//! The judges of endpoints, over an invented vendor: its client and its fake, good ones and broken ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod contract;
mod files;
mod hostile;
mod shelf;
