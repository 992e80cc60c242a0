//! The words in which databases differ.

use std::borrow::Cow;

/// Whose SQL it is. Statements are written so that SQLite takes them as they are; [`Dialect::render`] puts them into
/// another database's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite 3.35 or newer: one writer at a time, so that rows need no locks.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// What SQLite says, and what PostgreSQL says instead. The second is a comment to SQLite.
const POSTGRES: [(&str, &str); 2] = [(" BLOB", " BYTEA"), ("/* skip locked */", "FOR UPDATE SKIP LOCKED")];

impl Dialect {
    /// A statement in this database's words.
    ///
    /// ```
    /// use integrations_core::store::Dialect;
    /// let sql = "SELECT id FROM jobs WHERE due <= $1 ORDER BY due LIMIT 1 /* skip locked */";
    /// assert_eq!(Dialect::Sqlite.render(sql), sql);
    /// assert!(Dialect::Postgres.render(sql).ends_with("LIMIT 1 FOR UPDATE SKIP LOCKED"));
    /// ```
    pub fn render(self, sql: &'static str) -> Cow<'static, str> {
        match self {
            Self::Sqlite => Cow::Borrowed(sql),
            Self::Postgres => POSTGRES
                .iter()
                .fold(Cow::Borrowed(sql), |sql, (ours, theirs)| Cow::Owned(sql.replace(ours, theirs))),
        }
    }
}
