//! The words in which databases differ.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// Whose SQL it is. Statements are written in the part of SQL that all share; [`Dialect::render`] puts the rest into
/// each database's words:
///
/// | written | meaning |
/// |---|---|
/// | ` BLOB` | bytes, as the type of a column |
/// | `/* skip locked */` | rows that another transaction holds are passed over; the last word of a `SELECT` |
/// | `{now_ms}` | the store's present time in milliseconds since 1970, one value for the whole statement; anywhere in a statement but in a table's definition |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite 3.42 or newer: one writer at a time, so that rows need no locks.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// What is written, what SQLite says, and what PostgreSQL says.
///
/// A volatile function such as `clock_timestamp()` in a condition keeps PostgreSQL from using an index, and is called
/// again for each row; a sub-select is evaluated once.
const WORDS: [(&str, &str, &str); 3] = [
    (" BLOB", " BLOB", " BYTEA"),
    ("/* skip locked */", "/* skip locked */", "FOR UPDATE SKIP LOCKED"),
    (
        "{now_ms}",
        "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)",
        "(SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))",
    ),
];

type Rendered = HashMap<(Dialect, &'static str), &'static str>;

/// Statements are constants of the program: each is rendered once and stays.
static RENDERED: LazyLock<RwLock<Rendered>> = LazyLock::new(RwLock::default);

impl Dialect {
    /// A statement in this database's words. Each is kept for as long as the program runs: make no statements of
    /// values.
    ///
    /// ```
    /// use integrations_core::store::Dialect;
    /// let sql = "SELECT id FROM jobs WHERE due <= $1 ORDER BY due LIMIT 1 /* skip locked */";
    /// assert_eq!(Dialect::Sqlite.render(sql), sql);
    /// assert!(Dialect::Postgres.render(sql).ends_with("LIMIT 1 FOR UPDATE SKIP LOCKED"));
    /// ```
    pub fn render(self, sql: &'static str) -> &'static str {
        let known = RENDERED.read().unwrap_or_else(PoisonError::into_inner).get(&(self, sql)).copied();
        known.unwrap_or_else(|| {
            let mut rendered = RENDERED.write().unwrap_or_else(PoisonError::into_inner);
            rendered.entry((self, sql)).or_insert_with(|| self.translated(sql).leak())
        })
    }

    fn translated(self, sql: &str) -> String {
        WORDS.iter().fold(sql.to_owned(), |sql, (written, sqlite, postgres)| {
            sql.replace(written, if self == Self::Sqlite { sqlite } else { postgres })
        })
    }
}
