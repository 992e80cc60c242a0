//! The vault as who proves calls.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use integrations_core::{Authorize, ConnectionId, CredentialVersion, Result, WireRequest};

use super::slot::{Need, Slot};
use super::{Inner, Vault};

/// Proves the calls of one connection.
struct Authorizer {
    vault: Arc<Inner>,
    slot: Arc<Slot>,
}

impl Vault {
    /// Who proves the calls of one connection: `Authorization`, with the word that the source of its tokens says. One
    /// refusal by the service leads to a refresh and one more attempt.
    pub fn authorizer(&self, id: &ConnectionId) -> Arc<dyn Authorize> {
        Arc::new(Authorizer { vault: self.0.clone(), slot: self.0.slot(id) })
    }
}

#[async_trait]
impl Authorize for Authorizer {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let view = self.vault.usable(&self.slot).await?;
        let (header, version) = view.header()?;
        request.headers_mut().insert(AUTHORIZATION, header.clone());
        request.extensions_mut().insert(version);
        Ok(())
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        let view = self.vault.usable(&self.slot).await?;
        let (tokens, present) = view.tokens()?;
        let used = used.map_or(present, |used| used.0);
        // A later one, as a rule; a connection that was made anew may count from less.
        if present != used {
            return Ok(true);
        }
        let age = self.vault.now().duration_since(tokens.obtained_at);
        if age.unsigned_abs() < self.vault.limits.refused_again {
            return Ok(false);
        }
        let view = Box::pin(self.vault.obtain(&self.slot, Need::After(used))).await?;
        view.tokens().map(|(_, rotation)| rotation != used)
    }
}

#[cfg(feature = "hub")]
impl integrations_core::hub::Connections for Vault {
    fn authorizer(&self, id: &ConnectionId) -> Result<Arc<dyn Authorize>> {
        Ok(Vault::authorizer(self, id))
    }
}
