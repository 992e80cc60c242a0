//! The remote calls.

/// Every remote call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[integrations_core::dynamic::OpEntry] = &[];
