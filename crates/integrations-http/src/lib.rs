//! The reqwest transport.
