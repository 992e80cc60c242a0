//! The contract judge, over small descriptions with planted errors and over garbage; and, where a folder of real ones is
//! given, over those.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod cases;
mod formats;
mod never_panics;
mod pets;
mod specs;
mod support;
