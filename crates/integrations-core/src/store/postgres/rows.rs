//! Values on their way into PostgreSQL and back.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgConnection, PgRow, PgTypeInfo, Postgres};
use sqlx::{Decode, Encode, Row as _, Type, TypeInfo as _, ValueRef as _};

use super::super::failure::undecodable;
use super::super::value::{Param, Row};
use super::failure;
use crate::error::Result;

/// Without parameters these may be several statements, as in SQLite.
pub(in super::super) async fn execute(
    connection: &mut PgConnection,
    sql: &'static str,
    params: &[Param],
) -> Result<u64> {
    let done = if params.is_empty() {
        sqlx::raw_sql(sql).execute(connection).await
    } else {
        bound(sql, params).execute(connection).await
    };
    done.map(|done| done.rows_affected()).map_err(failure::of_statement)
}

pub(in super::super) async fn query(
    connection: &mut PgConnection,
    sql: &'static str,
    params: &[Param],
) -> Result<Vec<Row>> {
    let rows = bound(sql, params).fetch_all(connection).await.map_err(failure::of_statement)?;
    rows.iter().map(decode).collect()
}

fn bound(sql: &'static str, params: &[Param]) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    // A prepared statement keeps the types that it was prepared with. Those that the server found for a NULL need not
    // be ours: an INT4 column would refuse our eight bytes from then on.
    let keep = !params.contains(&Param::Null);
    params.iter().fold(sqlx::query(sql).persistent(keep), |query, param| match param {
        Param::Null => query.bind(Untyped),
        Param::Integer(value) => query.bind(*value),
        Param::Text(value) => query.bind(value.clone()),
        Param::Blob(value) => query.bind(value.to_vec()),
    })
}

/// `NULL` of whatever type the server finds to fit. A NULL of a stated type is refused by columns of others.
struct Untyped;

impl Type<Postgres> for Untyped {
    /// 0 leaves the type open (postgresql.org/docs/current/protocol-message-formats.html, Parse).
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(&self, _buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

fn decode(row: &PgRow) -> Result<Row> {
    (0..row.len()).map(|column| cell(row, column)).collect::<Result<_>>().map(Row)
}

fn cell(row: &PgRow, column: usize) -> Result<Param> {
    let value = row.try_get_raw(column).map_err(failure::of_statement)?;
    if value.is_null() {
        return Ok(Param::Null);
    }
    let kind = value.type_info().name().to_owned();
    match kind.as_str() {
        "INT8" | "INT4" | "INT2" => <i64 as Decode<Postgres>>::decode(value).map(Param::Integer),
        "BOOL" => <bool as Decode<Postgres>>::decode(value).map(Param::from),
        "TEXT" | "VARCHAR" => <String as Decode<Postgres>>::decode(value).map(Param::Text),
        "BYTEA" => <Vec<u8> as Decode<Postgres>>::decode(value).map(|bytes| Param::Blob(bytes.into())),
        other => Err(format!("its type `{other}` is not one of BIGINT, TEXT, BYTEA").into()),
    }
    .map_err(|e| undecodable(column, e))
}
