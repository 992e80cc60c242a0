//! Whose credentials are in use: the first call, and a pattern for those to come.

use integrations_core::{Result, WireResponse};
use serde::{Deserialize, Serialize};

use super::ops::GetMe;
use super::{Lastfm, wire};

/// Whose credentials are in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The service's id of the account.
    pub id: String,
    /// Its name, possibly empty.
    pub name: String,
}

impl Lastfm {
    /// Whose credentials these are.
    pub async fn me(&self) -> Result<Account> {
        self.caller.call(&GetMe::default()).await
    }
}

impl wire::Me {
    /// An account without an id cannot be used; one without a name can.
    pub(super) fn into_domain(self, response: &WireResponse) -> Result<Account> {
        let id = self
            .id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| response.undecodable("the account has no id"))?;
        Ok(Account { id, name: self.name.unwrap_or_default() })
    }
}
