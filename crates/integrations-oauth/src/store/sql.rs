//! The store in tables.

use std::time::Duration;

use async_trait::async_trait;
use integrations_core::store::{Dialect, Module, Param, Row, Store};
use integrations_core::{ConnectionId, Effect, Error, ErrorKind, Result};
use jiff::Timestamp;

use super::{Draft, Entry, Lease, TokenStore, lease_millis};

/// Connections in SQLite or PostgreSQL, beside the application's own tables.
///
/// Invariants:
/// - A connection is one row, its lease included, and each method is one statement: no isolation level, no process and
///   no crash can come between a comparison and its write, or between a write and the end of its lease.
/// - The time of leases is the database's: what the machines of a fleet think of the time matters to nobody.
/// - The row of a removed connection stays without its tokens, for its counters.
///
/// An error of a write has [`Effect::Unknown`] when the commit was lost sight of.
#[derive(Debug, Clone)]
pub struct SqlTokens(Store);

/// The tables, with the database's name of the order by bytes: another order would depend on the machine's languages.
///
/// `sealed` is null when nothing is kept, `until` when nobody has a lease. `lapsed` is whether the lease before the
/// present one ran out.
macro_rules! tables {
    ($bytewise:literal) => {
        Module {
            name: "oauth",
            steps: &[&[
                concat!(
                    "CREATE TABLE oauth_connections (tenant TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, instance TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, connection TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, version BIGINT NOT NULL, state TEXT, since BIGINT, sealed BLOB, due BIGINT, \
                     fence BIGINT NOT NULL, until BIGINT, lapsed BIGINT NOT NULL, \
                     PRIMARY KEY (tenant, instance, connection))"
                ),
                "CREATE INDEX oauth_connections_due ON oauth_connections (due, tenant, instance, connection) \
                 WHERE due IS NOT NULL",
                // Lists do not read what was removed.
                "CREATE INDEX oauth_connections_kept ON oauth_connections (tenant, instance, connection) \
                 WHERE sealed IS NOT NULL",
            ]],
        }
    };
}

static SQLITE: Module = tables!("BINARY");
static POSTGRES: Module = tables!("\"C\"");

const LOAD: &str = "SELECT version, state, since, sealed, due FROM oauth_connections \
     WHERE tenant = $1 AND instance = $2 AND connection = $3 AND sealed IS NOT NULL";

const FIRST: &str = "INSERT INTO oauth_connections \
         (tenant, instance, connection, state, since, sealed, due, version, fence, lapsed) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 0, 0) \
     ON CONFLICT (tenant, instance, connection) DO UPDATE SET \
         version = oauth_connections.version + 1, state = excluded.state, since = excluded.since, \
         sealed = excluded.sealed, due = excluded.due, \
         until = CASE WHEN oauth_connections.fence = $8 THEN NULL ELSE oauth_connections.until END \
     WHERE oauth_connections.sealed IS NULL \
     RETURNING version";

const NEXT: &str = "UPDATE oauth_connections SET \
         version = version + 1, state = $1, since = $2, sealed = $3, due = $4, \
         until = CASE WHEN fence = $5 THEN NULL ELSE until END \
     WHERE tenant = $6 AND instance = $7 AND connection = $8 AND version = $9 AND sealed IS NOT NULL \
     RETURNING version";

const REMOVE: &str = "UPDATE oauth_connections SET state = NULL, since = NULL, sealed = NULL, due = NULL \
     WHERE tenant = $1 AND instance = $2 AND connection = $3 AND version = $4 AND sealed IS NOT NULL \
     RETURNING version";

/// Asked before [`LEASE`], because many wait for one connection: they only read, while the one who has it writes.
const LENT: &str = "SELECT fence FROM oauth_connections \
     WHERE tenant = $1 AND instance = $2 AND connection = $3 AND until > {now_ms}";

/// The end is reckoned in the `SET` and not taken from the values: whoever had to wait for the row reads the time anew.
const LEASE: &str = "INSERT INTO oauth_connections \
         (tenant, instance, connection, until, version, fence, lapsed) \
     VALUES ($1, $2, $3, {now_ms} + $4, 0, 1, 0) \
     ON CONFLICT (tenant, instance, connection) DO UPDATE SET \
         fence = oauth_connections.fence + 1, \
         lapsed = CASE WHEN oauth_connections.until IS NULL THEN 0 ELSE 1 END, \
         until = {now_ms} + $5 \
     WHERE oauth_connections.until IS NULL OR oauth_connections.until <= {now_ms} \
     RETURNING fence, lapsed";

const RELEASE: &str = "UPDATE oauth_connections SET until = NULL \
     WHERE tenant = $1 AND instance = $2 AND connection = $3 AND fence = $4 AND until > {now_ms} \
     RETURNING fence";

const DUE: &str = "SELECT tenant, instance, connection FROM oauth_connections \
     WHERE due <= $1 ORDER BY due, tenant, instance, connection LIMIT $2";

const LIST: &str = "SELECT version, state, since, sealed, due, tenant, instance, connection FROM oauth_connections \
     WHERE sealed IS NOT NULL AND (tenant, instance, connection) > ($1, $2, $3) \
     ORDER BY tenant, instance, connection LIMIT $4";

const LIST_TENANT: &str = "SELECT version, state, since, sealed, due, tenant, instance, connection \
     FROM oauth_connections \
     WHERE sealed IS NOT NULL AND tenant = $1 AND (tenant, instance, connection) > ($2, $3, $4) \
     ORDER BY tenant, instance, connection LIMIT $5";

