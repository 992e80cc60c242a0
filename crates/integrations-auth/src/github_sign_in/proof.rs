//! Who proves a call: the application about a token, everything else the user.

use std::sync::Arc;

use async_trait::async_trait;
use integrations_core::{Authorize, Basic, CredentialVersion, Error, Result, WireRequest};

/// Marks a request that the application makes for itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfApplication;

/// Which credential a request went out with, when it was the application's: it is not the user's to renew.
const APPLICATIONS_OWN: CredentialVersion = CredentialVersion(u64::MAX);

/// Both proofs, of which each call needs one.
pub(super) struct Proof {
    pub(super) application: Option<Basic>,
    pub(super) user: Option<Arc<dyn Authorize>>,
}

#[async_trait]
impl Authorize for Proof {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        if request.extensions().get::<OfApplication>().is_some() {
            self.application.as_ref().ok_or_else(no_secret)?.authorize(request).await?;
            request.extensions_mut().insert(APPLICATIONS_OWN);
            return Ok(());
        }
        self.user.as_ref().ok_or_else(nobody)?.authorize(request).await
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        match &self.user {
            Some(owner) if used != Some(APPLICATIONS_OWN) => owner.refresh(used).await,
            _ => Ok(false),
        }
    }
}

pub(super) fn no_secret() -> Error {
    Error::unsupported("an application without `client_secret` cannot prove itself", "set the client secret")
}

fn nobody() -> Error {
    Error::config("no user's token goes with this call")
        .with_hint("call by what `GithubSignIn::as_user` gives")
}
