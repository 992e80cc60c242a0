//! What an issuer gives.

use std::collections::BTreeMap;
use std::fmt;

use integrations_core::SecretString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

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

/// A token that proves calls.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccessToken {
    /// The token.
    pub token: SecretString,
    /// When it ends, by our clock; `None`: when it is refused.
    pub expires_at: Option<Timestamp>,
    /// Counts the changes of the connection's tokens.
    pub version: u64,
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

    /// What the next refresh leaves out stays as it is here: the refresh token, scopes, what came with the first answer.
    #[must_use]
    pub(crate) fn kept_by(&self, mut next: Self) -> Self {
        if next.refresh.is_none() {
            next.refresh.clone_from(&self.refresh);
            next.refresh_expires_at = next.refresh_expires_at.or(self.refresh_expires_at);
        }
        next.id_token = next.id_token.or_else(|| self.id_token.clone());
        next.scopes = next.scopes.or_else(|| self.scopes.clone());
        for (name, value) in &self.extra {
            next.extra.entry(name.clone()).or_insert_with(|| value.clone());
        }
        next
    }

    /// The form in which it is sealed.
    pub(crate) fn to_stored(&self) -> StoredTokens {
        let text = |secret: &SecretString| secret.expose().clone();
        StoredTokens {
            access: text(&self.access),
            refresh: self.refresh.as_ref().map(text),
            id_token: self.id_token.as_ref().map(text),
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            refresh_expires_at: self.refresh_expires_at,
            scopes: self.scopes.clone(),
            extra: self.extra.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        }
    }
}

/// The tokens as they are sealed; wiped when dropped.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredTokens {
    access: String,
    #[serde(default)]
    refresh: Option<String>,
    #[serde(default)]
    id_token: Option<String>, // tidy: not a secret, never leaves this struct but sealed
    obtained_at: Timestamp,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    refresh_expires_at: Option<Timestamp>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    extra: BTreeMap<String, String>,
}

impl StoredTokens {
    /// The tokens again.
    pub(crate) fn take(&mut self) -> TokenSet {
        let take = std::mem::take::<String>;
        TokenSet {
            access: take(&mut self.access).into(),
            refresh: self.refresh.take().map(Into::into),
            id_token: self.id_token.take().map(Into::into),
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            refresh_expires_at: self.refresh_expires_at,
            scopes: self.scopes.take(),
            extra: std::mem::take(&mut self.extra)
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
        }
    }
}

impl Drop for StoredTokens {
    fn drop(&mut self) {
        self.access.zeroize();
        self.refresh.zeroize();
        self.id_token.zeroize();
        self.extra.values_mut().for_each(Zeroize::zeroize);
    }
}
