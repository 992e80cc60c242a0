//! Stores that break at a call, or give back there what nobody wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use integrations_auth::{
    Draft, IdentityKey, MailAddress, MemoryRecords, MemoryUsers, Record, RecordId, RecordStore, User, UserId,
    UserStore,
};
use integrations_core::{Effect, Error, ErrorKind, Result, Secret};
use jiff::Timestamp;

use super::super::lab::Lab;
use super::super::search::canary;

/// What goes wrong, and at the how-manieth call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    None,
    /// The call fails, quoting what it was given.
    Breaks(usize),
    /// What is read is this text instead, with the record's canary for `{}`.
    Garbles(usize, &'static str),
}

/// Both stores, which count their calls together.
#[derive(Clone)]
pub(super) struct Stores {
    users: Arc<dyn UserStore>,
    records: Arc<dyn RecordStore>,
    fault: Fault,
    calls: Arc<AtomicUsize>,
    /// The signing keys that were written: they are given to nobody else.
    signing_keys: Arc<Mutex<Vec<String>>>,
}

impl Stores {
    pub(super) fn new(fault: Fault) -> Self {
        Self::over(Arc::new(MemoryUsers::new()), Arc::new(MemoryRecords::new()), fault)
    }

    pub(super) fn over(users: Arc<dyn UserStore>, records: Arc<dyn RecordStore>, fault: Fault) -> Self {
        Self { users, records, fault, calls: Arc::default(), signing_keys: Arc::default() }
    }

    /// How often they were called.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Looks for the signing keys that went through here, too.
    pub(super) fn draw(&self, lab: &mut Lab) {
        for ring in &*self.signing_keys.lock().unwrap_or_else(PoisonError::into_inner) {
            // As JSON, where a line ends in a backslash and an `n`.
            let lines = ring.split("\\n").filter(|line| line.len() >= 32 && !line.contains('"'));
            lines.for_each(|line| lab.draw("signing-key", line));
        }
    }

    fn call(&self, what: impl std::fmt::Debug) -> Result<usize> {
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        if matches!(self.fault, Fault::Breaks(at) if at == n) {
            let cause = std::io::Error::other(format!("{what:?} could not be stored"));
            let message = format!("the store broke with {what:#?}");
            return Err(Error::new(ErrorKind::Unavailable, Effect::Unknown, message).with_source(cause));
        }
        Ok(n)
    }

    fn read(&self, n: usize, mut record: Record) -> Record {
        if let Fault::Garbles(at, text) = self.fault
            && at == n
        {
            let text = text.replace("{}", &canary("stored-record"));
            record.draft.value = Secret::new(text.into_bytes());
        }
        record
    }

    fn user_read(&self, n: usize, user: Option<User>) -> Option<User> {
        let Fault::Garbles(at, text) = self.fault else { return user };
        user.map(|mut user| {
            if at == n && user.password.is_some() {
                user.password = Some(text.replace("{}", &canary("stored-hash")).into());
            }
            user
        })
    }
}

#[async_trait]
impl UserStore for Stores {
    async fn user(&self, tenant: &str, id: &UserId) -> Result<Option<User>> {
        let n = self.call((tenant, id))?;
        Ok(self.user_read(n, self.users.user(tenant, id).await?))
    }

    async fn by_email(&self, tenant: &str, address: &MailAddress) -> Result<Option<User>> {
        let n = self.call((tenant, address))?;
        Ok(self.user_read(n, self.users.by_email(tenant, address).await?))
    }

    async fn by_identity(&self, tenant: &str, key: &IdentityKey) -> Result<Option<User>> {
        self.call((tenant, key))?;
        self.users.by_identity(tenant, key).await
    }

    async fn insert(&self, user: &User) -> Result<User> {
        self.call(user)?;
        self.users.insert(user).await
    }

    async fn replace(&self, user: &User) -> Result<Option<User>> {
        self.call(user)?;
        self.users.replace(user).await
    }

    async fn remove(&self, tenant: &str, id: &UserId, seen: u64) -> Result<bool> {
        self.call((tenant, id, seen))?;
        self.users.remove(tenant, id, seen).await
    }

    async fn list(&self, tenant: &str, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        self.call((tenant, after))?;
        self.users.list(tenant, after, limit).await
    }
}

#[async_trait]
impl RecordStore for Stores {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        let n = self.call(id)?;
        Ok(self.records.get(id, now).await?.map(|record| self.read(n, record)))
    }

    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        self.call((id, next))?;
        if id.kind == "signing_keys" {
            let ring = String::from_utf8_lossy(next.value.expose()).into_owned();
            self.signing_keys.lock().unwrap_or_else(PoisonError::into_inner).push(ring);
        }
        self.records.put(id, seen, next, now).await
    }

    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        let n = self.call(id)?;
        Ok(self.records.take(id, now).await?.map(|record| self.read(n, record)))
    }

    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        let n = self.call((tenant, kind, owner))?;
        let records = self.records.owned(tenant, kind, owner, now).await?;
        Ok(records.into_iter().map(|(name, record)| (name, self.read(n, record))).collect())
    }

    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        self.call((tenant, kind, owner))?;
        self.records.remove_owned(tenant, kind, owner).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.call(limit)?;
        self.records.sweep(now, limit).await
    }
}
