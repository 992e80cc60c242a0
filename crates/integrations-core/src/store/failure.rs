//! What a database's errors mean.

use crate::error::{Effect, Error, ErrorKind};

/// SQLite's primary result codes (sqlite.org/rescode.html), by what they ask of the caller.
const KINDS: [(i64, ErrorKind, &str); 10] = [
    (5, ErrorKind::Unavailable, "another process holds the file; try again"),
    (6, ErrorKind::Unavailable, "another connection holds the table; try again"),
    (8, ErrorKind::Unavailable, "make the file and its directory writable"),
    (10, ErrorKind::Unavailable, "check the disk"),
    (11, ErrorKind::Config, "the file is damaged; restore it from a backup"),
    (13, ErrorKind::Unavailable, "the disk is full; free some space"),
    (14, ErrorKind::Config, "check that the directory exists and is writable"),
    (19, ErrorKind::Conflict, "a row with this key exists, or a condition of the table does not hold"),
    (23, ErrorKind::Config, "make the file readable"),
    (26, ErrorKind::Config, "the file is no SQLite database; give another path"),
];

/// A statement was refused; its job's writes are undone.
pub(super) fn of_statement(error: sqlx::Error) -> Error {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<i64>().ok());
    let known = code.and_then(|code| KINDS.iter().find(|(primary, ..)| *primary == code & 0xff));
    let message = format!("the store: {error}");
    match (known, &error) {
        (Some((_, kind, hint)), _) => Error::new(*kind, Effect::Rejected, message).with_hint(*hint),
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
        .with_hint("check the disk's latency, and for jobs that hold the transaction")
}
