#![doc = include_str!("docs.md")]

pub mod ops;
pub mod spec;

#[cfg(feature = "hub")]
use integrations_core::registry::Registry;

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    let _ = registry;
}
