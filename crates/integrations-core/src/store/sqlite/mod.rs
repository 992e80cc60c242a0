//! One SQLite file, or a database in memory.

use std::path::{Path, PathBuf};

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::failure::{closed, late};
use super::tx::Tx;
use super::value::{Param, Row};
use super::{BUSY_DEADLINE, DEADLINE, TxFuture};
use crate::error::{Effect, Error, ErrorKind, Result};

mod failure;
mod file;
pub(super) mod rows;
mod writer;

/// Jobs that may wait; the next caller waits outside.
const QUEUE: usize = 4096;
const READERS: u32 = 4;

#[derive(Debug)]
pub(super) struct Database {
    jobs: mpsc::Sender<writer::Message>,
    /// `None` for a database in memory, which has one connection: the writer's.
    readers: Option<SqlitePool>,
}

impl Database {
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let path: PathBuf = path.to_owned();
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

    pub(super) async fn in_memory() -> Result<Self> {
        Self::start(
            SqliteConnectOptions::new().in_memory(true).foreign_keys(true).disable_statement_logging(),
            None,
        )
        .await
    }

    async fn start(options: SqliteConnectOptions, readers: Option<SqlitePool>) -> Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        writer::start(options, readers.is_some(), queue).await?;
        Ok(Self { jobs, readers })
    }

    pub(super) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T> + Send + 'static,
    {
        let (message, answer) = writer::job(job);
        let wait = async {
            self.jobs.send(message).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed().with_effect(Effect::Unknown))?
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| Err(late(Effect::Unknown)))
    }

    pub(super) async fn read(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Row>> {
        let Some(readers) = &self.readers else {
            let params = params.to_vec();
            return self.write(move |tx| Box::pin(async move { tx.query(sql, &params).await })).await;
        };
        let rows = async {
            let mut connection = readers.acquire().await.map_err(failure::of_statement)?;
            rows::query(&mut connection, super::Dialect::Sqlite.render(sql), params).await
        };
        timeout(DEADLINE, rows).await.unwrap_or_else(|_| Err(late(Effect::NotSent)))
    }

    pub(super) async fn close(&self) -> Result<()> {
        let (message, done) = writer::close();
        let wait = async {
            if self.jobs.send(message).await.is_ok() {
                // An error means that the writer has gone already, which is what was asked for.
                let _gone = done.await;
            }
            if let Some(readers) = &self.readers {
                readers.close().await;
            }
        };
        timeout(DEADLINE, wait).await.map_err(|_| late(Effect::Unknown))
    }
}

#[cfg(test)]
pub(super) mod tests;
