//! The transport against small servers on the loopback.

mod answers;
mod egress;
mod exchange;
mod proxies;
mod redirects;
mod support;
mod tls;
#[cfg(feature = "tower")]
mod tower;
