#![doc = include_str!("docs.md")]

mod driver;
mod error;
pub mod ops;
pub mod spec;
mod wire;

use std::sync::Arc;

use http::header::HeaderName;
#[cfg(feature = "hub")]
use integrations_core::registry::Registry;
use integrations_core::setup::Setup;
use integrations_core::{Bearer, Caller, Result, SecretString};

pub use error::Errors;

use crate::transport::default_transport;

const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct Notes {
    caller: Caller,
}

impl Notes {
    /// A client of what is set up. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no token or
    /// no transport.
    pub fn open(setup: &Setup) -> Result<Self> {
        let caller = setup.caller(default_transport)?.classify(Arc::new(Errors)).key_header(KEY_HEADER);
        let caller = match setup.authorizer() {
            Some(_) => caller,
            None => caller.authorize(Arc::new(Bearer::new(setup.live("token")?))),
        };
        Ok(Self { caller: caller.build() })
    }

    /// The caller behind this client: for endpoints of one's own, with the same protection.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

integrations_core::client_builder! {
    /// Builds a client; only the token has no default.
    pub struct NotesBuilder for Notes of &spec::SPEC;
    /// The token.
    token: SecretString,
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| Notes::open(setup).map(crate::Notebook::new));
}
