//! The store in one SQLite file, beside the application's own tables.

mod keys;
mod rows;
mod schema;
mod statements;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use self::keys::Guard;
use self::rows::{Closed, int, ms};
use super::ledger::{Notice, Report, Rules};
use super::model::{Attempt, Delivery, Endpoint, EndpointId, EndpointStatus, Event, EventId};
use super::store::{Lease, OutboxStore, Replay, Replayed};
use crate::error::Result;
use crate::store::{Row, Store, Tx};

use crate::seal::Sealer;

/// Keeps everything in one SQLite file. Several processes may share it.
#[derive(Clone)]
pub struct SqliteOutbox {
    store: Store,
    guard: Guard,
}

/// Settings of a [`SqliteOutbox`].
#[must_use]
pub struct SqliteOutboxBuilder {
    store: Store,
    guard: Guard,
}

impl SqliteOutboxBuilder {
    /// What encrypts the keys.
    pub fn sealer(mut self, sealer: Arc<dyn Sealer>) -> Self {
        self.guard = Guard::Sealed(sealer);
        self
    }

    /// Stores keys as they are: whoever reads the file can sign in the tenants' name. For tests, and for disks that
    /// are encrypted and trusted.
    pub fn allow_plain_secrets(mut self) -> Self {
        self.guard = Guard::Plain;
        self
    }

    /// Makes the tables, or brings them to the present version. [`ErrorKind::Config`](crate::ErrorKind) if there is
    /// neither a sealer nor leave to store keys as they are.
    pub async fn open(self) -> Result<SqliteOutbox> {
        self.guard.check()?;
        self.store.migrate(&schema::OUTBOX).await?;
        Ok(SqliteOutbox { store: self.store, guard: self.guard })
    }
}

impl fmt::Debug for SqliteOutboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOutboxBuilder").finish_non_exhaustive()
    }
}

impl fmt::Debug for SqliteOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOutbox").finish_non_exhaustive()
    }
}

/// Publishes within the caller's transaction.
pub(super) async fn publish(tx: &mut Tx, event: &Event, due: Timestamp) -> Result<()> {
    statements::publish(tx, event, due).await
}

impl SqliteOutbox {
    /// An outbox in this store, to be configured.
    pub fn builder(store: Store) -> SqliteOutboxBuilder {
        SqliteOutboxBuilder { store, guard: Guard::Refused }
    }

