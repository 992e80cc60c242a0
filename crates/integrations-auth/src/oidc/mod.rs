#![doc = include_str!("docs.md")]

mod discovered;
mod driver;
pub mod ops;
pub mod spec;
mod wire;

use std::time::Duration;

use integrations_core::Result;
use integrations_core::setup::Setup;
use integrations_oauth::safe_uri;

#[cfg(feature = "hub")]
use integrations_core::registry::Registry;

use self::discovered::Discovery;
use crate::id_token::Ways;
use crate::jwks::Kept;

/// What lies at least between a discovery that failed and the next one.
const COOL_DOWN: Duration = Duration::from_secs(60);

/// A client of an issuer. Cheap to clone.
#[derive(Clone)]
pub struct Oidc {
    kept: Kept<Discovery>,
}

impl Oidc {
    /// A client of what is set up. Nothing is sent yet: the issuer is asked where it is when that is first needed.
    /// [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no issuer, no client id, no redirect address or
    /// no transport, and for an issuer that is neither `https` nor on this machine.
    pub fn open(setup: &Setup) -> Result<Self> {
        let issuer = setup.text("issuer")?;
        safe_uri(issuer).map_err(|e| e.with_context("the issuer's address"))?;
        setup.text("client_id")?;
        setup.text("redirect_uri")?;
        let discovery = Discovery { ways: Ways::of(setup)?, issuer: issuer.to_owned() };
        Ok(Self { kept: Kept::new(discovery, COOL_DOWN) })
    }
}

integrations_core::client_builder! {
    /// Builds a client; issuer, the client's id and the redirect address have no default.
    pub struct OidcBuilder for Oidc of &spec::SPEC;

    /// The issuer's address, exactly as its own metadata has it.
    issuer: String,

    /// The client's id.
    client_id: String,

    /// The client's secret. Without one the client is a public one, which proves itself by PKCE.
    client_secret: integrations_core::SecretString,

    /// Where the issuer sends browsers back to, exactly as it is registered there.
    redirect_uri: String,
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| Oidc::open(setup).map(crate::SignIn::new));
}
