//! Clients as what a vault gets its tokens from.

use async_trait::async_trait;
use integrations_core::{ErrorKind, Result};

use super::TokenSource;
use super::builder::Client;
use crate::token::TokenSet;

#[async_trait]
impl TokenSource for Client {
    fn can_refresh(&self, present: &TokenSet) -> bool {
        Client::can_refresh(self, present)
    }

    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        Client::refresh(self, present).await
    }

    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        Client::revoke(self, present).await
    }

    fn scheme(&self) -> &str {
        self.facts().scheme
    }
}

/// Tokens of a client itself, for which no user has to consent.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    client: Client,
    scopes: Vec<String>,
}

impl ClientCredentials {
    /// Tokens of this client for these scopes.
    pub fn new<S: Into<String>>(client: Client, scopes: impl IntoIterator<Item = S>) -> Self {
        Self { client, scopes: scopes.into_iter().map(Into::into).collect() }
    }
}

#[async_trait]
impl TokenSource for ClientCredentials {
    fn needs_user(&self) -> bool {
        false
    }

    async fn initial(&self) -> Result<Option<TokenSet>> {
        self.client.client_credentials(&self.scopes).await.map(Some)
    }

    /// By the refresh token, if the issuer gave one: SoundCloud limits how often the grant itself may be used.
    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        if present.refresh.is_some() {
            match self.client.refresh(present).await {
                Err(error) if error.kind() == ErrorKind::ReauthRequired => {}
                other => return other,
            }
        }
        self.client.client_credentials(&self.scopes).await
    }

    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        self.client.revoke(present).await
    }

    fn scheme(&self) -> &str {
        TokenSource::scheme(&self.client)
    }
}
