//! The transport against small servers on the loopback.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod answers;
mod egress;
mod exchange;
mod proxies;
mod redirects;
mod support;
mod tls;
#[cfg(feature = "tower")]
mod tower;
mod webhooks;