    /// Puts all endpoints' keys under the sealer's present key, so that the one before it can be retired, and gives the
    /// number of endpoints for which that was due. It may run beside everything else, and again.
    ///
    /// # Errors
    /// That of the first endpoint whose keys could not be opened, after all others were done.
    pub async fn rewrap(&self) -> Result<u64> {
        let (mut done, mut failed, mut last) = (0, None, String::new());
        loop {
            let rows = self.store.read(statements::KEYS, &[last.as_str().into()]).await?;
            let Some(end) = rows.last() else { break };
            end.text(0)?.clone_into(&mut last);
            for row in &rows {
                match self.rewrap_one(row).await {
                    Ok(changed) => done += changed,
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        failed.map_or(Ok(done), Err)
    }

    async fn rewrap_one(&self, row: &Row) -> Result<u64> {
        let (id, old) = (EndpointId::from(row.text(0)?), row.text(1)?.to_owned());
        let Some(new) = self.guard.rewrapped(&id, &old).await? else { return Ok(0) };
        self.store
            .write(move |tx| Box::pin(async move { statements::replace_keys(tx, &id, &old, &new).await }))
            .await
    }

    async fn opened(&self, closed: Closed) -> Result<Endpoint> {
        let keys = self.guard.open(&closed.endpoint.id, closed.keys).await?;
        Ok(Endpoint { keys, ..closed.endpoint })
    }

    /// An endpoint whose keys cannot be opened holds up no other: its deliveries fail as `signing_error`.
    async fn opened_or_keyless(&self, closed: Closed) -> Endpoint {
        let endpoint = closed.endpoint.clone();
        self.opened(closed).await.unwrap_or_else(|error| {
            tracing::error!(endpoint = %endpoint.id, %error, "the keys of an endpoint cannot be opened");
            endpoint
        })
    }
}

/// Runs a statement of [`statements`] with owned arguments in the next transaction.
macro_rules! write {
    ($self:ident, $name:ident $(, $argument:ident)*) => {
        $self.store.write(move |tx| Box::pin(async move { statements::$name(tx $(, &$argument)*).await })).await
    };
}

#[async_trait]
impl OutboxStore for SqliteOutbox {
    async fn insert_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        let keys = self.guard.close(&endpoint.id, &endpoint.keys).await?;
        let endpoint = endpoint.clone();
        write!(self, insert_endpoint, endpoint, keys)
    }

    async fn update_endpoint(&self, endpoint: &Endpoint) -> Result<bool> {
        let keys = self.guard.close(&endpoint.id, &endpoint.keys).await?;
        let endpoint = endpoint.clone();
        write!(self, update_endpoint, endpoint, keys)
    }

    async fn set_status(
        &self,
        tenant: &str,
        id: &EndpointId,
        status: EndpointStatus,
        now: Timestamp,
    ) -> Result<bool> {
        let (tenant, id) = (tenant.to_owned(), id.clone());
        write!(self, set_status, tenant, id, status, now)
    }

    async fn delete_endpoint(&self, tenant: &str, id: &EndpointId) -> Result<bool> {
        let (tenant, id) = (tenant.to_owned(), id.clone());
        write!(self, delete_endpoint, tenant, id)
    }

    async fn endpoint(&self, tenant: &str, id: &EndpointId) -> Result<Option<Endpoint>> {
        let found = self.store.read(statements::ENDPOINT, &[tenant.into(), id.as_str().into()]).await?;
        match found.first() {
            Some(row) => self.opened(rows::closed(row)?).await.map(Some),
            None => Ok(None),
        }
    }

    async fn endpoints(&self, tenant: &str) -> Result<Vec<Endpoint>> {
        let mut endpoints = Vec::new();
        for row in &self.store.read(statements::ENDPOINTS, &[tenant.into()]).await? {
            endpoints.push(self.opened(rows::closed(row)?).await?);
        }
        Ok(endpoints)
    }

    async fn publish(&self, event: &Event, due: Timestamp) -> Result<()> {
        let event = event.clone();
        self.store.write(move |tx| Box::pin(async move { statements::publish(tx, &event, due).await })).await
    }

    async fn lease(&self, now: Timestamp, limit: u32) -> Result<Vec<Lease>> {
        // Readers do not queue behind writers: an idle worker takes no transaction.
        if self.store.read(statements::AWAKE, &[ms(now)]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let batches = write!(self, lease, now, limit)?;
        let mut leases = Vec::new();
        for (closed, taken) in batches {
            let endpoint = Arc::new(self.opened_or_keyless(closed).await);
            let with = |(event, delivery)| Lease::new(endpoint.clone(), event, delivery);
            leases.extend(taken.into_iter().map(with));
        }
        Ok(leases)
    }

    async fn settle(
        &self,
        lease: &Lease,
        report: &Report,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Option<Vec<Notice>>> {
        let (delivery, report, rules) = (lease.delivery.clone(), report.clone(), rules.clone());
        write!(self, settle, delivery, report, rules, now)
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>> {
        let found = self.store.read(statements::NEXT_WAKE, &[]).await?;
        found.first().map(|row| row.opt_integer(0)).transpose()?.flatten().map(rows::at).transpose()
    }

    async fn replay(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        what: &Replay,
        now: Timestamp,
    ) -> Result<Replayed> {
        let (tenant, endpoint, what) = (tenant.to_owned(), endpoint.clone(), what.clone());
        write!(self, replay, tenant, endpoint, what, now)
    }

    async fn failures(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let before = before.unwrap_or(i64::MAX as u64);
        let params = [tenant.into(), endpoint.as_str().into(), int(before), limit.into()];
        self.store.read(statements::FAILURES, &params).await?.iter().map(rows::delivery).collect()
    }

    async fn delivery(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<Delivery>> {
        let params = [tenant.into(), event.as_str().into(), endpoint.as_str().into()];
        let found = self.store.read(statements::DELIVERY, &params).await?;
        found.first().map(rows::delivery).transpose()
    }

    async fn attempts(&self, tenant: &str, endpoint: &EndpointId, event: &EventId) -> Result<Vec<Attempt>> {
        let params = [tenant.into(), event.as_str().into(), endpoint.as_str().into()];
        self.store.read(statements::ATTEMPTS, &params).await?.iter().map(rows::attempt).collect()
    }

    async fn purge(&self, before: Timestamp) -> Result<u64> {
        let mut purged = 0;
        loop {
            // In parts, so that other writers wait for none of them long.
            let part: u64 = write!(self, purge_part, before)?;
            if part == 0 {
                return Ok(purged);
            }
            purged += part;
        }
    }
}
