#![doc = include_str!("docs.md")]

mod driver;
pub mod ops;
pub mod spec;
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

/// As the vendor's metadata has it (<https://accounts.google.com/.well-known/openid-configuration>).
const ISSUER: &str = "https://accounts.google.com";
const LEGACY_ISSUER: &str = "accounts.google.com";
const KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct GoogleSignIn {
    openid: OpenId,
    ways: Ways,
    caller: Caller,
    hosted_domain: Option<String>,
}

impl GoogleSignIn {
    /// A client of what is set up. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no client id, no
    /// redirect address or no transport.
    pub fn open(setup: &Setup) -> Result<Self> {
        let ways = Ways::of(setup)?;
        // The vendor's facts ask for a refresh token and a new consent each time; a sign-in needs neither.
        let issuer = stand_in::issuer(setup, &vendors::GOOGLE.authorize_params(&[]))?;
        let keys = ways.keys(&stand_in(setup, KEYS)?)?;
        let verifier = ways.verifier(keys, IssuerRule::one_of([ISSUER, LEGACY_ISSUER]))?;
        let openid = OpenId { relying: Relying::of(&ways.setup, issuer)?, verifier };
        let caller = ways.setup.caller(default_transport)?.build();
        let hosted_domain = setup.all().text("hosted_domain")?.map(str::to_ascii_lowercase);
        Ok(Self { openid, ways, caller, hosted_domain })
    }

    /// The caller behind this client: for the calls in [`ops`], proven by whoever the setup says.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

integrations_core::client_builder! {
    /// Builds a client; the client's id and the redirect address have no default.
    pub struct GoogleSignInBuilder for GoogleSignIn of &spec::SPEC;

    /// The client's id.
    client_id: String,

    /// The client's secret.
    client_secret: integrations_core::SecretString,

    /// Where the service sends browsers back to, exactly as it is registered there.
    redirect_uri: String,

    /// The Workspace domain whose accounts alone may sign in.
    hosted_domain: String,

    /// What stands in for the vendor's hosts.
    accounts_url: String,
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| GoogleSignIn::open(setup).map(crate::SignIn::new));
}
