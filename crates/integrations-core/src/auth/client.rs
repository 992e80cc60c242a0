//! What an application holds: sign-in, whichever service does it.

use std::fmt;
use std::sync::Arc;

use super::cap::AuthCap;
use super::driver::SignInDriver;
use super::identity::Identity;
use super::types::{Begun, LogoutNotice, LogoutRequest, PendingSignIn, SignInRequest, SignedIn};
use crate::caller::Caller;
use crate::driver::Caps;
use crate::error::{Error, Result};
use crate::provider::ProviderSpec;
#[cfg(feature = "hub")]
use crate::registry::Category;
use crate::secret::SecretString;
use crate::token_set::TokenSet;

/// Sign-in, whichever service does it. Cheap to clone.
///
/// What a service does not have is [`ErrorKind::Unsupported`](crate::ErrorKind), before anything is sent: ask with
/// [`require`](SignIn::require) at start-up for what an application cannot do without.
#[derive(Clone)]
pub struct SignIn {
    driver: Arc<dyn SignInDriver>,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("provider", &self.spec().id).finish_non_exhaustive()
    }
}

impl SignIn {
    /// Sign-in at a service: a provider's client, or a driver of your own.
    pub fn new(driver: impl SignInDriver) -> Self {
        Self { driver: Arc::new(driver) }
    }

    /// The provider's facts.
    pub fn spec(&self) -> &'static ProviderSpec {
        self.driver.spec()
    }

    /// What this instance can do.
    pub fn caps(&self) -> Caps {
        self.driver.caps()
    }

    /// Whether this instance can do something.
    pub fn can(&self, cap: AuthCap) -> bool {
        self.caps().has(cap.as_str())
    }

    /// This sign-in, if this instance can do all of `needs`; [`ErrorKind::Unsupported`](crate::ErrorKind) that names
    /// what it cannot.
    pub fn require(self, needs: &[AuthCap]) -> Result<Self> {
        self.caps().require(needs.iter().map(|need| need.as_str()))?;
        Ok(self)
    }

    /// The provider's own client, for what the category does not have; `None` if another provider does this sign-in.
    pub fn raw<T: 'static>(&self) -> Option<&T> {
        self.driver.raw().downcast_ref()
    }

    /// What carries the provider's calls, for operations that are chosen at run time.
    pub fn caller(&self) -> Option<&Caller> {
        self.driver.caller()
    }

    /// Begins a flow: where to send the browser, and what to keep until it comes back.
    pub async fn begin(&self, request: SignInRequest) -> Result<Begun> {
        self.need(AuthCap::SignIn)?;
        self.driver.begin(&request).await
    }

    /// Ends a flow: who it is. `answer` is the query or the form that the browser brought.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind) if the answer is not that to this flow;
    /// [`ErrorKind::Declined`](crate::ErrorKind) if the person said no; [`ErrorKind::ReauthRequired`](crate::ErrorKind) if
    /// they have to begin again; [`ErrorKind::Unauthenticated`](crate::ErrorKind) if the service's statement about them
    /// does not hold, with the reason as [`Error::code`].
    pub async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<SignedIn> {
        self.need(AuthCap::SignIn)?;
        if pending.provider() != self.spec().id {
            return Err(Error::invalid_request("the sign-in was begun at another provider")
                .with_hint("somebody may be mixing providers up; let the user begin again"));
        }
        self.driver.complete(pending, answer).await.map(SignedIn::new)
    }

    /// Whose token this is, as the service says now. A token that somebody else was given says who they are, too: this is
    /// no sign-in.
    pub async fn profile(&self, access: &SecretString) -> Result<Identity> {
        self.facet(AuthCap::Profile, self.driver.profile())?.profile(access).await
    }

    /// The next tokens. Where several tasks or processes share the tokens, use a vault.
    pub async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        self.facet(AuthCap::Refresh, self.driver.refresh())?.refresh(present).await
    }

    /// Ends the tokens at the service.
    pub async fn revoke(&self, present: &TokenSet) -> Result<()> {
        self.facet(AuthCap::Revoke, self.driver.revoke())?.revoke(present).await
    }

    /// Where to send the browser to sign out at the service.
    pub async fn logout_url(&self, request: &LogoutRequest) -> Result<String> {
        self.facet(AuthCap::Logout, self.driver.logout())?.logout_url(request).await
    }

    /// Verifies a notice that somebody signed out at the service.
    pub async fn logout_notice(&self, token: &SecretString) -> Result<LogoutNotice> {
        self.facet(AuthCap::LogoutNotice, self.driver.logout_notice())?.logout_notice(token).await
    }

    fn need(&self, cap: AuthCap) -> Result<()> {
        self.caps().require([cap.as_str()])
    }

    fn facet<F>(&self, cap: AuthCap, facet: Option<F>) -> Result<F> {
        self.caps().facet(cap.as_str(), facet)
    }
}

#[cfg(feature = "hub")]
impl Category for SignIn {
    const NAME: &'static str = "auth";

    fn caps(&self) -> Option<Vec<&'static str>> {
        SignIn::caps(self).reduced()
    }
}
