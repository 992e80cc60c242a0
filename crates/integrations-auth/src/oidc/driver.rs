//! The category's operations on this service.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use integrations_core::driver::{Caps, Driver};
use integrations_core::jose::JwtError;
use integrations_core::provider::ProviderSpec;
use integrations_core::{Result, SecretString, TokenSet};

use super::discovered::Discovered;
use super::{Oidc, spec, wire};
use crate::id_token::{browser_logout, completed, refused};
use crate::relying::spent;
use crate::{
    AuthCap, Begun, Completed, Identity, IdentityKey, LogoutDriver, LogoutNotice, LogoutNoticeDriver,
    LogoutRequest, PendingSignIn, ProfileDriver, RefreshDriver, RevokeDriver, SignInDriver, SignInRequest,
};

/// OpenID Connect Core 1.0 sections 3.1.2.1 and 5.4.
const SCOPES: &[&str] = &["openid", "profile", "email"];

impl Driver for Oidc {
    fn spec(&self) -> &'static ProviderSpec {
        &spec::SPEC
    }

    /// Everything, until the issuer has said what it has.
    fn caps(&self) -> Caps {
        self.kept.present().map_or_else(|| Caps::of(&spec::SPEC), |held| held.value.caps())
    }

    fn raw(&self) -> &dyn Any {
        self
    }
}

impl Oidc {
    async fn discovered(&self) -> Result<Arc<Discovered>> {
        Ok(self.kept.get().await?.value)
    }

    /// The issuer, if it has this part.
    async fn having(&self, cap: AuthCap) -> Result<Arc<Discovered>> {
        let found = self.discovered().await?;
        found.need(cap)?;
        Ok(found)
    }
}

#[async_trait]
impl SignInDriver for Oidc {
    async fn begin(&self, request: &SignInRequest) -> Result<Begun> {
        self.discovered().await?.openid.relying.begin(SCOPES, request)
    }

    async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<Completed> {
        let found = self.discovered().await?;
        let (tokens, claims) = found.openid.complete(pending, answer).await?;
        let name = |claim| claims.need(claim).map_err(refused);
        let key = IdentityKey::new(name("iss")?, name("sub")?);
        let mut identity = wire::to_identity(key, claims.as_map());
        if wire::is_bare(&identity)
            && let Some(more) = user_info(&found, &tokens.access, &identity.key).await?
        {
            wire::fill(&mut identity, more);
        }
        completed(identity, tokens, &claims).map_err(refused)
    }

    integrations_core::facets! {
        profile: ProfileDriver,
        refresh: RefreshDriver,
        revoke: RevokeDriver,
        logout: LogoutDriver,
        logout_notice: LogoutNoticeDriver,
    }
}

/// What the issuer says at its other address; `None` if it does not. Who it is is proven without it.
async fn user_info(found: &Discovered, access: &SecretString, of: &IdentityKey) -> Result<Option<Identity>> {
    match found.user_info(access).await {
        // OpenID Connect Core 1.0 section 5.3.2.
        Ok(said) if said.sub != of.subject => Err(refused(JwtError::Mismatch("sub"))),
        Ok(said) => Ok(Some(wire::to_identity(of.clone(), &said.claims))),
        // Without what is there at other times, they could be taken for somebody new.
        Err(error) if error.is_retryable() => Err(spent(error)),
        Err(_) => Ok(None),
    }
}

#[async_trait]
impl ProfileDriver for Oidc {
    async fn profile(&self, access: &SecretString) -> Result<Identity> {
        let found = self.having(AuthCap::Profile).await?;
        let said = found.user_info(access).await?;
        let issuer = found.issuer.name().unwrap_or_default();
        Ok(wire::to_identity(IdentityKey::new(issuer, said.sub), &said.claims))
    }
}

#[async_trait]
impl RefreshDriver for Oidc {
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        self.discovered().await?.openid.refresh(present).await
    }
}

#[async_trait]
impl RevokeDriver for Oidc {
    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        self.having(AuthCap::Revoke).await?.openid.relying.client().revoke(present).await
    }
}

#[async_trait]
impl LogoutDriver for Oidc {
    async fn logout_url(&self, request: &LogoutRequest) -> Result<String> {
        let found = self.having(AuthCap::Logout).await?;
        browser_logout(found.issuer.logout_url().unwrap_or_default(), found.client_id()?, request)
    }
}

#[async_trait]
impl LogoutNoticeDriver for Oidc {
    async fn logout_notice(&self, token: &SecretString) -> Result<LogoutNotice> {
        self.having(AuthCap::LogoutNotice).await?.openid.verifier.verify_logout(token).await
    }
}
