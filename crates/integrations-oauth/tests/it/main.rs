//! The tests of this crate as one program.

#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "http")]
mod live;
mod stores;
mod vault;
