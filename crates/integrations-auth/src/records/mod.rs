//! What is kept for a while: sign-ins that were begun, sessions, tokens in mails, keys, counts.
//!
//! Invariants that every store holds:
//! - Of all who write over the same version, and of all who take the same record, one wins.
//! - A record whose time is over is absent, whether it was swept or not.
//! - Names are not encrypted. A name that came from a secret is a hash of it; so says each user of a store.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) mod sql;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use integrations_core::{Result, Secret};
use jiff::Timestamp;

use crate::UserId;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::SqlRecords;

/// Names a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RecordId {
    /// The tenant; `""` where there are none.
    pub tenant: String,
    /// What kind of record it is: `session`, `reset`.
    pub kind: &'static str,
    /// Its name among those of the kind.
    pub key: String, // tidy: not a secret, a hash where it came from one
}

impl RecordId {
    /// A record of a tenant, by its kind and its name.
    pub fn new(tenant: impl Into<String>, kind: &'static str, key: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), kind, key: key.into() }
    }
}

/// What is to be kept.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "stores of others write all of it")]
pub struct Draft {
    /// Whose it is, if it is a user's.
    pub owner: Option<UserId>,
    /// When it is over.
    pub expires_at: Timestamp,
    /// What it says.
    pub value: Secret<Vec<u8>>,
}

/// What is kept.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "stores of others make it from their rows")]
pub struct Record {
    /// Counts the writes; the first is 1, also after a record of the same name was taken or over. To tell such records
    /// apart, give each a random name, or keep what tells them apart in the value.
    pub version: u64,
    /// What was written.
    pub draft: Draft,
}

/// Keeps records. `now` is the time by the caller's clock.
#[async_trait]
pub trait RecordStore: Send + Sync + 'static {
    /// A record.
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>>;

    /// Writes if the present version is `seen`; 0: there must be none. `Some` is the new version; `None`: another one was
    /// faster.
    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>>;

    /// Removes a record and gives it to one of all who ask.
    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>>;

    /// The records of a kind that are a user's, by their names, in the order of the names.
    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>>;

    /// Removes all records of a kind that are a user's; how many there were.
    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64>;

    /// Removes what is over, at most `limit`; how many there were.
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64>;
}

/// Records in the memory of one process: gone when it ends.
#[derive(Debug, Default)]
pub struct MemoryRecords(Mutex<HashMap<RecordId, Record>>);

impl MemoryRecords {
    /// No records.
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> MutexGuard<'_, HashMap<RecordId, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RecordStore for MemoryRecords {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.records().get(id).filter(|record| record.draft.expires_at > now).cloned())
    }

    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        let mut records = self.records();
        let present = records.get(id).filter(|record| record.draft.expires_at > now).map_or(0, |r| r.version);
        if present != seen {
            return Ok(None);
        }
        records.insert(id.clone(), Record { version: seen + 1, draft: next.clone() });
        Ok(Some(seen + 1))
    }

    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.records().remove(id).filter(|record| record.draft.expires_at > now))
    }

    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        let records = self.records();
        let own = records
            .iter()
            .filter(|(id, record)| is_of(id, record, tenant, kind, owner) && record.draft.expires_at > now);
        let mut own: Vec<_> = own.map(|(id, record)| (id.key.clone(), record.clone())).collect();
        own.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(own)
    }

    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        let mut records = self.records();
        let before = records.len();
        records.retain(|id, record| !is_of(id, record, tenant, kind, owner));
        Ok((before - records.len()) as u64)
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let mut records = self.records();
        let over = records.iter().filter(|(_, record)| record.draft.expires_at <= now);
        let over: Vec<RecordId> = over.map(|(id, _)| id.clone()).take(limit as usize).collect();
        for id in &over {
            records.remove(id);
        }
        Ok(over.len() as u64)
    }
}

fn is_of(id: &RecordId, record: &Record, tenant: &str, kind: &str, owner: &UserId) -> bool {
    id.tenant == tenant && id.kind == kind && record.draft.owner.as_ref() == Some(owner)
}
