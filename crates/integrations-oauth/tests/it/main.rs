//! The tests of this crate as one program.

#[cfg(feature = "hub")]
mod hub;
mod vault;
