//! Who proves the calls: a user's connection, a user's token, or the application itself.

use std::sync::Arc;

use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::setup::Setup;
use integrations_core::{Authorize, Bearer, ConnectionId, Error, Result, Transport};
use integrations_oauth::store::MemoryTokens;
use integrations_oauth::{Address, Client, ClientCredentials, Issuer, Vault, vendors};

use super::spec;

/// Who proves the calls.
#[derive(Clone)]
pub(super) struct Proof {
    pub(super) authorize: Arc<dyn Authorize>,
    /// Whether a user stands behind it; an application alone only reads the catalogue.
    pub(super) is_user: bool,
}

impl Proof {
    pub(super) fn of(setup: &Setup, transport: Arc<dyn Transport>) -> Result<Self> {
        let is_set = |name| setup.all().get(name).is_some();
        let user = |authorize| Ok(Self { authorize, is_user: true });
        if let Some(connection) = setup.authorizer() {
            return user(connection.clone());
        }
        if is_set("access_token") {
            return user(Arc::new(Bearer::new(setup.live("access_token")?)));
        }
        if is_set("client_id") || is_set("client_secret") {
            return Ok(Self { authorize: application(setup, transport)?, is_user: false });
        }
        Err(Error::config("`spotify` has no credentials").with_hint(
            "set `client_id` and `client_secret` for the catalogue; for a user's music open a connection of the user, or \
             set `access_token`",
        ))
    }
}

/// Tokens of the application itself: asked for by the first call that needs one, shared by all that come meanwhile, and
/// again when they end. There is nothing to keep when the process ends, so they stay in memory.
/// <https://developer.spotify.com/documentation/web-api/tutorials/client-credentials-flow>
fn application(setup: &Setup, transport: Arc<dyn Transport>) -> Result<Arc<dyn Authorize>> {
    let client = Client::builder(accounts(setup)?, setup.text("client_id")?)
        .secret(setup.live("client_secret")?)
        .transport(transport)
        .clock(setup.wall_clock().clone())
        .build()?;
    let instance = spec::SPEC.id;
    let keys = LocalKeys::parse(&LocalKeys::generate()?)?;
    let sealer = Envelope::new(Arc::new(keys), instance);
    let vault = Vault::builder(Arc::new(MemoryTokens::new()), Arc::new(sealer))
        .source(instance, Arc::new(ClientCredentials::new(client, [""; 0])))
        .clock(setup.wall_clock().clone())
        .build();
    Ok(vault.authorizer(&ConnectionId::new("", instance, "application")?))
}

/// Who gives tokens: the vendor, or what stands in for it.
fn accounts(setup: &Setup) -> Result<Issuer> {
    let vendor = Issuer::from(vendors::SPOTIFY);
    let other = setup.all().text("accounts_url")?;
    Ok(match other.map(|url| url.trim_end_matches('/')) {
        Some(url) => vendor.at(Address::Token, format!("{url}/api/token")),
        None => vendor,
    })
}