impl SqlTokens {
    /// Makes the tables, or brings them to the present version. [`ErrorKind::Config`] when a newer build has written
    /// them.
    pub async fn new(store: Store) -> Result<Self> {
        let dialect = store.write(|tx| Box::pin(async { Ok(tx.dialect()) })).await?;
        store.migrate(if dialect == Dialect::Sqlite { &SQLITE } else { &POSTGRES }).await?;
        Ok(Self(store))
    }

    /// Runs one statement that writes, and gives the row that it returns.
    async fn write(&self, sql: &'static str, params: Vec<Param>) -> Result<Option<Row>> {
        let rows = self.0.write(move |tx| Box::pin(async move { tx.query(sql, &params).await })).await?;
        Ok(rows.into_iter().next())
    }
}

#[async_trait]
impl TokenStore for SqlTokens {
    async fn load(&self, id: &ConnectionId) -> Result<Option<Entry>> {
        self.0.read(LOAD, &name(id)).await?.first().map(entry).transpose()
    }

    async fn swap(
        &self,
        id: &ConnectionId,
        seen: u64,
        next: &Draft,
        fence: Option<u64>,
    ) -> Result<Option<u64>> {
        let mut draft = vec![
            next.state.as_str().into(),
            next.since.as_millisecond().into(),
            next.sealed.clone().into(),
            next.due.map(Timestamp::as_millisecond).into(),
            fence.map(integer).into(),
        ];
        let written = if seen == 0 {
            self.write(FIRST, [name(id).to_vec(), draft].concat()).await?
        } else {
            draft.extend(name(id));
            draft.push(integer(seen).into());
            self.write(NEXT, draft).await?
        };
        written.map(|row| count(&row, 0)).transpose()
    }

    async fn remove(&self, id: &ConnectionId, seen: u64) -> Result<bool> {
        let [tenant, instance, connection] = name(id);
        let params = vec![tenant, instance, connection, integer(seen).into()];
        Ok(self.write(REMOVE, params).await?.is_some())
    }

    async fn lease(&self, id: &ConnectionId, ttl: Duration) -> Result<Option<Lease>> {
        if !self.0.read(LENT, &name(id)).await?.is_empty() {
            return Ok(None);
        }
        let [tenant, instance, connection] = name(id);
        let ttl: Param = integer(lease_millis(ttl)).into();
        let row = self.write(LEASE, vec![tenant, instance, connection, ttl.clone(), ttl]).await?;
        row.map(|row| Ok(Lease { fence: count(&row, 0)?, taken_over: row.integer(1)? != 0 })).transpose()
    }

    async fn release(&self, id: &ConnectionId, lease: Lease) -> Result<()> {
        let [tenant, instance, connection] = name(id);
        let params = vec![tenant, instance, connection, integer(lease.fence).into()];
        self.write(RELEASE, params).await.map(drop)
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>> {
        let rows = self.0.read(DUE, &[now.as_millisecond().into(), limit.into()]).await?;
        rows.iter().map(|row| connection(row, 0)).collect()
    }

    async fn list(
        &self,
        tenant: Option<&str>,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, Entry)>> {
        // No connection has an empty name: every one comes after it.
        let [first, second, third] = after.map_or_else(|| ["", "", ""].map(Param::from), name);
        let rows = match tenant {
            None => self.0.read(LIST, &[first, second, third, limit.into()]).await?,
            Some(tenant) => {
                self.0.read(LIST_TENANT, &[tenant.into(), first, second, third, limit.into()]).await?
            }
        };
        rows.iter().map(|row| Ok((connection(row, 5)?, entry(row)?))).collect()
    }
}

fn name(id: &ConnectionId) -> [Param; 3] {
    [&id.tenant, &id.instance, &id.connection].map(|part| Param::from(&**part))
}

fn connection(row: &Row, column: usize) -> Result<ConnectionId> {
    ConnectionId::new(row.text(column)?, row.text(column + 1)?, row.text(column + 2)?)
}

fn entry(row: &Row) -> Result<Entry> {
    let draft = Draft {
        state: row.text(1)?.to_owned(),
        since: time(row.integer(2)?)?,
        sealed: row.blob(3)?,
        due: row.opt_integer(4)?.map(time).transpose()?,
    };
    Ok(Entry { version: count(row, 0)?, draft })
}

fn time(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|_| unreadable("a time out of range"))
}

/// A counter that a caller gives. What no store ever counted to fits nothing.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(row: &Row, column: usize) -> Result<u64> {
    u64::try_from(row.integer(column)?).map_err(|_| unreadable("a counter below zero"))
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, format!("a stored connection holds {what}"))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_a_lease_does_not_wait_for_the_writer() {
        let folder = std::env::temp_dir().join(format!("integrations-lent-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(folder.join("tokens.db")).await.unwrap();
        let tokens = SqlTokens::new(store.clone()).await.unwrap();
        let id = ConnectionId::new("acme", "drive", "ada").unwrap();
        let lease = tokens.lease(&id, Duration::from_secs(60)).await.unwrap().unwrap();

        let ((tell, told), (end, ended)) = (oneshot::channel(), oneshot::channel::<()>());
        let writer = store.clone();
        let writing = tokio::spawn(async move {
            let job = writer.write(move |_| {
                Box::pin(async move {
                    tell.send(()).unwrap();
                    ended.await.map_err(|_| unreadable("nothing"))
                })
            });
            job.await
        });
        told.await.unwrap();
        let waits = Duration::from_secs(4);
        assert!(timeout(waits, tokens.lease(&id, waits)).await.unwrap().unwrap().is_none());
        end.send(()).unwrap();
        writing.await.unwrap().unwrap();
        tokens.release(&id, lease).await.unwrap();
        assert!(tokens.lease(&id, waits).await.unwrap().is_some());
        store.close().await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
