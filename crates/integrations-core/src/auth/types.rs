//! What goes into a sign-in and comes out of it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identity::{Identity, IdentityKey, Proven};
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::secret::{Secret, SecretString};
use crate::token_set::TokenSet;

/// How somebody is to sign in.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SignInRequest {
    /// What is asked for besides what the provider always asks for to know who they are.
    pub scopes: Vec<String>,
    /// Who is expected, so that the service fills its form.
    pub login_hint: Option<String>,
    /// They must have proven themselves at the service within this time; zero asks them anew.
    pub max_age: Option<Duration>,
    /// Parameters of the service's own, such as `prompt` or `hd`.
    pub params: Vec<(String, String)>,
}

impl SignInRequest {
    /// A plain sign-in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for more than who they are.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Says who is expected.
    #[must_use]
    pub fn login_hint(mut self, hint: impl Into<String>) -> Self {
        self.login_hint = Some(hint.into());
        self
    }

    /// They must have proven themselves within this time.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Adds a parameter of the service's own.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }
}

/// A sign-in that was begun.
#[non_exhaustive]
pub struct Begun {
    /// Where to send the browser.
    pub url: String,
    /// What to keep until it comes back, bound to the browser that was sent.
    pub pending: PendingSignIn,
}

impl fmt::Debug for Begun {
    /// The query has the state and the nonce in it, for the browser alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("Begun").field("page", &page).field("pending", &self.pending).finish_non_exhaustive()
    }
}

impl Begun {
    /// Where to send the browser, and what to keep.
    pub fn new(url: impl Into<String>, pending: PendingSignIn) -> Self {
        Self { url: url.into(), pending }
    }
}

/// A sign-in that was begun: what the answer is held against. It is used up by
/// [`SignIn::complete`](super::SignIn::complete).
///
/// An answer that another browser brings must not find it: keep it in the session of the browser that was sent, or under
/// [`state`](PendingSignIn::state) together with a cookie of that browser. Whoever takes it out deletes it there.
///
/// It cannot be used twice:
///
/// ```compile_fail,E0382
/// use integrations_core::auth::{PendingSignIn, SignIn};
/// async fn twice(google: SignIn, pending: PendingSignIn) {
///     let first = google.complete(pending, "code=1&state=2").await;
///     let second = google.complete(pending, "code=1&state=2").await;
/// }
/// ```
pub struct PendingSignIn {
    provider: String,
    state: SecretString,
    inner: Secret<Vec<u8>>,
    expires_at: Timestamp,
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn")
            .field("provider", &self.provider)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    provider: String,
    state: String,
    inner: Vec<u8>,
    expires_at: Timestamp,
}

impl Drop for Stored {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.state.zeroize();
        self.inner.zeroize();
    }
}

impl PendingSignIn {
    /// What a driver keeps of a flow: `inner` is its own.
    pub fn new(
        provider: impl Into<String>,
        state: SecretString,
        inner: Secret<Vec<u8>>,
        expires_at: Timestamp,
    ) -> Self {
        Self { provider: provider.into(), state, inner, expires_at }
    }

    /// The provider's id.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The value by which the answer names this flow.
    pub fn state(&self) -> &SecretString {
        &self.state
    }

    /// When it ends.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// What the driver keeps.
    pub fn inner(&self) -> &Secret<Vec<u8>> {
        &self.inner
    }

    /// The form in which it is kept. It holds the proof key: encrypt it if others can read the place.
    pub fn to_stored(&self) -> Result<Secret<Vec<u8>>> {
        let stored = Stored {
            provider: self.provider.clone(),
            state: self.state.expose().clone(),
            inner: self.inner.expose().clone(),
            expires_at: self.expires_at,
        };
        // The cause would quote what it could not write.
        let bytes = serde_json::to_vec(&stored);
        bytes.map(Secret::new).map_err(|_| Error::invalid_request("the sign-in cannot be stored"))
    }

    /// Reads the form in which it was kept; [`ErrorKind::Decode`] if it is another one.
    pub fn from_stored(bytes: &Secret<Vec<u8>>) -> Result<Self> {
        let mut stored: Stored = serde_json::from_slice(bytes.expose()).map_err(|_| {
            Error::new(ErrorKind::Decode, Effect::NotSent, "the stored sign-in cannot be read")
                .with_hint("let the user begin again")
        })?;
        Ok(Self {
            provider: std::mem::take(&mut stored.provider),
            state: std::mem::take(&mut stored.state).into(),
            inner: std::mem::take(&mut stored.inner).into(),
            expires_at: stored.expires_at,
        })
    }
}

/// What a driver found out: who it is, and the tokens that came.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completed {
    /// Who it is. The driver has verified it.
    pub identity: Identity,
    /// The tokens.
    pub tokens: TokenSet,
    /// When they proved themselves at the service, if it says so (`auth_time`).
    pub authenticated_at: Option<Timestamp>,
    /// The service's name for their session there (`sid`), which a [`LogoutNotice`] may name.
    pub session: Option<String>,
}

impl Completed {
    /// Who it is, and the tokens.
    pub fn new(identity: Identity, tokens: TokenSet) -> Self {
        Self { identity, tokens, authenticated_at: None, session: None }
    }
}

/// Somebody who signed in.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// Who it is.
    pub identity: Proven<Identity>,
    /// The tokens.
    pub tokens: TokenSet,
    /// When they proved themselves at the service, if it says so.
    pub authenticated_at: Option<Timestamp>,
    /// The service's name for their session there.
    pub session: Option<String>,
}

impl SignedIn {
    pub(super) fn new(completed: Completed) -> Self {
        let Completed { identity, tokens, authenticated_at, session } = completed;
        Self { identity: Proven::new(identity), tokens, authenticated_at, session }
    }
}

/// How somebody is to sign out at the service.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogoutRequest {
    /// The statement that the service gave when they signed in: it says who is meant.
    pub id_token: Option<SecretString>,
    /// Where the service sends the browser afterwards, as registered there.
    pub return_to: Option<String>,
    /// Comes back with the browser.
    pub state: Option<String>,
}

/// That somebody signed out at the service (OpenID Connect Back-Channel Logout 1.0): their sessions here end, too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogoutNotice {
    /// Who says so: it ends what it is the issuer of, and nothing else.
    pub issuer: String,
    /// Whose sessions, if the service says.
    pub key: Option<IdentityKey>,
    /// Which session, by the service's name; without one, all of them.
    pub session: Option<String>,
    /// The notice's own name, never used twice: a store of it makes a replay harmless.
    pub id: String,
    /// When it was issued.
    pub issued_at: Timestamp,
}

impl LogoutNotice {
    /// A notice without subject and session.
    pub fn new(issuer: impl Into<String>, id: impl Into<String>, issued_at: Timestamp) -> Self {
        Self { issuer: issuer.into(), key: None, session: None, id: id.into(), issued_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_carries_is_not_printed() {
        let pending =
            PendingSignIn::new("demo", "hunter2".into(), b"hunter2".to_vec().into(), Timestamp::UNIX_EPOCH);
        let begun = Begun::new("https://id.example/page?state=hunter2&nonce=hunter2", pending);
        let printed = format!("{begun:?}");
        assert!(printed.contains("\"https://id.example/page\""), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
