//! What SQLite's errors mean.

use super::super::failure;
use crate::error::{Error, ErrorKind};

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

#[allow(clippy::needless_pass_by_value, reason = "ends chains of `map_err`")]
pub(super) fn of_statement(error: sqlx::Error) -> Error {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<i64>().ok());
    let known = code.and_then(|code| KINDS.iter().find(|(primary, ..)| *primary == code & 0xff));
    failure::of_statement(&error, known.map(|(_, kind, hint)| (*kind, *hint)))
}
