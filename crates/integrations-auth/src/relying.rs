//! What sign-in at every service with OAuth 2 has in common: beginning a flow, and exchanging its code.

use std::time::Duration;

use integrations_core::setup::Setup;
use integrations_core::{Effect, Error, ErrorKind, Result, Secret, SecretString, TokenSet};
use integrations_oauth::{AuthorizeRequest, Callback, Client, Issuer, PendingAuthorization};
use serde::{Deserialize, Serialize};

use crate::transport::default_transport;
use crate::{Begun, PendingSignIn, SignInRequest};

/// The application as a client of the service that knows its users.
#[derive(Debug, Clone)]
pub(crate) struct Relying {
    client: Client,
    provider: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    oauth: Vec<u8>,
    max_age: Option<Duration>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.oauth);
    }
}

impl Relying {
    /// A client with the settings `client_id`, `client_secret` (optional) and `redirect_uri`.
    pub(crate) fn of(setup: &Setup, issuer: Issuer) -> Result<Self> {
        let builder = Client::builder(issuer, setup.text("client_id")?)
            .redirect_uri(setup.text("redirect_uri")?)
            .transport(setup.carrier(default_transport)?)
            .clock(setup.wall_clock().clone());
        let has_secret = setup.all().get("client_secret").is_some();
        let builder = if has_secret { builder.secret(setup.live("client_secret")?) } else { builder };
        let builder = match setup.own_pipeline() {
            Some(pipeline) => builder.pipeline(pipeline.clone()),
            None => builder,
        };
        Ok(Self { client: builder.build()?, provider: setup.spec().id })
    }

    /// The client of the protocol.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a flow for `scopes` and what is asked for besides.
    pub(crate) fn begin(&self, scopes: &[&str], request: &SignInRequest) -> Result<Begun> {
        let own = scopes.iter().map(|scope| (*scope).to_owned());
        let others = request.scopes.iter().filter(|scope| !scopes.contains(&scope.as_str())).cloned();
        let mut authorize = AuthorizeRequest::new(own.chain(others));
        if let Some(hint) = &request.login_hint {
            authorize = authorize.param("login_hint", hint);
        }
        if let Some(age) = request.max_age {
            authorize = authorize.param("max_age", age.as_secs().to_string());
        }
        let params = request.params.iter().cloned();
        let authorize = params.fold(authorize, |authorize, (name, value)| authorize.param(name, value));
        let (url, pending) = self.client.authorize(authorize)?;
        let stored = Stored { oauth: pending.to_stored()?.expose().clone(), max_age: request.max_age };
        let inner = serde_json::to_vec(&stored).map(Secret::new);
        let inner = inner.map_err(|_| Error::invalid_request("the sign-in cannot be stored"))?;
        let (state, end) = (pending.state().clone(), pending.expires_at());
        Ok(Begun::new(url, PendingSignIn::new(self.provider, state, inner, end)))
    }

    /// Holds the answer against what was begun, and exchanges its code. Besides the tokens: the nonce that the issuer's
    /// statement must name, and within which time they must have proven themselves.
    pub(crate) async fn exchange(
        &self,
        pending: PendingSignIn,
        answer: &str,
    ) -> Result<(TokenSet, Option<SecretString>, Option<Duration>)> {
        let mut stored: Stored = serde_json::from_slice(pending.inner().expose()).map_err(|_| {
            Error::new(ErrorKind::Decode, Effect::NotSent, "the stored sign-in cannot be read")
                .with_hint("let the user begin again")
        })?;
        let authorization = PendingAuthorization::from_stored(&std::mem::take(&mut stored.oauth).into())?;
        let nonce = authorization.nonce().cloned();
        let tokens = self.client.complete(authorization, Callback::parse(answer)?).await?;
        Ok((tokens, nonce, stored.max_age))
    }
}

/// A failure after the code was exchanged: the same answer gives nothing more, whatever is tried.
pub(crate) fn spent(error: Error) -> Error {
    let hint = error.hint().unwrap_or("the code is spent: let the user begin again").to_owned();
    error.with_effect(Effect::Applied).with_retryable(false).with_hint(hint)
}
