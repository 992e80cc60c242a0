//! The category's operations on this service.

use async_trait::async_trait;
use integrations_core::driver::Driver;
use integrations_core::{Result, SecretString, TokenSet};

use super::ops::GetMe;
use super::{SpotifySignIn, spec};
use crate::{
    Begun, Completed, Identity, IdentityKey, PendingSignIn, ProfileDriver, RefreshDriver, SignInDriver,
    SignInRequest,
};

/// `/me` names an account without any scope.
const SCOPES: &[&str] = &[];

impl Driver for SpotifySignIn {
    integrations_core::client_driver!(&spec::SPEC);
}

#[async_trait]
impl SignInDriver for SpotifySignIn {
    async fn begin(&self, request: &SignInRequest) -> Result<Begun> {
        self.plain.begin(SCOPES, request)
    }

    async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<Completed> {
        let who = async |access| ProfileDriver::profile(self, &access).await;
        self.plain.complete(pending, answer, who).await
    }

    integrations_core::facets! { profile: ProfileDriver, refresh: RefreshDriver }
}

#[async_trait]
impl ProfileDriver for SpotifySignIn {
    async fn profile(&self, access: &SecretString) -> Result<Identity> {
        let account = self.as_user(access)?.call(&GetMe::default()).await?;
        let key = IdentityKey::new(self.plain.issuer(), account.subject);
        let mut identity = Identity::new(spec::SPEC.id, key);
        identity.email = account.email;
        identity.name = account.display_name;
        identity.picture = account.picture;
        identity.extra = account.extra;
        Ok(identity)
    }
}

#[async_trait]
impl RefreshDriver for SpotifySignIn {
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        self.plain.refresh(present).await
    }
}
