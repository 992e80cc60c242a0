#![doc = include_str!("docs.md")]

mod driver;
mod error;
pub mod ops;
pub mod spec;
mod wire;

pub use error::classify;
