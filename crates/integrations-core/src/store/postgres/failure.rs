//! What PostgreSQL's errors mean.

use sqlx::error::DatabaseError;

use super::super::failure::{self, Meaning};
use crate::error::{Effect, Error, ErrorKind};

/// What is wrong with all connections when it is with one: they lead to a server that is a standby by now
/// (`read_only_sql_transaction`), or have plans from before a migration (`feature_not_supported`).
pub(super) const STALE: [&str; 2] = ["25006", "0A000"];

/// SQLSTATEs and their classes (postgresql.org/docs/current/errcodes-appendix.html), by what they ask of the caller.
/// The first that begins a code is its.
const KINDS: [(&str, ErrorKind, &str); 17] = [
    ("08", ErrorKind::Unavailable, "check the server and the network"),
    ("22021", ErrorKind::InvalidRequest, "leave the character U+0000 out of texts"),
    ("23", ErrorKind::Conflict, "a row with this key exists, or a condition of the table does not hold"),
    ("25006", ErrorKind::Unavailable, "the server takes no writes; connect to the primary"),
    ("25P03", ErrorKind::Timeout, "the job waited for something else than its statements"),
    (
        "28",
        ErrorKind::Config,
        "check the user and the password in the store's URL, and the server's pg_hba.conf",
    ),
    ("3D000", ErrorKind::Config, "create the database that the store's URL names"),
    ("3F000", ErrorKind::Config, "create the schema that search_path names"),
    ("40", ErrorKind::Unavailable, "another transaction was in the way; try again"),
    ("42501", ErrorKind::Config, "grant the store's user what it needs"),
    ("53100", ErrorKind::Unavailable, "the server's disk is full; free some space"),
    ("53300", ErrorKind::Unavailable, "the server has no connection left; raise max_connections"),
    ("53", ErrorKind::Unavailable, "the server is short of resources"),
    ("55P03", ErrorKind::Unavailable, "another transaction holds the lock; try again"),
    ("57014", ErrorKind::Timeout, "the statement took too long; check its plan and the server's load"),
    ("57P0", ErrorKind::Unavailable, "the server ended the connection; try again"),
    ("58", ErrorKind::Unavailable, "check the server's disk"),
];

#[allow(clippy::needless_pass_by_value, reason = "ends chains of `map_err`")]
pub(super) fn of_statement(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(answer) => of_answer(&**answer),
        sqlx::Error::Tls(_) => failure::of_statement(&error, Some((ErrorKind::Config, TLS_HINT))),
        // What rustls refuses arrives so.
        sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => {
            failure::of_statement(&error, Some((ErrorKind::Config, TLS_HINT)))
        }
        sqlx::Error::Io(_) => failure::of_statement(&error, Some((ErrorKind::Unavailable, LOST_HINT))),
        _ => failure::of_statement(&error, None),
    }
}

const TLS_HINT: &str = "check the server's certificate and its host name; give a private CA with the store's TLS \
                        configuration, or, in a network that is trusted, `sslmode=disable` in its URL";

const LOST_HINT: &str = "check that the server runs and can be reached at the store's URL";

fn of_answer(answer: &dyn DatabaseError) -> Error {
    let code = answer.code().unwrap_or_default();
    let message = match &*code {
        // The messages of this class (data exceptions) quote the value.
        code if code.starts_with("22") => "a value was refused",
        _ => answer.message(),
    };
    let message = format!("the store: {message} (SQLSTATE {code})");
    let error = match meaning(&code) {
        Some((kind, hint)) => Error::new(kind, Effect::Rejected, message).with_hint(hint),
        None => Error::new(ErrorKind::Unexpected, Effect::Rejected, message),
    };
    error.with_code(code)
}

fn meaning(code: &str) -> Option<Meaning> {
    let known = KINDS.iter().find(|(start, ..)| code.starts_with(start));
    known.map(|(_, kind, hint)| (*kind, *hint))
}
