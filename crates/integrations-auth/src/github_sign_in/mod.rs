#![doc = include_str!("docs.md")]

mod driver;
mod error;
pub mod ops;
mod proof;
pub mod spec;
mod types;
mod wire;

use std::sync::Arc;

#[cfg(feature = "hub")]
use integrations_core::registry::Registry;
use integrations_core::setup::Setup;
use integrations_core::{Basic, Bearer, Caller, Effect, Error, ErrorKind, Result, SecretString};

pub use error::Errors;
pub use types::{Account, CheckedToken, Email, OwnToken};

use proof::Proof;

use crate::IdentityKey;
use crate::plain::Plain;

/// Where people sign in, and the first half of their keys.
const ACCOUNTS: &str = "https://github.com";

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct GithubSignIn {
    plain: Plain,
    caller: Caller,
    client_id: String,
    /// Who proves what the application asks for itself; nobody without the client's secret.
    application: Option<Basic>,
}

impl GithubSignIn {
    /// A client of what is set up. [`ErrorKind::Config`] if there is no client id, no redirect address or no transport,
    /// and if one of the address of the API and `accounts_url` is GitHub's and the other is not.
    pub fn open(setup: &Setup) -> Result<Self> {
        let plain = Plain::open(setup, ACCOUNTS, Arc::new(Errors))?;
        let client_id = setup.text("client_id")?.to_owned();
        let has_secret = setup.all().get("client_secret").is_some();
        let secret = has_secret.then(|| setup.live("client_secret")).transpose()?;
        let application = secret.map(|secret| Basic::new(client_id.as_str(), secret)).transpose()?;
        let proof = Proof { application: application.clone(), user: setup.authorizer().cloned() };
        let caller = plain.caller(Some(Arc::new(proof)))?;
        Ok(Self { plain, caller, client_id, application })
    }

    /// The caller behind this client: for the calls in [`ops`] that the application makes for itself, and for a user's if
    /// the setup has an authorizer.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A caller for one user's token: for the calls in [`ops`], and for endpoints of one's own.
    pub fn as_user(&self, access: &SecretString) -> Result<Caller> {
        let user = Bearer::new(access.clone());
        let proof = Proof { application: self.application.clone(), user: Some(Arc::new(user)) };
        self.plain.caller_of(access, Arc::new(proof))
    }

    /// Whose token this is, if it was given to this application: for a token that an application on somebody's device
    /// shows, and whoever else brings one. GitHub answers `/user` for the tokens of all applications: a token that people
    /// gave to another one, their game say, would open their accounts here to whoever runs that.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `token_not_ours` if the token was given to another application, has
    /// ended, or stands for no user; [`ErrorKind::Unsupported`] without the client's secret.
    pub async fn check_token(&self, access: &SecretString) -> Result<OwnToken> {
        let call = ops::CheckToken { client_id: self.client_id.clone(), access_token: access.clone() };
        let checked = match self.application()?.call(&call).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_ours()),
            other => other?,
        };
        match checked.user.filter(|_| checked.client_id == self.client_id) {
            Some(id) => {
                Ok(OwnToken { key: self.key_of(id), scopes: checked.scopes, expires_at: checked.expires_at })
            }
            None => Err(not_ours()),
        }
    }

    /// Calls of the application alone: a refused secret is read anew.
    fn application(&self) -> Result<Caller> {
        let proof = self.application.clone().ok_or_else(proof::no_secret)?;
        self.plain.caller(Some(Arc::new(proof)))
    }

    fn key_of(&self, id: u64) -> IdentityKey {
        IdentityKey::new(self.plain.issuer(), id.to_string())
    }
}

fn not_ours() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the token was not given to this application")
        .with_code("token_not_ours")
        .with_hint("let the user sign in here")
}

integrations_core::client_builder! {
    /// Builds a client; only the client's id and the redirect address have no default.
    pub struct GithubSignInBuilder for GithubSignIn of &spec::SPEC;

    /// The application's client id.
    client_id: String,

    /// The application's client secret.
    client_secret: SecretString,

    /// Where GitHub sends browsers back to, as it is registered there.
    redirect_uri: String,

    /// Where people sign in instead; set the address of the API, too.
    accounts_url: String,
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| GithubSignIn::open(setup).map(crate::SignIn::new));
}
