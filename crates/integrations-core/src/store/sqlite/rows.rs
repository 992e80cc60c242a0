//! Values on their way into SQLite and back.

use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{Decode, Row as _, TypeInfo as _, ValueRef as _};

use super::super::failure::undecodable;
use super::super::value::{Param, Row};
use super::failure;
use crate::error::Result;

pub(in super::super) async fn execute(
    connection: &mut SqliteConnection,
    sql: &'static str,
    params: &[Param],
) -> Result<u64> {
    let done = bound(sql, params).execute(connection).await;
    done.map(|done| done.rows_affected()).map_err(failure::of_statement)
}

pub(in super::super) async fn query(
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
    .map_err(|e| undecodable(column, e))
}
