//! The category's operations on this service.

use async_trait::async_trait;
use integrations_core::driver::Driver;
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString, TokenSet};

use super::{GoogleSignIn, ops, spec, wire};
use crate::id_token::{completed, refused};
use crate::{
    Begun, Completed, Identity, PendingSignIn, ProfileDriver, RefreshDriver, RevokeDriver, SignInDriver,
    SignInRequest,
};

/// What says who somebody is (<https://developers.google.com/identity/protocols/oauth2/scopes#openid-connect>).
const SCOPES: &[&str] = &["openid", "email", "profile"];

/// What OpenID Connect has for this; Google refuses it and has a parameter instead.
const OFFLINE: &str = "offline_access";

impl Driver for GoogleSignIn {
    integrations_core::client_driver!(&spec::SPEC);
}

#[async_trait]
impl SignInDriver for GoogleSignIn {
    async fn begin(&self, request: &SignInRequest) -> Result<Begun> {
        let mut request = request.clone();
        if request.scopes.iter().any(|scope| scope == OFFLINE) {
            request.scopes.retain(|scope| scope != OFFLINE);
            request = request.param("access_type", "offline");
        }
        if let Some(domain) = &self.hosted_domain {
            request = request.param("hd", domain);
        }
        self.openid.relying.begin(SCOPES, &request)
    }

    async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<Completed> {
        let (tokens, claims) = self.openid.complete(pending, answer).await?;
        let identity = wire::to_identity(claims.as_map()).map_err(refused)?;
        self.check_domain(&identity)?;
        completed(identity, tokens, &claims).map_err(refused)
    }

    integrations_core::facets! { profile: ProfileDriver, refresh: RefreshDriver, revoke: RevokeDriver }
}

impl GoogleSignIn {
    /// The parameter of the request is a wish, which whoever sits at the browser may change.
    fn check_domain(&self, identity: &Identity) -> Result<()> {
        let Some(domain) = &self.hosted_domain else { return Ok(()) };
        if identity.organisation.as_ref() == Some(domain) {
            return Ok(());
        }
        let message = "the account is not one of the domain that may sign in";
        Err(Error::new(ErrorKind::PermissionDenied, Effect::Applied, message)
            .with_code("hosted_domain")
            .with_hint("let them sign in with their account at the setting `hosted_domain`"))
    }
}

#[async_trait]
impl ProfileDriver for GoogleSignIn {
    async fn profile(&self, access: &SecretString) -> Result<Identity> {
        let said = self.ways.caller(access)?.call(&ops::Userinfo {}).await?;
        let identity = wire::to_identity(&said.claims)?;
        self.check_domain(&identity).map_err(|e| e.with_effect(Effect::Rejected))?;
        Ok(identity)
    }
}

#[async_trait]
impl RefreshDriver for GoogleSignIn {
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        self.openid.refresh(present).await
    }
}

#[async_trait]
impl RevokeDriver for GoogleSignIn {
    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        self.openid.relying.client().revoke(present).await
    }
}
