//! What an issuer gives.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::secret::SecretString;

/// The tokens of one connection, as the issuer gave them.
#[derive(Clone)]
#[non_exhaustive]
pub struct TokenSet {
    /// What proves calls.
    pub access: SecretString,
    /// What is exchanged for the next access token.
    pub refresh: Option<SecretString>,
    /// The statement about the user (OpenID Connect), not yet verified.
    pub id_token: Option<SecretString>,
    /// When the answer arrived, by our clock.
    pub obtained_at: Timestamp,
    /// When the access token ends, by our clock; `None`: the issuer did not say.
    pub expires_at: Option<Timestamp>,
    /// When the refresh token ends; `None`: the issuer did not say.
    pub refresh_expires_at: Option<Timestamp>,
    /// What was granted; `None`: the issuer did not say, which means what was asked for.
    pub scopes: Option<Vec<String>>,
    /// The other fields of the answer, such as `instance_url` or `open_id`: texts as they are, everything else as JSON.
    pub extra: BTreeMap<String, SecretString>,
}

impl fmt::Debug for TokenSet {
    /// Times and names; never a token, nor what a vendor sent beside it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("expires_at", &self.expires_at)
            .field("can_refresh", &self.refresh.is_some())
            .field("scopes", &self.scopes)
            .field("extra", &self.extra.keys())
            .finish_non_exhaustive()
    }
}

impl TokenSet {
    /// An access token and when it was obtained.
    pub fn new(access: impl Into<SecretString>, obtained_at: Timestamp) -> Self {
        Self {
            access: access.into(),
            refresh: None,
            id_token: None,
            obtained_at,
            expires_at: None,
            refresh_expires_at: None,
            scopes: None,
            extra: BTreeMap::new(),
        }
    }
}
