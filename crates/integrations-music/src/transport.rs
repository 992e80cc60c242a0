//! What carries the calls of a client that was given no transport.

use std::sync::Arc;

use integrations_core::{Error, Result, Transport};

/// A transport over reqwest; [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if this build has none. Give it to
/// several clients, and they share its connections.
pub fn default_transport() -> Result<Arc<dyn Transport>> {
    let transport: Option<Arc<dyn Transport>> = None;
    #[cfg(feature = "http")]
    let transport = transport.or(Some(Arc::new(integrations_http::HttpTransport::builder().build()?)));
    transport.ok_or_else(|| {
        Error::config("there is no transport")
            .with_hint("enable the feature `http`, or give one to the builder")
    })
}
