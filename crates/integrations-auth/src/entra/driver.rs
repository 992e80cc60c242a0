//! The category's operations on this service.

use async_trait::async_trait;
use integrations_core::driver::Driver;
use integrations_core::{Result, TokenSet};

use super::{Entra, spec, wire};
use crate::id_token::{browser_logout, completed, refused};
use crate::{
    Begun, Completed, LogoutDriver, LogoutRequest, PendingSignIn, RefreshDriver, SignInDriver, SignInRequest,
};

/// What says who somebody is; without `profile` there is no `oid`
/// (<https://learn.microsoft.com/en-us/entra/identity-platform/scopes-oidc>).
const SCOPES: &[&str] = &["openid", "profile", "email"];

impl Driver for Entra {
    integrations_core::client_driver!(&spec::SPEC);
}

#[async_trait]
impl SignInDriver for Entra {
    async fn begin(&self, request: &SignInRequest) -> Result<Begun> {
        self.openid.relying.begin(SCOPES, request)
    }

    async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<Completed> {
        let (tokens, claims) = self.openid.complete(pending, answer).await?;
        let identity = wire::to_identity(claims.as_map()).map_err(refused)?;
        completed(identity, tokens, &claims).map_err(refused)
    }

    integrations_core::facets! { refresh: RefreshDriver, logout: LogoutDriver }
}

#[async_trait]
impl RefreshDriver for Entra {
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        self.openid.refresh(present).await
    }
}

#[async_trait]
impl LogoutDriver for Entra {
    async fn logout_url(&self, request: &LogoutRequest) -> Result<String> {
        browser_logout(&self.logout_url, &self.client_id, request)
    }
}
