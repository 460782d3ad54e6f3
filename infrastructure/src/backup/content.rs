//! What is in a copy: whether it is sound, and a digest of each table. Tables with equal rows have equal digests,
//! wherever the rows lie in the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt;
use sea_orm::sqlx::{self, AssertSqlSafe};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use sha2::{Digest, Sha256};
use trivia_domain::model::{BackupManifest, LedgerHead, RowCounts};
use trivia_domain::{StoreError, StoreResult};

use super::copy::{close, connect_whole, lines};
use super::files::{corrupt, hex};
use crate::database::tables;
use crate::dialect;
use crate::error::translate;
use crate::repository::rules;
use crate::schema;

/// Findings about one copy that are reported.
const MOST_PROBLEMS: u32 = 20;
/// The table of facts.
const LEDGER: &str = "ledger";

/// What is in a copy.
pub(super) struct Contents {
    pub(super) schema_version: String,
    pub(super) rows: RowCounts,
    /// Digest of the rows of each table.
    pub(super) content: BTreeMap<String, String>,
    pub(super) ledger: Option<LedgerHead>,
    /// What integrity and foreign keys look like; empty when all is well.
    pub(super) problems: Vec<String>,
}

/// Looks at everything in a copy that nobody writes to.
pub(super) async fn examine(path: &Path) -> StoreResult<Contents> {
    let connection = connect_whole(path).await?;
    let contents = async {
        dialect::require_text(&connection).await?;
        let problems = problems(&connection, path).await?;
        Ok(Contents { problems, ..contents(&connection, path).await? })
    };
    let contents = contents.await;
    let contents = close(connection, contents).await;
    contents.map_err(|error| match error {
        StoreError::Corrupt { reason, .. } => corrupt(path, &reason),
        other => other,
    })
}

/// What integrity and foreign keys look like; rows of a damaged file cannot be trusted any further.
async fn problems(connection: &DatabaseConnection, path: &Path) -> StoreResult<Vec<String>> {
    let pages = format!("SELECT integrity_check AS line FROM pragma_integrity_check LIMIT {MOST_PROBLEMS}");
    let mut problems: Vec<String> = lines(connection, path, &pages).await?;
    problems.retain(|line| line != "ok");
    if problems.is_empty() {
        let keys = format!(
            "SELECT 'row ' || COALESCE(rowid, '?') || ' of ' || \"table\" || ' refers to a row of ' || parent \
             || ' that does not exist' AS line FROM pragma_foreign_key_check LIMIT {MOST_PROBLEMS}"
        );
        problems = lines(connection, path, &keys).await?;
    }
    Ok(problems)
}

async fn contents(connection: &DatabaseConnection, path: &Path) -> StoreResult<Contents> {
    let (mut rows, mut content) = (RowCounts::new(), BTreeMap::new());
    for table in tables(connection).await? {
        let (number, digest) = digest(connection, path, &table).await?;
        rows.insert(table.clone(), number);
        content.insert(table, digest);
    }
    let schema_version = schema::version(connection).await?;
    let ledger = match rows.get(LEDGER) {
        Some(facts) => Some(LedgerHead { facts: *facts, newest: rules::newest_fact(connection).await? }),
        None => None,
    };
    Ok(Contents { schema_version, rows, content, ledger, problems: Vec::new() })
}

/// The number of rows of a table, and the SHA-256 over them in the order of the primary key: each row is a line
/// with the SQL literals of its columns in their declared order, with commas between them.
async fn digest(connection: &DatabaseConnection, path: &Path, table: &str) -> StoreResult<(u64, String)> {
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

/// What is in a copy against what its manifest says.
pub(super) fn differences(contents: Contents, manifest: &BackupManifest) -> Vec<String> {
    let Contents { schema_version, rows, content, ledger, mut problems } = contents;
    if schema_version != manifest.schema_version {
        problems.push(format!("its schema is at {schema_version:?}, the manifest says {:?}", manifest.schema_version));
    }
    for (table, expected) in &manifest.rows {
        match rows.get(table) {
            None => problems.push(format!("table {table} is missing")),
            Some(found) if found != expected => {
                problems.push(format!("table {table} has {found} rows, the manifest says {expected}"));
            }
            Some(_) => {}
        }
    }
    for (table, expected) in &manifest.content {
        if content.get(table).is_some_and(|found| found != expected) {
            problems.push(format!("table {table} has other rows than the manifest says"));
        }
    }
    if let (Some(expected), Some(found)) = (manifest.ledger, ledger)
        && expected != found
    {
        problems.push("the ledger ends elsewhere than the manifest says".to_owned());
    }
    for table in rows.keys().filter(|table| !manifest.rows.contains_key(*table)) {
        problems.push(format!("table {table} is not in the manifest"));
    }
    problems
}
