//! Simulated parties for the proofs, in the virtual time of a paused runtime.

pub(crate) mod load;
pub(crate) mod vendor;
