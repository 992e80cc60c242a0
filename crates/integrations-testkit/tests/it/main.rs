//! The suites, over the kits they are made for and over verifiers that are broken on purpose.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod certificates;
mod kits;
mod never_panics;
