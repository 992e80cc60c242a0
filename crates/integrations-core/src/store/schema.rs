//! The versions of the tables.

use super::dialect::Dialect;
use super::tx::Tx;
use crate::error::{Error, Result};

/// The tables of one part of the program.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "written as a constant by each part")]
pub struct Module {
    /// The part's name; never changes.
    pub name: &'static str,
    /// The statements that lead from version `i` to `i + 1`. Only ever appended to.
    pub steps: &'static [&'static [&'static str]],
}

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS store_modules (name TEXT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)";

/// Held to the end of the transaction by whoever migrates this schema. PostgreSQL's `CREATE TABLE IF NOT EXISTS` by
/// two at once fails in one of them.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1769108596, hashtext(current_schema()::text))";

pub(super) async fn migrate(tx: &mut Tx, module: &Module) -> Result<()> {
    if tx.dialect() == Dialect::Postgres {
        tx.execute(LOCK, &[]).await?;
    }
    tx.execute(TABLE, &[]).await?;
    let rows = tx.query("SELECT version FROM store_modules WHERE name = $1", &[module.name.into()]).await?;
    let found = rows.first().map_or(Ok(0), |row| row.integer(0))?;
    let Some(steps) = usize::try_from(found).ok().and_then(|done| module.steps.get(done..)) else {
        return Err(newer(module, found));
    };
    if steps.is_empty() {
        return Ok(());
    }
    for step in steps {
        for statement in *step {
            tx.execute(statement, &[]).await?;
        }
    }
    let version = i64::try_from(module.steps.len()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO store_modules (name, version) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET version = excluded.version";
    tx.execute(sql, &[module.name.into(), version.into()]).await?;
    Ok(())
}

fn newer(module: &Module, found: i64) -> Error {
    let (name, known) = (module.name, module.steps.len());
    Error::config(format!("the store's `{name}` tables have version {found}; this build knows up to {known}"))
        .with_hint("run the newer build that wrote them, or give this one a store of its own")
}
