//! Statements inside a transaction.

use super::dialect::Dialect;
use super::failure;
#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
use super::value::{Param, Row};
use crate::error::{Error, Result};

/// A job's view of the transaction. Placeholders are `$1`, `$2`, and so on, once each and in order.
#[derive(Debug)]
pub struct Tx {
    connection: Connection,
    /// The job's first failed statement. As in PostgreSQL, nothing more can be done then.
    pub(super) failed: Option<Error>,
}

#[derive(Debug)]
pub(super) enum Connection {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgConnection),
}

impl Tx {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, failed: None }
    }

    /// Whose SQL it is.
    pub fn dialect(&self) -> Dialect {
        match self.connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; gives the number of rows it changed. After an error, or when this future is dropped before
    /// its end, the job cannot go on: every later statement gives the same error, and nothing of the job is kept.
    /// Expect conflicts with `ON CONFLICT`.
    pub async fn execute(&mut self, sql: &'static str, params: &[Param]) -> Result<u64> {
        self.start()?;
        let sql = self.dialect().render(sql);
        let done = match &mut self.connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(connection) => sqlite::rows::execute(connection, sql, params).await,
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection) => postgres::rows::execute(connection, sql, params).await,
        };
        self.note(done)
    }

    /// Runs a query, or a statement with `RETURNING`; gives its rows. Errors as with [`Tx::execute`].
    pub async fn query(&mut self, sql: &'static str, params: &[Param]) -> Result<Vec<Row>> {
        self.start()?;
        let sql = self.dialect().render(sql);
        let rows = match &mut self.connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(connection) => sqlite::rows::query(connection, sql, params).await,
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection) => postgres::rows::query(connection, sql, params).await,
        };
        self.note(rows)
    }

    pub(super) fn usable(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Tells the server, or SQLite, that nothing follows.
    pub(super) async fn close(self) -> sqlx::Result<()> {
        use sqlx::Connection as _;
        match self.connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(connection) => connection.close().await,
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection) => connection.close().await,
        }
    }

    /// Until the statement's end is noted, it counts as abandoned.
    fn start(&mut self) -> Result<()> {
        self.usable()?;
        self.failed = Some(failure::abandoned());
        Ok(())
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        self.failed = result.as_ref().err().cloned();
        result
    }
}
