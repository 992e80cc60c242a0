//! Records in tables.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use integrations_core::seal::Sealer;
use integrations_core::store::{Dialect, Module, Param, Row, Store};
use integrations_core::{Effect, Error, ErrorKind, Result};
use jiff::Timestamp;

use super::{Draft, Record, RecordId, RecordStore};
use crate::UserId;
use crate::names::framed;

/// Records in SQLite or PostgreSQL, their values sealed.
///
/// Invariants:
/// - Each method is one statement: no isolation level, no process and no crash can come between a comparison and its
///   write.
/// - A value is bound to its tenant, kind, name, owner and end: it opens in no other row, and not after one of them was
///   changed. An older row that was put back opens.
/// - Tenants, kinds, names, owners and times stand in clear. Times are kept in whole milliseconds.
///
/// What was taken is gone also if it cannot be opened then, because the key service is away.
#[derive(Clone)]
pub struct SqlRecords {
    store: Store,
    sealer: Arc<dyn Sealer>,
}

impl fmt::Debug for SqlRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlRecords").finish_non_exhaustive()
    }
}

/// The tables, with the database's name of the order by bytes: another order would depend on the machine's languages.
macro_rules! tables {
    ($bytewise:literal) => {
        Module {
            name: "auth_records",
            steps: &[&[
                concat!(
                    "CREATE TABLE auth_records (tenant TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, kind TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, name TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, owner TEXT COLLATE ",
                    $bytewise,
                    ", version BIGINT NOT NULL, expires BIGINT NOT NULL, sealed BLOB NOT NULL, \
                     PRIMARY KEY (tenant, kind, name))"
                ),
                "CREATE INDEX auth_records_owned ON auth_records (tenant, owner, kind) WHERE owner IS NOT NULL",
                "CREATE INDEX auth_records_expires ON auth_records (expires)",
            ]],
        }
    };
}

static SQLITE: Module = tables!("BINARY");
static POSTGRES: Module = tables!("\"C\"");

const GET: &str = "SELECT version, owner, expires, sealed, name FROM auth_records \
     WHERE tenant = $1 AND kind = $2 AND name = $3 AND expires > $4";

const FIRST: &str = "INSERT INTO auth_records (tenant, kind, name, owner, expires, sealed, version) \
     VALUES ($1, $2, $3, $4, $5, $6, 1) \
     ON CONFLICT (tenant, kind, name) DO UPDATE SET \
         version = 1, owner = excluded.owner, expires = excluded.expires, sealed = excluded.sealed \
     WHERE auth_records.expires <= $7 \
     RETURNING version";

const NEXT: &str = "UPDATE auth_records SET version = version + 1, owner = $1, expires = $2, sealed = $3 \
     WHERE tenant = $4 AND kind = $5 AND name = $6 AND version = $7 AND expires > $8 \
     RETURNING version";

const TAKE: &str = "DELETE FROM auth_records WHERE tenant = $1 AND kind = $2 AND name = $3 \
     RETURNING version, owner, expires, sealed, name";

const OWNED: &str = "SELECT version, owner, expires, sealed, name FROM auth_records \
     WHERE tenant = $1 AND owner = $2 AND kind = $3 AND expires > $4 ORDER BY name";

const REMOVE_OWNED: &str = "DELETE FROM auth_records WHERE tenant = $1 AND owner = $2 AND kind = $3";

const SWEEP: &str = "DELETE FROM auth_records WHERE (tenant, kind, name) IN \
     (SELECT tenant, kind, name FROM auth_records WHERE expires <= $1 ORDER BY expires LIMIT $2 /* skip locked */)";

impl SqlRecords {
    /// Makes the tables, or brings them to the present version. [`ErrorKind::Config`] when a newer build has written
    /// them.
    pub async fn new(store: Store, sealer: Arc<dyn Sealer>) -> Result<Self> {
        migrate(&store, &SQLITE, &POSTGRES).await?;
        Ok(Self { store, sealer })
    }

