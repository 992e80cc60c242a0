#![doc = include_str!("docs.md")]

mod driver;
mod error;
pub mod ops;
pub mod spec;
pub mod wire;

use std::sync::Arc;

#[cfg(feature = "hub")]
use integrations_core::registry::Registry;
use integrations_core::setup::Setup;
use integrations_core::{Bearer, Caller, Result, SecretString};

pub use error::Errors;

use crate::transport::default_transport;

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct Spotify {
    caller: Caller,
}

impl Spotify {
    /// A client of what is set up. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no token or
    /// no transport.
    pub fn open(setup: &Setup) -> Result<Self> {
        let caller = setup.caller(default_transport)?.classify(Arc::new(Errors));
        let caller = match setup.authorizer() {
            Some(_) => caller,
            None => caller.authorize(Arc::new(Bearer::new(setup.live("access_token")?))),
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
    pub struct SpotifyBuilder for Spotify of &spec::SPEC;
}

impl SpotifyBuilder {
    /// The token.
    pub fn token(self, token: impl Into<SecretString>) -> Self {
        self.set("access_token", token.into())
    }
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| Spotify::open(setup).map(crate::Music::new));
}
