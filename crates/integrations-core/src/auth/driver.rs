//! What a sign-in service must do, and the parts that only some have.

use async_trait::async_trait;

use super::identity::Identity;
use super::types::{Begun, Completed, LogoutNotice, LogoutRequest, PendingSignIn, SignInRequest};
use crate::driver::Driver;
use crate::error::Result;
use crate::secret::SecretString;
use crate::token_set::TokenSet;

/// What every sign-in service does. A driver is called through [`SignIn`](super::SignIn), which has asked its
/// capabilities before.
#[async_trait]
pub trait SignInDriver: Driver {
    /// Begins a flow.
    async fn begin(&self, request: &SignInRequest) -> Result<Begun>;

    /// Ends a flow: holds the answer against what was begun, exchanges its code, and verifies who it is. `answer` is the
    /// query or the form that the browser brought.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind) if the answer is not that to this flow;
    /// [`ErrorKind::Declined`](crate::ErrorKind) if the person said no; [`ErrorKind::Unauthenticated`](crate::ErrorKind)
    /// with a [`JwtError`](https://www.rfc-editor.org/rfc/rfc7519) in the chain if the service's statement does not hold.
    async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<Completed>;

    /// Profiles.
    fn profile(&self) -> Option<&dyn ProfileDriver> {
        None
    }

    /// Refreshing tokens.
    fn refresh(&self) -> Option<&dyn RefreshDriver> {
        None
    }

    /// Revoking tokens.
    fn revoke(&self) -> Option<&dyn RevokeDriver> {
        None
    }

    /// Signing out at the service.
    fn logout(&self) -> Option<&dyn LogoutDriver> {
        None
    }

    /// Being told that somebody signed out at the service.
    fn logout_notice(&self) -> Option<&dyn LogoutNoticeDriver> {
        None
    }
}

/// Profiles.
#[async_trait]
pub trait ProfileDriver: Send + Sync {
    /// Whose token this is, as the service says now.
    async fn profile(&self, access: &SecretString) -> Result<Identity>;
}

/// Refreshing tokens.
#[async_trait]
pub trait RefreshDriver: Send + Sync {
    /// The next tokens. A vault does this once for all; see `integrations_oauth::Vault`.
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet>;
}

/// Revoking tokens.
#[async_trait]
pub trait RevokeDriver: Send + Sync {
    /// Ends the tokens at the service. Tokens that it does not know are ended.
    async fn revoke(&self, present: &TokenSet) -> Result<()>;
}

/// Signing out at the service.
#[async_trait]
pub trait LogoutDriver: Send + Sync {
    /// Where to send the browser.
    async fn logout_url(&self, request: &LogoutRequest) -> Result<String>;
}

/// Being told that somebody signed out at the service.
#[async_trait]
pub trait LogoutNoticeDriver: Send + Sync {
    /// Verifies a logout token (the field `logout_token` of the form that the service posts). That it was not used before
    /// is for whoever keeps [`LogoutNotice::id`].
    async fn logout_notice(&self, token: &SecretString) -> Result<LogoutNotice>;
}
