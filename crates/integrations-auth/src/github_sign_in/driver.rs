//! The category's operations on this service.

use async_trait::async_trait;
use integrations_core::driver::{Caps, Driver};
use integrations_core::{ErrorKind, Result, SecretString, TokenSet};

use super::ops::{DeleteToken, GetUser, ListEmails};
use super::types::Email;
use super::{GithubSignIn, spec};
use crate::{
    Begun, Completed, Identity, PendingSignIn, ProfileDriver, RefreshDriver, RevokeDriver, SignInDriver,
    SignInRequest,
};

/// What is asked for to know who they are
/// (<https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>); GitHub Apps have permissions
/// instead, and ignore it.
const SCOPES: &[&str] = &["read:user", "user:email"];

const STILL_GOOD: &str =
    "the token is still good: compare `client_id` and `client_secret` with the application's page";

impl Driver for GithubSignIn {
    integrations_core::client_driver!(&spec::SPEC);

    fn caps(&self) -> Caps {
        Caps::of(&spec::SPEC).only_if(self.application.is_some(), &["revoke"])
    }
}

#[async_trait]
impl SignInDriver for GithubSignIn {
    /// GitHub's word for who is expected is `login`.
    async fn begin(&self, request: &SignInRequest) -> Result<Begun> {
        let mut request = request.clone();
        if let Some(expected) = request.login_hint.take() {
            request = request.param("login", expected);
        }
        self.plain.begin(SCOPES, &request)
    }

    async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<Completed> {
        let who = async |access| ProfileDriver::profile(self, &access).await;
        self.plain.complete(pending, answer, who).await
    }

    integrations_core::facets! { profile: ProfileDriver, refresh: RefreshDriver, revoke: RevokeDriver }
}

#[async_trait]
impl ProfileDriver for GithubSignIn {
    async fn profile(&self, access: &SecretString) -> Result<Identity> {
        let user = self.as_user(access)?;
        let account = user.call(&GetUser::default()).await?;
        let emails = match user.call(&ListEmails::default()).await {
            // The user, or the GitHub App's page, has not granted it: they are who they are without.
            Err(error) if is_not_granted(error.kind()) => Vec::new(),
            other => other?,
        };
        let primary = emails.into_iter().find(|email| email.is_primary).map(|Email { claim, .. }| claim);
        let mut identity = Identity::new(spec::SPEC.id, self.key_of(account.id));
        identity.email = primary.or(account.email);
        identity.name = account.name;
        identity.username = account.login;
        identity.picture = account.avatar_url;
        identity.extra = account.extra;
        Ok(identity)
    }
}

fn is_not_granted(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::NotFound)
}

#[async_trait]
impl RefreshDriver for GithubSignIn {
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        self.plain.refresh(present).await
    }
}

#[async_trait]
impl RevokeDriver for GithubSignIn {
    /// GitHub ends tokens by the access token alone. One that has ended already hides that a refresh token is left, so
    /// that this is used up first, for a token that can be ended.
    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        if self.was_ended(&present.access).await? || present.refresh.is_none() {
            return Ok(());
        }
        match self.plain.refresh(present).await {
            Ok(next) => self.was_ended(&next.access).await.map(drop),
            Err(error) if error.kind() == ErrorKind::ReauthRequired => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl GithubSignIn {
    /// Ends a token; `false`: there was no such token. A refusal as 404 or 422 may mean that, and may as well mean a wrong
    /// secret: a token that still opens `/user` has not ended.
    async fn was_ended(&self, access: &SecretString) -> Result<bool> {
        let call = DeleteToken { client_id: self.client_id.clone(), access_token: access.clone() };
        let refusal = match self.application()?.call(&call).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidRequest) => error,
            other => return other.map(|()| true),
        };
        match self.as_user(access)?.call(&GetUser::default()).await {
            Err(error) if error.kind() == ErrorKind::Unauthenticated => Ok(false),
            other => other.and(Err(refusal.with_hint(STILL_GOOD))),
        }
    }
}
