//! The fakes, from outside.

#[cfg(feature = "spotify")]
mod spotify;
