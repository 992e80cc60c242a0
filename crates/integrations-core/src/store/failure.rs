//! What a database's errors mean.

use crate::error::{Effect, Error, ErrorKind};

/// What an error of the database itself asks of the caller.
pub(super) type Meaning = (ErrorKind, &'static str);

/// A statement was refused; its job's writes are undone. `known` is what the database's own code says.
pub(super) fn of_statement(error: &sqlx::Error, known: Option<Meaning>) -> Error {
    let message = format!("the store: {error}");
    match (known, error) {
        (Some((kind, hint)), _) => Error::new(kind, Effect::Rejected, message).with_hint(hint),
        (None, sqlx::Error::PoolTimedOut) => late(Effect::NotSent),
        (None, sqlx::Error::PoolClosed) => closed(),
        (None, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed) => {
            Error::new(ErrorKind::Unavailable, Effect::Rejected, message)
        }
        (None, _) => Error::new(ErrorKind::Unexpected, Effect::Rejected, message),
    }
}

/// The store was closed, or its runtime ended.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, Effect::NotSent, "the store is closed")
}

/// A deadline passed.
pub(super) fn late(effect: Effect) -> Error {
    Error::new(ErrorKind::Timeout, effect, "the store did not answer in time")
        .with_hint("check the database's latency, and for jobs that hold the transaction")
}

/// A job dropped a statement's future before its end: what the statement did is not known.
pub(super) fn abandoned() -> Error {
    Error::new(ErrorKind::Unexpected, Effect::Rejected, "a job of the store gave up waiting for a statement")
        .with_hint("let each statement of a job end; the store has deadlines of its own")
}

/// Without the panic's message, which may hold anything: the panic hook has printed it already.
pub(super) fn panicked() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        Effect::Rejected,
        "a job of the store panicked; nothing of it was written",
    )
}

/// A value that is none of a [`Param`](super::Param)'s types.
pub(super) fn undecodable(column: usize, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, format!("column {column} of a stored row: {why}"))
}
