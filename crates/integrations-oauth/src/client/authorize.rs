//! Where a user is sent to consent.

use integrations_core::provider::OAuth;
use integrations_core::{Error, Result};

use super::builder::Client;
use super::issuer::Address;
use super::pending::PendingAuthorization;
use super::pkce;

/// What a user is asked to consent to.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct AuthorizeRequest {
    scopes: Vec<String>,
    params: Vec<(String, String)>,
    redirect_uri: Option<String>,
    without_nonce: bool,
}

/// What the flow itself sets: another value would take its protection away.
const OWN: [&str; 8] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

impl AuthorizeRequest {
    /// A request for these scopes, and for those that the vendor gives no refresh token without.
    pub fn new<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Adds a parameter of the vendor's, such as `prompt` or `login_hint`.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// Sends the user back to another address than the client's.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// Sends no `nonce` though `openid` is among the scopes: for issuers whose statements leave it out.
    pub fn without_nonce(mut self) -> Self {
        self.without_nonce = true;
        self
    }
}

/// Also by the vendor's name for it.
fn is_own(name: &str, facts: &OAuth) -> bool {
    let is_own = |name: &str| OWN.contains(&name);
    is_own(name) || facts.renames.iter().any(|(standard, theirs)| *theirs == name && is_own(standard))
}

impl Client {
    /// Begins a flow: where to send the user, and what to keep until the user comes back.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](integrations_core::ErrorKind) if the issuer has no user flow;
    /// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) for a parameter that the flow itself sets.
    pub fn authorize(&self, request: AuthorizeRequest) -> Result<(String, PendingAuthorization)> {
        let (issuer, facts) = (&self.shared.issuer, self.facts());
        let at = issuer.at(Address::Authorize)?;
        if let Some((name, _)) = request.params.iter().find(|(name, _)| is_own(name, facts)) {
            return Err(Error::invalid_request(format!("the parameter `{name}` is set by the flow itself")));
        }
        let scopes = self.with_default_scopes(request.scopes);
        let redirect_uri = request.redirect_uri.or_else(|| self.shared.redirect_uri.clone());
        let wants_nonce = !request.without_nonce && scopes.iter().any(|scope| scope == "openid");
        let pending = PendingAuthorization::new(self, redirect_uri, wants_nonce)?;
        let scope = issuer.joined(scopes.iter().map(String::as_str));
        let mut params =
            self.shared.draft.authorize(pending.state.expose(), pending.redirect_uri.as_deref(), scope)?;
        if let Some(verifier) = &pending.verifier
            && let Some(challenge) = pkce::challenge(self.pkce(), verifier.expose())
        {
            params.set("code_challenge", challenge);
            params.set("code_challenge_method", "S256");
        }
        if let Some(nonce) = &pending.nonce {
            params.set("nonce", nonce.clone());
        }
        params.set_all(facts.authorize_params);
        for (name, value) in request.params {
            params.set(&name, value);
        }
        params.rename(facts.renames);
        Ok((params.in_query_of(at)?.to_string(), pending))
    }

    /// Scopes with those of the vendor's that are always asked for.
    pub(super) fn with_default_scopes(&self, mut scopes: Vec<String>) -> Vec<String> {
        for scope in self.facts().default_scopes {
            if !scopes.iter().any(|present| present == scope) {
                scopes.push((*scope).to_owned());
            }
        }
        scopes
    }
}
