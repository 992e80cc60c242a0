//! Tables in one SQLite file, or in PostgreSQL, by one code for its users.
//!
//! Invariants of both:
//! - A write is answered only after its commit. A job that fails, panics or hides a failed statement leaves nothing
//!   behind and touches no other job.
//! - Every wait ends: a job has [`JOB_DEADLINE`], its caller [`DEADLINE`].
//! - Statements are in the part of SQL that both share, with the words of [`Dialect`] where they differ. Times that
//!   several processes compare (leases) are the store's own: `{now_ms}`.
//!
//! In SQLite one task writes: what waits is committed as one transaction, each job in a savepoint of its own. If that
//! commit fails, every job of the group gets the error. Jobs run one after the other, and what was answered is on the
//! disk (`synchronous = FULL`).
//!
//! In PostgreSQL each job is a transaction of its own (`READ COMMITTED`) on one of up to ten connections:
//! - Jobs run beside each other and beside those of other processes. What a job read may have changed when it writes:
//!   put the condition into the `UPDATE`, or lock the row by writing it first.
//! - Every statement has a deadline in the server as well. A job that gives way to another transaction (lock timeout,
//!   deadlock, serialization failure) is [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) with
//!   [`Effect::Rejected`](crate::Effect::Rejected).
//! - A connection is used again only when it is known that nothing is open on it.
//! - What was answered is as durable as the server's `synchronous_commit` says.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
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
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(demo()).unwrap();
//! ```

#[cfg(feature = "sqlite")]
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
#[cfg(feature = "postgres")]
use crate::secret::SecretString;
#[cfg(feature = "postgres")]
use crate::tls::TlsConfig;

mod dialect;
mod failure;
mod job;
#[cfg(feature = "postgres")]
mod postgres;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tx;
mod value;

pub use dialect::Dialect;
pub use schema::Module;
pub use tx::Tx;
pub use value::{Param, Row};

/// How long a write waits for its commit, or a read for its rows, in all.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How long one job may take inside the transaction. In SQLite all other writers wait meanwhile.
pub const JOB_DEADLINE: Duration = Duration::from_secs(5);
/// How long another process's lock on an SQLite file is waited for. PostgreSQL's locks have `lock_timeout`: see
/// [`Store::postgres`].
pub const BUSY_DEADLINE: Duration = Duration::from_secs(5);

/// What a job of [`Store::write`] returns.
pub type TxFuture<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

/// One database, shared by all its clones. When the last one is dropped, what waits is still committed.
///
/// Its deadlines are those of tokio's clock, which neither the file's own thread nor a server follows: a test with a
/// paused clock may see them pass while a statement runs.
#[derive(Debug, Clone)]
pub struct Store(Database);

#[derive(Debug, Clone)]
enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<sqlite::Database>),
    #[cfg(feature = "postgres")]
    Postgres(Arc<postgres::Database>),
}

impl Store {
    /// Opens a file, or makes it (on Unix readable by its owner alone; a wider mode is narrowed).
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when it cannot be opened or is no database.
    #[cfg(feature = "sqlite")]
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let database = sqlite::Database::open(path.as_ref()).await?;
        Ok(Self(Database::Sqlite(Arc::new(database))))
    }

    /// A database that is gone with its last handle. For tests, and for what need not survive.
    #[cfg(feature = "sqlite")]
    pub async fn in_memory() -> Result<Self> {
        let database = sqlite::Database::in_memory().await?;
        Ok(Self(Database::Sqlite(Arc::new(database))))
    }

    /// Connects to PostgreSQL: `postgres://user:password@host:5432/database`. Parts of the URL that are missing are
    /// taken from libpq's variables and password file (postgresql.org/docs/current/libpq-envars.html), as by `psql`.
    ///
    /// The URL may have the parameters `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `application_name`, `host`,
    /// `port`, `dbname`, `user`, `password`, `options` and `options[name]`. The session's settings are
    /// `statement_timeout` 4 s, `lock_timeout` 3 s and `idle_in_transaction_session_timeout` 10 s, so that the server
    /// ends a wait before the job's deadline does; `options` may set others.
    ///
    /// Without `sslmode` the server's certificate and name are verified (`verify-full`), except on this machine
    /// (loopback addresses, sockets), where TLS is used if the server has it (`prefer`). `allow` means no TLS, and
    /// `require` does not verify unless roots are given. A certificate has to come from Mozilla's roots, which are
    /// built in, or from those of `tls`; the platform's are not looked at.
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the URL, the user, the database or the certificate is
    /// refused; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) when `tls` asks for what the driver cannot
    /// do: given roots alone, TLS 1.3 alone, another server name.
    #[cfg(feature = "postgres")]
    pub async fn postgres(url: &SecretString, tls: &TlsConfig) -> Result<Self> {
        let database = postgres::Database::connect(url, tls).await?;
        Ok(Self(Database::Postgres(Arc::new(database))))
    }

    /// Brings a module's tables to the present version. May be called at each start, by any number of processes at
    /// once. [`ErrorKind::Config`](crate::ErrorKind::Config) when a newer build has written the tables.
    pub async fn migrate(&self, module: &'static Module) -> Result<()> {
        self.write(move |tx| Box::pin(schema::migrate(tx, module))).await
    }

    /// Runs a job in the next transaction and gives its result once that is committed. If the job fails or panics,
    /// everything it wrote is undone and its error is the answer. A job must not wait for anything but its `Tx`, and
    /// never for another write: in SQLite all writers wait for it, and PostgreSQL has a connection less.
    ///
    /// Dropping the future withdraws a job that has not begun; one that has begun is committed all the same.
    ///
    /// Errors of the store have [`Effect::NotSent`](crate::Effect::NotSent) or
    /// [`Effect::Rejected`](crate::Effect::Rejected) when nothing was written, and
    /// [`Effect::Unknown`](crate::Effect::Unknown) when the commit itself was lost sight of. Those that come from other
    /// transactions (a lock held for too long, a deadlock) are [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable)
    /// and retryable: the same job may go through now.
    pub async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T> + Send + 'static,
    {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(database) => database.write(job).await,
            #[cfg(feature = "postgres")]
            Database::Postgres(database) => database.write(job).await,
        }
    }

    /// Runs one query beside the writers: it sees what was committed before it began.
    pub async fn read(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Row>> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(database) => database.read(sql, params).await,
            #[cfg(feature = "postgres")]
            Database::Postgres(database) => database.read(sql, params).await,
        }
    }

    /// Commits what waits, closes the file or the connections. Later calls fail.
    pub async fn close(&self) -> Result<()> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(database) => database.close().await,
            #[cfg(feature = "postgres")]
            Database::Postgres(database) => database.close().await,
        }
    }
}

#[cfg(test)]
mod tests;
