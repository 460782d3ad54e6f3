//! What is in a table, as one digest: tables with equal rows have equal digests, wherever the rows lie in
//! the file.

use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt;
use sea_orm::sqlx::{self, AssertSqlSafe};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use sha2::{Digest, Sha256};
use trivia_domain::StoreResult;

use super::copy::lines;
use super::files::hex;
use crate::error::translate;

/// The number of rows of a table, and the SHA-256 over them in the order of the primary key: each row is a line
/// with the SQL literals of its columns in their declared order, with commas between them.
pub(super) async fn digest(connection: &DatabaseConnection, path: &Path, table: &str) -> StoreResult<(u64, String)> {
    let columns = names(connection, path, table, "1 ORDER BY cid").await?;
    let mut key = names(connection, path, table, "pk > 0 ORDER BY pk").await?;
    if key.is_empty() {
        key.clone_from(&columns);
    }
    let literals: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
    let sql =
        format!("SELECT {} AS line FROM {} ORDER BY {}", literals.join(" || ',' || "), quoted(table), key.join(", "));
    let mut hash = Sha256::new();
    let mut rows = 0;
    // names come from the schema and are quoted
    let mut lines = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch(connection.get_sqlite_connection_pool());
    let failed = |error| translate(DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))), &path.display().to_string());
    while let Some(line) = lines.try_next().await.map_err(failed)? {
        hash.update(line.as_bytes());
        hash.update(b"\n");
        rows += 1;
    }
    Ok((rows, hex(&hash.finalize())))
}

/// Quoted names of columns of a table.
async fn names(connection: &DatabaseConnection, path: &Path, table: &str, which: &str) -> StoreResult<Vec<String>> {
    let table = table.replace('\'', "''");
    let sql = format!("SELECT name AS line FROM pragma_table_info('{table}') WHERE {which}");
    Ok(lines(connection, path, &sql).await?.iter().map(|name| quoted(name)).collect())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
