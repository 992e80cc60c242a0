//! Integration tests of core, in virtual time, through the public interface.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::unit_arg, reason = "`Ok(sleep(..).await)` says what a scripted attempt does")]

mod caller;
mod caller_edges;
mod chaos;
#[cfg(feature = "config")]
mod config;
mod edges;
mod fairness;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "webhook-jwt")]
mod jose;
mod operate;
mod pipeline;
#[cfg(all(feature = "inbox", feature = "sqlite"))]
mod receiving;
mod rotation;
mod sizes;
#[cfg(all(feature = "webhook-jwt", feature = "webhook-x509"))]
mod webhook;
