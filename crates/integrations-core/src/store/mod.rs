//! Tables in one SQLite file, written by one task that commits what waits as a group.
//!
//! Invariants:
//! - A write is answered only after the commit that holds it is on the disk (`synchronous = FULL`).
//! - What waits is committed as one transaction, each job in a savepoint of its own: a job that fails undoes nothing of
//!   the others. If the commit fails, every job of the group gets the error.
//! - Every wait ends: a job has [`JOB_DEADLINE`], its caller [`DEADLINE`], another process's lock [`BUSY_DEADLINE`].
//! - Statements are in the part of SQL that SQLite and PostgreSQL share; the few words in which they differ are in
//!   [`Dialect`].
//!
//! ```
//! # async fn demo() -> integrations_core::Result<()> {
//! use integrations_core::store::{Module, Store};
//!
//! static NOTES: Module =
//!     Module { name: "notes", steps: &[&["CREATE TABLE notes (id TEXT PRIMARY KEY, body TEXT NOT NULL)"]] };
//!
//! let store = Store::in_memory().await?;
//! store.migrate(&NOTES).await?;
//! store
//!     .write(|tx| {
//!         Box::pin(async move {
//!             tx.execute("INSERT INTO notes (id, body) VALUES ($1, $2)", &["a".into(), "hello".into()]).await
//!         })
//!     })
//!     .await?;
//! let rows = store.read("SELECT body FROM notes WHERE id = $1", &["a".into()]).await?;
//! assert_eq!(rows[0].text(0)?, "hello");
//! store.close().await
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(demo()).unwrap();
//! ```

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::error::{Effect, Error, ErrorKind, Result};

mod dialect;
mod failure;
mod file;
mod schema;
mod tx;
mod value;
mod writer;

pub use dialect::Dialect;
pub use schema::Module;
pub use tx::Tx;
pub use value::{Param, Row};

/// How long a write waits for its commit, or a read for its rows, in all.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How long one job may take inside the transaction, while all other writers wait.
pub const JOB_DEADLINE: Duration = Duration::from_secs(5);
/// How long another process's lock is waited for.
pub const BUSY_DEADLINE: Duration = Duration::from_secs(5);

/// Jobs that may wait; the next caller waits outside.
const QUEUE: usize = 4096;
const READERS: u32 = 4;

/// What a job of [`Store::write`] returns.
pub type TxFuture<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

/// One database, shared by all its clones. When the last one is dropped, what waits is still committed.
///
/// Its deadlines are those of tokio's clock, which the file's own thread does not follow: a test with a paused clock may
/// see them pass while a statement runs.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    jobs: mpsc::Sender<writer::Message>,
    /// `None` for a database in memory, which has one connection: the writer's.
    readers: Option<SqlitePool>,
}

impl Store {
    /// Opens a file, or makes it (on Unix readable by its owner alone; a wider mode is narrowed).
    /// [`ErrorKind::Config`] when it cannot be opened or is no database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path: PathBuf = path.as_ref().to_owned();
        let path = tokio::task::spawn_blocking(move || file::prepare(&path))
            .await
            .map_err(|e| Error::new(ErrorKind::Cancelled, Effect::NotSent, e.to_string()))??;
        let file = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_DEADLINE)
            .disable_statement_logging();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(DEADLINE)
            .connect_lazy_with(file.clone().read_only(true));
        let durable = file
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // macOS alone: without it a sync leaves the data in the drive's cache.
            .pragma("fullfsync", "1")
            .foreign_keys(true);
        Self::start(durable, Some(readers)).await
    }

    /// A database that is gone with its last handle. For tests, and for what need not survive.
    pub async fn in_memory() -> Result<Self> {
        Self::start(
            SqliteConnectOptions::new().in_memory(true).foreign_keys(true).disable_statement_logging(),
            None,
        )
        .await
    }

    async fn start(options: SqliteConnectOptions, readers: Option<SqlitePool>) -> Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        writer::start(options, readers.is_some(), queue).await?;
        Ok(Self(Arc::new(Shared { jobs, readers })))
    }

    /// Brings a module's tables to the present version. May be called at each start.
    /// [`ErrorKind::Config`] when a newer build has written the file.
    pub async fn migrate(&self, module: &'static Module) -> Result<()> {
        self.write(move |tx| Box::pin(schema::migrate(tx, module))).await
    }

    /// Runs a job in the next transaction and gives its result once that is committed. If the job fails or panics,
    /// everything it wrote is undone and its error is the answer. A job must not wait for anything but its `Tx`, and
    /// never for another write: all writers wait for it.
    ///
    /// Dropping the future withdraws a job that has not begun; one that has begun is committed all the same.
    ///
    /// Errors of the store have [`Effect::NotSent`] or [`Effect::Rejected`] when nothing was written, and
    /// [`Effect::Unknown`] when the commit itself was lost sight of.
    pub async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T> + Send + 'static,
    {
        let (message, answer) = writer::job(job);
        let wait = async {
            self.0.jobs.send(message).await.map_err(|_| failure::closed())?;
            answer.await.map_err(|_| failure::closed().with_effect(Effect::Unknown))?
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| Err(failure::late(Effect::Unknown)))
    }

    /// Runs one query beside the writer: it sees what was committed before it began.
    pub async fn read(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Row>> {
        let Some(readers) = &self.0.readers else {
            let params = params.to_vec();
            return self.write(move |tx| Box::pin(async move { tx.query(sql, &params).await })).await;
        };
        let rows = async {
            let mut connection = readers.acquire().await.map_err(failure::of_statement)?;
            tx::query(&mut connection, sql, params).await
        };
        timeout(DEADLINE, rows).await.unwrap_or_else(|_| Err(failure::late(Effect::NotSent)))
    }

    /// Commits what waits, closes the file and ends the writing task. Later calls fail.
    pub async fn close(&self) -> Result<()> {
        let (message, done) = writer::close();
        let wait = async {
            if self.0.jobs.send(message).await.is_ok() {
                // An error means that the writer has gone already, which is what was asked for.
                let _gone = done.await;
            }
            if let Some(readers) = &self.0.readers {
                readers.close().await;
            }
        };
        timeout(DEADLINE, wait).await.map_err(|_| failure::late(Effect::Unknown))
    }
}

#[cfg(test)]
mod tests;
