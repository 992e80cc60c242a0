#![doc = include_str!("docs.md")]

mod driver;
pub mod ops;
pub mod spec;
mod tenants;
mod wire;

use integrations_core::setup::Setup;
use integrations_core::{Caller, Result};
use integrations_oauth::vendors;

#[cfg(feature = "hub")]
use integrations_core::registry::Registry;

use crate::IssuerRule;
use crate::id_token::{OpenId, Ways};
use crate::relying::Relying;
use crate::stand_in::{self, stand_in};
use crate::transport::default_transport;

/// As the metadata of `common` has it
/// (<https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration>).
const ISSUER: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
const ACCOUNTS: &str = "https://login.microsoftonline.com";

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct Entra {
    openid: OpenId,
    caller: Caller,
    client_id: String,
    logout_url: String,
}

impl Entra {
    /// A client of what is set up. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no tenant, no
    /// client id, no redirect address or no transport, if the tenants that may sign in are none, and for a tenant that is
    /// given by its domain without a list of those by their ids.
    pub fn open(setup: &Setup) -> Result<Self> {
        let ways = Ways::of(setup)?;
        let tenant = setup.text("tenant")?;
        let tenants = tenants::admitted(tenant, setup.all().list("tenants")?)?;
        // Checks the tenant as a part of an address, too.
        let issuer = stand_in::issuer(setup, &vendors::MICROSOFT)?.var("tenant", tenant);
        let relying = Relying::of(&ways.setup, issuer)?;
        let at = |path: &str| stand_in(setup, &format!("{ACCOUNTS}/{tenant}/{path}"));
        let keys = ways.keys(&at("discovery/v2.0/keys")?)?;
        let verifier = ways.verifier(keys, IssuerRule::by_tenant(ISSUER, tenants))?;
        Ok(Self {
            openid: OpenId { relying, verifier },
            caller: ways.setup.caller(default_transport)?.build(),
            client_id: setup.text("client_id")?.to_owned(),
            logout_url: at("oauth2/v2.0/logout")?,
        })
    }

    /// The caller behind this client: for the calls in [`ops`], proven by whoever the setup says.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

integrations_core::client_builder! {
    /// Builds a client; tenant, the client's id and the redirect address have no default.
    pub struct EntraBuilder for Entra of &spec::SPEC;

    /// Whose accounts may sign in: a tenant's id or domain, or `common`, `organizations`, `consumers`.
    tenant: String,

    /// The ids of the tenants whose accounts alone may sign in.
    tenants: Vec<String>,

    /// The application's (client) id.
    client_id: String,

    /// A client secret's value.
    client_secret: integrations_core::SecretString,

    /// Where the service sends browsers back to, exactly as it is registered there.
    redirect_uri: String,

    /// What stands in for the vendor's hosts.
    accounts_url: String,
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| Entra::open(setup).map(crate::SignIn::new));
}
