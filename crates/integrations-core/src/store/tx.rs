//! Statements inside a transaction.

use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{Decode, Row as _, TypeInfo as _, ValueRef as _};

use super::dialect::Dialect;
use super::failure;
use super::value::{Param, Row};
use crate::error::{Effect, Error, ErrorKind, Result};

/// A job's view of the transaction. Placeholders are `$1`, `$2`, and so on, once each and in order.
#[derive(Debug)]
pub struct Tx {
    pub(super) connection: SqliteConnection,
    /// The job's first failed statement. As in PostgreSQL, nothing more can be done then.
    pub(super) failed: Option<Error>,
}

impl Tx {
    /// Whose SQL it is.
    pub fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    /// Runs a statement; gives the number of rows it changed. After an error the job cannot go on: every later
    /// statement gives the same error, and nothing of the job is kept. Expect conflicts with `ON CONFLICT`.
    pub async fn execute(&mut self, sql: &'static str, params: &[Param]) -> Result<u64> {
        self.usable()?;
        let done = bound(sql, params).execute(&mut self.connection).await;
        self.note(done.map(|done| done.rows_affected()).map_err(failure::of_statement))
    }

    /// Runs a query, or a statement with `RETURNING`; gives its rows. Errors as with [`Tx::execute`].
    pub async fn query(&mut self, sql: &'static str, params: &[Param]) -> Result<Vec<Row>> {
        self.usable()?;
        let rows = query(&mut self.connection, sql, params).await;
        self.note(rows)
    }

    pub(super) fn usable(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        self.failed = result.as_ref().err().cloned();
        result
    }
}

/// Runs a query outside a job.
pub(super) async fn query(
    connection: &mut SqliteConnection,
    sql: &'static str,
    params: &[Param],
) -> Result<Vec<Row>> {
    let rows = bound(sql, params).fetch_all(connection).await.map_err(failure::of_statement)?;
    rows.iter().map(decode).collect()
}

fn bound(
    sql: &'static str,
    params: &[Param],
) -> sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments> {
    params.iter().fold(sqlx::query(sql), |query, param| match param {
        Param::Null => query.bind(None::<i64>),
        Param::Integer(value) => query.bind(*value),
        Param::Text(value) => query.bind(value.clone()),
        Param::Blob(value) => query.bind(value.to_vec()),
    })
}

fn decode(row: &SqliteRow) -> Result<Row> {
    (0..row.len()).map(|column| cell(row, column)).collect::<Result<_>>().map(Row)
}

fn cell(row: &SqliteRow, column: usize) -> Result<Param> {
    let value = row.try_get_raw(column).map_err(failure::of_statement)?;
    if value.is_null() {
        return Ok(Param::Null);
    }
    let kind = value.type_info().name().to_owned();
    match kind.as_str() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(value).map(Param::Integer),
        "TEXT" => <String as Decode<Sqlite>>::decode(value).map(Param::Text),
        "BLOB" => <Vec<u8> as Decode<Sqlite>>::decode(value).map(|bytes| Param::Blob(bytes.into())),
        other => Err(format!("its type `{other}` is not one of BIGINT, TEXT, BLOB").into()),
    }
    .map_err(|e| {
        Error::new(ErrorKind::Decode, Effect::NotSent, format!("column {column} of a stored row: {e}"))
    })
}