    async fn query(&self, sql: &'static str, params: Vec<Param>) -> Result<Option<Row>> {
        let rows = self.store.write(move |tx| Box::pin(async move { tx.query(sql, &params).await })).await?;
        Ok(rows.into_iter().next())
    }

    async fn delete(&self, sql: &'static str, params: Vec<Param>) -> Result<u64> {
        self.store.write(move |tx| Box::pin(async move { tx.execute(sql, &params).await })).await
    }

    async fn open(&self, tenant: &str, kind: &str, row: &Row) -> Result<(String, Record)> {
        let (owner, expires, name) = (row.opt_text(1)?, row.integer(2)?, row.text(4)?);
        let context = context(tenant, kind, name, owner, expires);
        let value = self.sealer.open(&row.blob(3)?, &context).await?;
        let expires_at = Timestamp::from_millisecond(expires).map_err(|_| unreadable())?;
        let draft = Draft { owner: owner.map(UserId::from), expires_at, value };
        Ok((name.to_owned(), Record { version: count(row, 0)?, draft }))
    }
}

#[async_trait]
impl RecordStore for SqlRecords {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        let [tenant, kind, name] = key(id);
        let rows = self.store.read(GET, &[tenant, kind, name, millis(now)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(self.open(&id.tenant, id.kind, row).await?.1))
    }

    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        let owner = next.owner.as_ref().map(UserId::as_str);
        let context = context(&id.tenant, id.kind, &id.key, owner, next.expires_at.as_millisecond());
        let sealed = bytes::Bytes::from(self.sealer.seal(&next.value, &context).await?);
        let draft = [owner.into(), millis(next.expires_at), sealed.into()];
        let written = if seen == 0 {
            self.query(FIRST, [&key(id)[..], &draft, &[millis(now)]].concat()).await?
        } else {
            self.query(NEXT, [&draft[..], &key(id), &[integer(seen), millis(now)]].concat()).await?
        };
        written.map(|row| count(&row, 0)).transpose()
    }

    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        let row = self.query(TAKE, key(id).to_vec()).await?;
        match row {
            Some(row) if row.integer(2)? > now.as_millisecond() => {
                Ok(Some(self.open(&id.tenant, id.kind, &row).await?.1))
            }
            _ => Ok(None),
        }
    }

    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        let params = [tenant.into(), owner.as_str().into(), kind.into(), millis(now)];
        let mut records = Vec::new();
        for row in self.store.read(OWNED, &params).await? {
            records.push(self.open(tenant, kind, &row).await?);
        }
        Ok(records)
    }

    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        self.delete(REMOVE_OWNED, vec![tenant.into(), owner.as_str().into(), kind.into()]).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.delete(SWEEP, vec![millis(now), limit.into()]).await
    }
}

/// Makes the tables in the database's own words.
pub(crate) async fn migrate(store: &Store, sqlite: &'static Module, postgres: &'static Module) -> Result<()> {
    let dialect = store.write(|tx| Box::pin(async { Ok(tx.dialect()) })).await?;
    store.migrate(if dialect == Dialect::Sqlite { sqlite } else { postgres }).await
}

/// A counter that a caller gives. What no store ever counted to fits nothing.
pub(crate) fn integer(count: u64) -> Param {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

pub(crate) fn count(row: &Row, column: usize) -> Result<u64> {
    u64::try_from(row.integer(column)?).map_err(|_| unreadable())
}

fn key(id: &RecordId) -> [Param; 3] {
    [id.tenant.as_str().into(), id.kind.into(), id.key.as_str().into()]
}

fn millis(at: Timestamp) -> Param {
    at.as_millisecond().into()
}

fn context(tenant: &str, kind: &str, name: &str, owner: Option<&str>, expires: i64) -> Vec<u8> {
    let (is_owned, owner) = (if owner.is_some() { "owned" } else { "" }, owner.unwrap_or_default());
    framed(&["auth record", tenant, kind, name, is_owned, owner, &expires.to_string()])
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, "a stored row has a time or a counter out of range")
}
