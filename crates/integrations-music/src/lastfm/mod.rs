#![doc = include_str!("docs.md")]

mod auth;
mod driver;
mod error;
mod id;
pub mod ops;
pub mod spec;
mod types;
mod wire;

use std::sync::Arc;

use http::Uri;
#[cfg(feature = "hub")]
use integrations_core::registry::Registry;
use integrations_core::setup::Setup;
use integrations_core::{Caller, Req, Result, SecretString};

pub use error::Errors;
pub use types::{AlbumDetails, Session, Token, TrackDetails, User};

use crate::transport::default_transport;

/// Where users consent (<https://www.last.fm/api/webauth>).
const CONSENT: &str = "https://www.last.fm/api/auth/";

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct Lastfm {
    caller: Caller,
    api_key: String, // tidy: not a secret, it stands in addresses that users see
    user: Option<String>,
    has_session: bool,
}

impl Lastfm {
    /// A client of what is set up. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no API key,
    /// no transport, or a session key without the shared secret.
    pub fn open(setup: &Setup) -> Result<Self> {
        let session = setup.bearer("session_key")?;
        let has_session = session.is_some();
        let is_signing = has_session || setup.all().secret("shared_secret")?.is_some();
        let secret = is_signing.then(|| setup.live("shared_secret")).transpose()?;
        let api_key = setup.text("api_key")?.to_owned();
        let user = setup.all().text("user")?.map(str::to_owned);
        let signature = auth::Signature { api_key: api_key.clone(), secret, session };
        let caller = setup.caller(default_transport)?.classify(Arc::new(Errors));
        Ok(Self { caller: caller.authorize(Arc::new(signature)).build(), api_key, user, has_session })
    }

    /// The caller behind this client: for the calls in [`ops`] that the category does not have, and for endpoints of
    /// one's own, with the same protection.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Where a web application sends a user to consent. They come back to `callback` with the parameter `token`, for
    /// [`session`](Self::session).
    pub fn web_consent_url(&self, callback: &Uri) -> Result<String> {
        self.consent_url("cb", &callback.to_string())
    }

    /// Where a desktop application sends a user to consent to a token of [`ops::AuthGetToken`]. Nothing comes back: ask
    /// [`session`](Self::session) again while it fails with code `14`.
    pub fn desktop_consent_url(&self, token: &SecretString) -> Result<String> {
        self.consent_url("token", token.expose())
    }

    fn consent_url(&self, name: &str, value: &str) -> Result<String> {
        let page = Req::get(&Uri::from_static(CONSENT)).slash();
        let page = page.query("api_key", Some(&self.api_key)).query(name, Some(value)).build()?;
        Ok(page.uri().to_string())
    }

    /// The session of a token that a user has consented to. A token gives one session.
    pub async fn session(&self, token: impl Into<SecretString>) -> Result<Session> {
        self.caller.call(&ops::AuthGetSession { token: token.into() }).await
    }
}

integrations_core::client_builder! {
    /// Builds a client; only the API key has no default.
    pub struct LastfmBuilder for Lastfm of &spec::SPEC;

    /// The key of the application.
    api_key: String,

    /// The shared secret beside the key, for everything that is signed.
    shared_secret: SecretString,

    /// The session key of a user, for everything that is done in their name.
    session_key: SecretString,

    /// Whose library and history are read.
    user: String,
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| Lastfm::open(setup).map(crate::Music::new));
}
