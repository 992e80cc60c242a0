//! Music services behind one interface.
//!
//! [`Music`] is the interface; a client of a provider becomes one by [`Music::new`]. On top of it, for any two services:
//! [`matching`] finds a track again elsewhere, [`transfer`] moves a playlist and says what was lost, [`sync`] keeps two
//! playlists alike, [`playlist_file`] reads and writes files.
//!
//! Invariants:
//! - No provider is on by default; a feature switches each on.
//! - What a vendor takes from new applications is a capability that an instance lacks, never a call that fails.
//! - A match is never silently the first hit: it has a score and a reason, or there is none.

#[allow(dead_code, reason = "not every provider of a build needs it")]
mod batch;
#[cfg(all(doctest, feature = "spotify", feature = "lastfm", feature = "dynamic", feature = "hub"))]
mod book;
pub mod matching;
pub mod playlist_file;
#[allow(dead_code, reason = "not every provider of a build needs it")]
mod search;
pub mod sync;
pub mod transfer;
mod transport;

pub use integrations_core::music::*;
pub use transport::default_transport;

// codegen:begin (written by `cargo xtask codegen`)
#[cfg(feature = "lastfm")]
pub mod lastfm;
#[cfg(feature = "spotify")]
pub mod spotify;

/// The providers of this category that this build has.
pub static PROVIDERS: &[&integrations_core::provider::ProviderSpec] = &[
    #[cfg(feature = "lastfm")]
    &lastfm::spec::SPEC,
    #[cfg(feature = "spotify")]
    &spotify::spec::SPEC,
];

/// The remote calls of the providers that this build has, with their types erased, by provider.
#[cfg(feature = "dynamic")]
pub static ENDPOINTS: &[(&str, &[integrations_core::dynamic::OpEntry])] = &[
    #[cfg(feature = "lastfm")]
    ("lastfm", lastfm::ops::OPS),
    #[cfg(feature = "spotify")]
    ("spotify", spotify::ops::OPS),
];

/// All providers of this category, also those that this build has not.
#[cfg(feature = "hub")]
pub static KNOWN: &[integrations_core::registry::Known] = &[
    integrations_core::registry::Known::new("lastfm", "music", "lastfm"),
    integrations_core::registry::Known::new("spotify", "music", "spotify"),
];

/// Adds the providers of this category that this build has, and makes all of them known.
#[cfg(feature = "hub")]
pub fn register(registry: &mut integrations_core::registry::Registry) {
    registry.know(KNOWN);
    #[cfg(feature = "lastfm")]
    lastfm::register(registry);
    #[cfg(feature = "spotify")]
    spotify::register(registry);
}
// codegen:end
