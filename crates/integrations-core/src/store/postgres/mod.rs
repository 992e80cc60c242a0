//! A PostgreSQL server.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::failure::{closed, late};
use super::tx::{Connection, Tx};
use super::value::{Param, Row};
use super::{DEADLINE, JOB_DEADLINE, TxFuture, job};
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::secret::SecretString;
use crate::tls::TlsConfig;

mod address;
mod failure;
pub(super) mod rows;

/// The most connections of one store. A server takes 100 in all unless told otherwise.
const CONNECTIONS: u32 = 10;
/// How long a connection is waited for, so that the job and its commit still end within [`DEADLINE`].
const START_DEADLINE: Duration = Duration::from_secs(20);
const _: () = assert!(
    START_DEADLINE.as_secs() + 2 * JOB_DEADLINE.as_secs() == DEADLINE.as_secs(),
    "the parts of a write are as long as the whole"
);

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// Outside a transaction `COMMIT` is a warning, and `SAVEPOINT` an error: a job that ended its transaction has not been
/// committed as a whole.
const COMMIT: &str = "SAVEPOINT still_open; COMMIT";
const ROLLBACK: &str = "ROLLBACK";
/// Gets an answer and does nothing.
const PING: &str = "";

/// A connection is in `idle` or in the hands of whoever has a turn. It goes back only when the server has answered that
/// nothing is open on it; on every other way it is dropped, which ends its transaction.
pub(super) struct Database {
    options: PgConnectOptions,
    /// First come, first served.
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Tx>>,
}

impl fmt::Debug for Database {
    /// Without the options, which hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("idle", &self.idle().len()).finish_non_exhaustive()
    }
}

impl Database {
    pub(super) async fn connect(url: &SecretString, tls: &TlsConfig) -> Result<Self> {
        let options = address::options(url.expose(), tls)?;
        if address::is_exposed(&options) {
            tracing::warn!(
                host = options.get_host(),
                "the store's server does not prove who it is: use `sslmode=verify-full` in its URL"
            );
        }
        let database =
            Self { options, turns: Arc::new(Semaphore::new(CONNECTIONS as usize)), idle: Mutex::default() };
        let (tx, _turn) = database.start(PING).await?;
        database.idle().push(tx);
        Ok(database)
    }

    pub(super) async fn write<T, F>(self: &Arc<Self>, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T> + Send + 'static,
    {
        let (tx, turn) = self.start(BEGIN).await?;
        let database = Arc::clone(self);
        let begun = tokio::spawn(async move {
            let result = database.commit(tx, job).await;
            drop(turn);
            result
        });
        begun.await.unwrap_or_else(|_| Err(closed().with_effect(Effect::Unknown)))
    }

    async fn commit<T, F>(&self, mut tx: Tx, job: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T>,
    {
        let result = job::run(job, &mut tx).await;
        if !is_understood(&tx) {
            self.give_up(&tx);
            return result;
        }
        tx.failed = None;
        let end = if result.is_ok() { COMMIT } else { ROLLBACK };
        let ended = in_time(tx.execute(end, &[])).await;
        if ended.is_ok() {
            self.idle().push(tx);
        }
        let value = result?;
        ended.map(|_| value).map_err(|e| e.with_effect(Effect::Unknown))
    }

    pub(super) async fn read(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Row>> {
        let (mut tx, _turn) = self.start(PING).await?;
        let rows = in_time(tx.query(sql, params)).await.map_err(|e| e.with_effect(Effect::NotSent));
        if is_understood(&tx) {
            tx.failed = None;
            if rows.is_ok() || in_time(tx.execute(PING, &[])).await.is_ok() {
                self.idle().push(tx);
            }
        } else {
            self.give_up(&tx);
        }
        rows
    }

    /// Waits for what began or waited before, and closes the connections.
    pub(super) async fn close(&self) -> Result<()> {
        let wait = async {
            let Ok(_all) = self.turns.acquire_many(CONNECTIONS).await else { return };
            self.turns.close();
            let idle = std::mem::take(&mut *self.idle());
            for tx in idle {
                // The server may have closed it already.
                let _gone = tx.close().await;
            }
        };
        timeout(DEADLINE, wait).await.map_err(|_| late(Effect::Unknown))
    }

    /// A turn, and a connection on which `opening` was run.
    async fn start(&self, opening: &'static str) -> Result<(Tx, OwnedSemaphorePermit)> {
        let started = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| closed())?;
            Ok((self.connection(opening).await?, turn))
        };
        timeout(START_DEADLINE, started).await.unwrap_or_else(|_| Err(late(Effect::NotSent)))
    }

    async fn connection(&self, opening: &'static str) -> Result<Tx> {
        let known = self.idle().pop();
        if let Some(mut tx) = known {
            if in_time(tx.execute(opening, &[])).await.is_ok() {
                return Ok(tx);
            }
            // What ended one of them, such as a restart of the server, has most likely ended all.
            self.idle().clear();
        }
        let connection = self.options.connect().await.map_err(failure::of_statement)?;
        let mut tx = Tx::new(Connection::Postgres(connection));
        tx.execute(opening, &[]).await?;
        Ok(tx)
    }

    /// The connection is about to be dropped; with it go those that would fail in the same way.
    fn give_up(&self, tx: &Tx) {
        if is_stale(tx) {
            self.idle().clear();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Tx>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time<T>(statement: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(JOB_DEADLINE, statement).await.unwrap_or_else(|_| Err(late(Effect::Rejected)))
}

/// Whether it is known what happened on the connection. If not (a statement was abandoned, the server said something
/// unheard of), it is not used again.
fn is_understood(tx: &Tx) -> bool {
    tx.failed.as_ref().is_none_or(|e: &Error| e.kind() != ErrorKind::Unexpected) && !is_stale(tx)
}

fn is_stale(tx: &Tx) -> bool {
    tx.failed.as_ref().and_then(Error::code).is_some_and(|code| failure::STALE.contains(&code))
}

#[cfg(test)]
pub(super) mod tests;
