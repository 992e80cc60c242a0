//! The one task that writes: it takes what waits, runs it in one transaction and answers after the commit.

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{mpsc, oneshot};

use super::super::failure::closed;
use super::super::tx::{Connection, Tx};
use super::super::{TxFuture, job};
use super::failure;
use crate::error::{Effect, Result};

/// The most jobs of one transaction, so that the first of them is not kept waiting for long.
const GROUP: usize = 512;

pub(super) enum Message {
    Job(Box<dyn Job>),
    /// Answered by being dropped, once the file is closed.
    Close(oneshot::Sender<()>),
}

/// A job whose result type is known to its caller alone.
pub(super) trait Job: Send {
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    /// Runs it and keeps its result; whether it succeeded.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> TxFuture<'t, bool>;
    /// Answers the caller: with the job's own result if the group was committed.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Waiting<F, T> {
    job: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

/// A job for the writer, and where its answer arrives.
pub(super) fn job<T, F>(job: F) -> (Message, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Message::Job(Box::new(Waiting { job: Some(job), result: None, reply })), answer)
}

/// The last message.
pub(super) fn close() -> (Message, oneshot::Receiver<()>) {
    let (done, wait) = oneshot::channel();
    (Message::Close(done), wait)
}

impl<T, F> Job for Waiting<F, T>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> TxFuture<'t, bool> {
        Box::pin(async move {
            let Some(job) = self.job.take() else { return Ok(false) };
            let result = job::run(job, tx).await;
            let succeeded = result.is_ok();
            self.result = Some(result);
            Ok(succeeded)
        })
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let result = match (self.result, committed) {
            (Some(Err(own)), _) => Err(own),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(group)) => Err(group.clone()),
            (None, Ok(())) => Err(closed()),
        };
        // Whoever gave up waiting does not want to know.
        let _unwanted = self.reply.send(result);
    }
}

/// Opens the connection and starts the task.
pub(super) async fn start(
    options: SqliteConnectOptions,
    reopens: bool,
    queue: mpsc::Receiver<Message>,
) -> Result<()> {
    let tx = Some(connect(&options).await?);
    tokio::spawn(Writer { options, reopens, tx }.run(queue));
    Ok(())
}

async fn connect(options: &SqliteConnectOptions) -> Result<Tx> {
    let connection = options.connect().await.map_err(failure::of_statement)?;
    Ok(Tx::new(Connection::Sqlite(connection)))
}

struct Writer {
    options: SqliteConnectOptions,
    /// Whether a new connection finds the same data: not in memory.
    reopens: bool,
    /// `None` after a group failed and until the next one comes.
    tx: Option<Tx>,
}

impl Writer {
    /// Ends when it is told to, or when all handles are gone; in both cases after what was sent before.
    async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut group = Vec::new();
        let mut closing = None;
        while closing.is_none() && queue.recv_many(&mut group, GROUP).await > 0 {
            let mut jobs = Vec::with_capacity(group.len());
            for message in group.drain(..) {
                match message {
                    Message::Job(job) if closing.is_none() => jobs.push(job),
                    Message::Job(job) => job.answer(&Err(closed())),
                    Message::Close(done) => closing = closing.or(Some(done)),
                }
            }
            self.group(jobs).await;
        }
        queue.close();
        while let Some(message) = queue.recv().await {
            if let Message::Job(job) = message {
                job.answer(&Err(closed()));
            }
        }
        if let Some(tx) = self.tx
            && let Err(e) = tx.close().await
        {
            tracing::warn!(error = %e, "the store was not closed cleanly; its next start repairs it");
        }
        drop(closing);
    }

    async fn group(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        jobs.retain(|job| job.is_wanted());
        if jobs.is_empty() {
            return;
        }
        let committed = self.commit(&mut jobs).await;
        if committed.is_err() {
            self.recover().await;
        }
        for job in jobs {
            job.answer(&committed);
        }
    }

    async fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<()> {
        let tx = self.connected().await?;
        tx.failed = None;
        tx.execute("BEGIN IMMEDIATE; SAVEPOINT job", &[]).await?;
        for job in jobs {
            if job.run(tx).await? {
                tx.execute("RELEASE SAVEPOINT job; SAVEPOINT job", &[]).await?;
                continue;
            }
            let cause = tx.failed.take();
            // Keeps the savepoint. Fails if the error was of the kind that ends the whole transaction, such as a full
            // disk.
            let undone = tx.execute("ROLLBACK TO SAVEPOINT job", &[]).await;
            undone.map_err(|e| cause.unwrap_or(e))?;
        }
        tx.execute("COMMIT", &[]).await.map(drop).map_err(|e| e.with_effect(Effect::Unknown))
    }

    async fn connected(&mut self) -> Result<&mut Tx> {
        if self.tx.is_none() {
            self.tx = Some(connect(&self.options).await?);
        }
        self.tx.as_mut().ok_or_else(closed)
    }

    /// After a failed group: nothing of it may be left open. A file is opened anew, so that whatever was wrong with
    /// the connection is gone with it.
    async fn recover(&mut self) {
        let Some(tx) = &mut self.tx else { return };
        tx.failed = None;
        // Fails when the transaction has ended already.
        let _ended = tx.execute("ROLLBACK", &[]).await;
        if self.reopens {
            self.tx = None;
        }
    }
}
