//! What an issuer gives.

use std::collections::BTreeMap;

use integrations_core::SecretString;
pub use integrations_core::TokenSet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

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

/// What the vault does with tokens.
pub(crate) trait Kept {
    /// What the next refresh leaves out stays as it is here: the refresh token, scopes, what came with the first answer.
    #[must_use]
    fn kept_by(&self, next: Self) -> Self;

    /// The form in which it is sealed.
    fn to_stored(&self) -> StoredTokens;
}

impl Kept for TokenSet {
    fn kept_by(&self, mut next: Self) -> Self {
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

    fn to_stored(&self) -> StoredTokens {
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
        let extra = std::mem::take(&mut self.extra).into_iter();
        let mut tokens = TokenSet::new(take(&mut self.access), self.obtained_at);
        tokens.refresh = self.refresh.take().map(Into::into);
        tokens.id_token = self.id_token.take().map(Into::into);
        tokens.expires_at = self.expires_at;
        tokens.refresh_expires_at = self.refresh_expires_at;
        tokens.scopes = self.scopes.take();
        tokens.extra = extra.map(|(name, value)| (name, value.into())).collect();
        tokens
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
