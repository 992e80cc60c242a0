//! Integration tests of core, in virtual time, through the public interface.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod caller;
mod pipeline;
mod review;
mod review_caller;
