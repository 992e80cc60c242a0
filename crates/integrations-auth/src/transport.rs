//! What carries the calls of a client that was given no transport.

integrations_core::default_transport!(pub fn);
