//! The transport over reqwest: what every HTTP integration sends through.
//!
//! - It says whether a failed request can have reached the service
//!   ([`TransportError::sent`](integrations_core::TransportError::sent)).
//! - It never retries, and forwards no credential when a redirect leaves the origin.
//! - It vets every address before it dials it ([`EgressPolicy`]): metadata services are always out of reach, and
//!   [`EgressPolicy::public_only`] makes addresses that tenants give safe to call.
//! - It bounds what it reads: length, decompressed size and ratio.
//! - No URL, header or body is in its errors or its `Debug`, nor in what its dependencies log, even at TRACE. One
//!   thing is a server's to say: h2 logs at DEBUG the text that a server puts into GOAWAY. Keep the target `h2`
//!   below DEBUG where servers may echo what they were sent.
//!
//! ```
//! use std::time::Duration;
//! use integrations_http::{EgressPolicy, HttpTransport, Proxy};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let webhooks = HttpTransport::builder()
//!     .egress(EgressPolicy::public_only())
//!     .connect_timeout(Duration::from_secs(5))
//!     .max_body(64 * 1024)
//!     .build()?;
//! let through_a_proxy = HttpTransport::builder().proxy(Proxy::url("http://user:word@proxy.corp:3128")?).build()?;
//! # drop((webhooks, through_a_proxy));
//! # Ok::<(), integrations_core::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate is the one that installs the process's rustls crypto provider (aws-lc-rs), unless the
//! application has installed one before: [`install_crypto_provider`].

mod answer;
mod builder;
mod egress;
mod failure;
mod gzip;
mod proxy;
mod redirect;
mod resolve;
mod tls;
#[cfg(feature = "tower")]
mod tower;
mod transport;
mod upload;

pub use builder::HttpTransportBuilder;
pub use egress::EgressPolicy;
pub use proxy::Proxy;
pub use resolve::Resolver;
pub use tls::install_crypto_provider;
#[cfg(feature = "tower")]
pub use tower::TransportService;
pub use transport::HttpTransport;
