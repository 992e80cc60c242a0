//! Users in the memory of one process.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use integrations_core::Result;

use super::{Claim, User, UserId, UserStore, taken};
use crate::{IdentityKey, MailAddress};

/// Users in the memory of one process: gone when it ends.
#[derive(Debug, Default)]
pub struct MemoryUsers(Mutex<HashMap<String, Tenant>>);

#[derive(Debug, Default)]
struct Tenant {
    users: BTreeMap<UserId, User>,
    claims: HashMap<Claim, UserId>,
}

impl MemoryUsers {
    /// No users.
    pub fn new() -> Self {
        Self::default()
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<String, Tenant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_claim(&self, tenant: &str, claim: &Claim) -> Option<User> {
        let tenants = self.tenants();
        let tenant = tenants.get(tenant)?;
        tenant.users.get(tenant.claims.get(claim)?).cloned()
    }
}

impl Tenant {
    /// Keeps `user` as version `version`, with its claims and no others.
    fn keep(&mut self, user: &User, version: u64) -> Result<User> {
        let claims = Claim::of(user);
        let lost = claims.iter().find(|claim| self.claims.get(claim).is_some_and(|owner| *owner != user.id));
        if let Some(claim) = lost {
            return Err(taken(claim.code()));
        }
        self.release(&user.id);
        self.claims.extend(claims.into_iter().map(|claim| (claim, user.id.clone())));
        let kept = User { version, ..user.clone() };
        self.users.insert(user.id.clone(), kept.clone());
        Ok(kept)
    }

    fn release(&mut self, id: &UserId) {
        let claims = self.users.remove(id).map(|user| Claim::of(&user)).unwrap_or_default();
        for claim in claims {
            self.claims.remove(&claim);
        }
    }

    fn version(&self, id: &UserId) -> Option<u64> {
        self.users.get(id).map(|user| user.version)
    }
}

#[async_trait]
impl UserStore for MemoryUsers {
    async fn user(&self, tenant: &str, id: &UserId) -> Result<Option<User>> {
        Ok(self.tenants().get(tenant).and_then(|tenant| tenant.users.get(id)).cloned())
    }

    async fn by_email(&self, tenant: &str, address: &MailAddress) -> Result<Option<User>> {
        Ok(self.by_claim(tenant, &Claim::Email(address.folded())))
    }

    async fn by_identity(&self, tenant: &str, key: &IdentityKey) -> Result<Option<User>> {
        Ok(self.by_claim(tenant, &Claim::Identity(key.clone())))
    }

    async fn insert(&self, user: &User) -> Result<User> {
        let mut tenants = self.tenants();
        let tenant = tenants.entry(user.tenant.clone()).or_default();
        if tenant.users.contains_key(&user.id) {
            return Err(taken("id"));
        }
        tenant.keep(user, 1)
    }

    async fn replace(&self, user: &User) -> Result<Option<User>> {
        let mut tenants = self.tenants();
        let tenant = tenants.get_mut(&user.tenant);
        let Some(tenant) = tenant.filter(|tenant| tenant.version(&user.id) == Some(user.version)) else {
            return Ok(None);
        };
        tenant.keep(user, user.version + 1).map(Some)
    }

    async fn remove(&self, tenant: &str, id: &UserId, seen: u64) -> Result<bool> {
        let mut tenants = self.tenants();
        let tenant = tenants.get_mut(tenant).filter(|tenant| tenant.version(id) == Some(seen));
        Ok(tenant.map(|tenant| tenant.release(id)).is_some())
    }

    async fn list(&self, tenant: &str, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        let tenants = self.tenants();
        let Some(tenant) = tenants.get(tenant) else { return Ok(Vec::new()) };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = tenant.users.range((start, Bound::Unbounded));
        Ok(users.take(limit as usize).map(|(_, user)| user.clone()).collect())
    }
}
