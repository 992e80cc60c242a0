//! The flows.

mod assertion;
mod authorize;
mod builder;
mod callback;
mod device;
mod discovery;
mod draft;
mod flows;
mod issuer;
mod ops;
mod params;
mod pending;
mod pkce;
mod refusal;
mod reply;
mod send;
mod source;

use async_trait::async_trait;
use integrations_core::Result;

use crate::token::TokenSet;

pub use assertion::ClientAssertion;
pub use authorize::AuthorizeRequest;
pub use builder::{Client, ClientBuilder};
pub use callback::Callback;
pub use device::{DeviceAuthorization, DevicePoll};
pub use flows::Introspection;
pub use issuer::{Address, Issuer, safe_uri};
pub use pending::PendingAuthorization;
pub(crate) use pkce::random;
pub use source::ClientCredentials;

/// Who gives the vault new tokens.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// Whether a user has to connect before there are tokens. If not, [`initial`](TokenSource::initial) gives the first
    /// ones, and no refusal is final, for there is nobody to consent again. Default: `true`.
    fn needs_user(&self) -> bool {
        true
    }

    /// Tokens of a connection that has none yet: for grants without a user. `None`: the user has to connect.
    async fn initial(&self) -> Result<Option<TokenSet>> {
        Ok(None)
    }

    /// Whether others can be had for these tokens at all. If not, they are used until they end or are refused, and
    /// [`refresh`](TokenSource::refresh) is not asked. Without a request.
    /// Default: `true`.
    fn can_refresh(&self, present: &TokenSet) -> bool {
        let _ = present;
        true
    }

    /// The next tokens. What the answer leaves out may be left out here.
    ///
    /// # Errors
    /// [`ErrorKind::ReauthRequired`](integrations_core::ErrorKind) when the user has to consent again, with the issuer's
    /// code in [`Error::code`](integrations_core::Error::code); [`ErrorKind::Config`](integrations_core::ErrorKind) when
    /// the client's own credentials were refused. With [`Effect::Unknown`](integrations_core::Effect) the refresh token
    /// may be spent.
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet>;

    /// Ends the tokens at the issuer. [`ErrorKind::Unsupported`](integrations_core::ErrorKind) when it cannot.
    async fn revoke(&self, present: &TokenSet) -> Result<()>;

    /// The word before the token in `Authorization`.
    #[allow(clippy::unnecessary_literal_bound, reason = "other sources have a word of their own")]
    fn scheme(&self) -> &str {
        "Bearer"
    }
}
