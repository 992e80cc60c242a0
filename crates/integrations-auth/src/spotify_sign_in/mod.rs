#![doc = include_str!("docs.md")]

mod driver;
mod error;
pub mod ops;
pub mod spec;
mod wire;

use std::sync::Arc;

use http::Uri;
#[cfg(feature = "hub")]
use integrations_core::registry::Registry;
use integrations_core::setup::Setup;
use integrations_core::{Bearer, Caller, Error, Result, SecretString};

pub use error::Errors;
pub use ops::Account;

use crate::plain::Plain;

/// Where people sign in, and the first half of their keys.
const ACCOUNTS: &str = "https://accounts.spotify.com";

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct SpotifySignIn {
    plain: Plain,
    caller: Caller,
}

impl SpotifySignIn {
    /// A client of what is set up. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no client id, no
    /// transport, or no redirect address that Spotify takes, and if one of the address of the API and `accounts_url` is
    /// Spotify's and the other is not.
    pub fn open(setup: &Setup) -> Result<Self> {
        refuse_localhost(setup.text("redirect_uri")?)?;
        let plain = Plain::open(setup, ACCOUNTS, Arc::new(Errors))?;
        Ok(Self { caller: plain.caller(None)?, plain })
    }

    /// The caller behind this client, which proves its calls if the setup has an authorizer.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A caller for one user's token: for the call in [`ops`], and for endpoints of one's own.
    pub fn as_user(&self, access: &SecretString) -> Result<Caller> {
        self.plain.caller_of(access, Arc::new(Bearer::new(access.clone())))
    }
}

/// Spotify takes the number of this machine alone, and tells nobody but the person who signs in
/// (<https://developer.spotify.com/documentation/web-api/concepts/redirect_uri>).
fn refuse_localhost(redirect_uri: &str) -> Result<()> {
    let uri = redirect_uri.parse::<Uri>().ok();
    if uri.as_ref().and_then(Uri::host).is_some_and(|host| host.eq_ignore_ascii_case("localhost")) {
        return Err(Error::config("Spotify takes no redirect address at `localhost`")
            .with_hint("register `http://127.0.0.1` and a port in its place"));
    }
    Ok(())
}

integrations_core::client_builder! {
    /// Builds a client; only the client's id and the redirect address have no default.
    pub struct SpotifySignInBuilder for SpotifySignIn of &spec::SPEC;

    /// The application's client id.
    client_id: String,

    /// The application's client secret; without it, the application proves itself by its key (PKCE) alone.
    client_secret: SecretString,

    /// Where Spotify sends browsers back to, as it is registered there.
    redirect_uri: String,

    /// Where a fake stands in for Spotify; set the address of the API, too.
    accounts_url: String,
}

/// Adds this provider to a registry.
#[cfg(feature = "hub")]
pub fn register(registry: &mut Registry) {
    registry.add(&spec::SPEC, |setup| SpotifySignIn::open(setup).map(crate::SignIn::new));
}
