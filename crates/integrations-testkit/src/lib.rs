//! Suites that every provider proves itself with. They are public: a driver of your own can run them too.
//!
//! Invariants:
//! - A suite knows no provider: what differs between two is data of the case.
//! - Whatever is signed here is signed by this crate's own code, written from the vendors' documents and not from the
//!   code that is tested.
//! - A suite that could not fail proves nothing: each has verifiers that are broken on purpose, which it must refuse.

#[cfg(feature = "chaos")]
pub mod chaos;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "golden")]
pub mod golden;
#[cfg(feature = "golden")]
pub mod hostile;
#[cfg(all(feature = "chaos", feature = "golden"))]
pub mod judges;
#[cfg(any(feature = "chaos", feature = "golden"))]
mod secret;
pub mod webhook;
