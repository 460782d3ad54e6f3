//! What the engine says about itself and about what it keeps.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};
use trivia_domain::{StoreError, StoreResult};

use super::connect::pragma;
use crate::dialect::tables;
use crate::error::During;

/// How findings about pages begin.
pub(super) const PAGES: &str = "pages: ";

/// Figures of an engine.
pub(super) struct Engine {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) free_pages: u64,
    /// Bytes of the pages that are free.
    pub(super) unused: u64,
    pub(super) journal_mode: String,
    pub(super) synchronous_mode: i64,
    pub(super) cache_size: i64,
}

impl Engine {
    pub(super) async fn read(connection: &impl ConnectionTrait) -> StoreResult<Self> {
        match connection.get_database_backend() {
            DbBackend::Sqlite => Self::of_file(connection).await,
            _ => Self::of_server(connection).await,
        }
    }

    async fn of_file(connection: &impl ConnectionTrait) -> StoreResult<Self> {
        let row = one(connection, "SELECT 'SQLite ' || sqlite_version() AS name").await?;
        let page = number(connection, "page_size").await?;
        let free_pages = number(connection, "freelist_count").await?;
        Ok(Self {
            name: row.try_get("", "name").during(ASKING)?,
            bytes: page * number(connection, "page_count").await?,
            free_pages,
            unused: page * free_pages,
            journal_mode: pragma(connection, "journal_mode").await?,
            synchronous_mode: pragma(connection, "synchronous").await?.parse().unwrap_or(-1),
            cache_size: pragma(connection, "cache_size").await?.parse().unwrap_or(0),
        })
    }

    async fn of_server(connection: &impl ConnectionTrait) -> StoreResult<Self> {
        let sql = "SELECT 'PostgreSQL ' || current_setting('server_version') AS name, \
                   pg_database_size(current_database()) AS bytes, \
                   current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' AS is_durable";
        let row = one(connection, sql).await?;
        let bytes: i64 = row.try_get("", "bytes").during(ASKING)?;
        let is_durable: bool = row.try_get("", "is_durable").during(ASKING)?;
        Ok(Self {
            name: row.try_get("", "name").during(ASKING)?,
            bytes: u64::try_from(bytes).unwrap_or(0),
            free_pages: 0,
            unused: 0,
            journal_mode: "wal".to_owned(),
            synchronous_mode: if is_durable { 2 } else { 1 },
            cache_size: 0,
        })
    }
}

const ASKING: &str = "asking the engine";
const READING: &str = "reading a table";
/// Pages of a server's table that are read by one statement: it must not take as long as one that has gone wrong.
const PAGES_AT_ONCE: i64 = 4096;

async fn one(connection: &impl ConnectionTrait, sql: &str) -> StoreResult<QueryResult> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.during(ASKING)?;
    row.ok_or_else(|| StoreError::backend(ASKING, "it says nothing"))
}

async fn number(connection: &impl ConnectionTrait, name: &'static str) -> StoreResult<u64> {
    Ok(pragma(connection, name).await?.parse().unwrap_or(0))
}

/// Whether the database answers.
pub(super) async fn ping(connection: &impl ConnectionTrait) -> StoreResult<()> {
    match connection.get_database_backend() {
        DbBackend::Sqlite => pragma(connection, "schema_version").await.map(drop),
        _ => one(connection, "SELECT 1 AS alive").await.map(drop),
    }
}

/// What the engine itself finds wrong; of each kind at most so many. Rows of damaged pages are not looked at any
/// further.
pub(super) async fn problems(connection: &impl ConnectionTrait, most: usize) -> StoreResult<Vec<String>> {
    if connection.get_database_backend() != DbBackend::Sqlite {
        return problems_of_a_server(connection).await;
    }
    let mut problems = Vec::new();
    match pages(connection, &most.to_string()).await {
        Ok(found) => problems.extend(found),
        // SQLite gives up at the first page that it cannot read: go on table by table
        Err(StoreError::Corrupt { .. }) => {
            for table in tables(connection).await? {
                match pages(connection, &format!("\"{}\"", table.replace('"', "\"\""))).await {
                    Ok(found) => problems.extend(found),
                    Err(StoreError::Corrupt { .. }) => problems.push(format!("{PAGES}table {table} cannot be read")),
                    Err(error) => return Err(error),
                }
            }
            if problems.is_empty() {
                problems.push(format!("{PAGES}the file is damaged outside of its tables"));
            }
        }
        Err(error) => return Err(error),
    }
    if problems.is_empty() {
        for line in lines(connection, "PRAGMA foreign_key_check", &["table", "rowid", "parent"]).await? {
            problems.push(format!("foreign key: {line}"));
        }
    }
    Ok(problems)
}

/// What SQLite's own check finds; `what` is a most number of findings or one table.
async fn pages(connection: &impl ConnectionTrait, what: &str) -> StoreResult<Vec<String>> {
    let found = lines(connection, &format!("PRAGMA integrity_check({what})"), &["integrity_check"]).await?;
    Ok(found.into_iter().filter(|line| line != "ok").map(|line| format!("{PAGES}{line}")).collect())
}

/// A server keeps its constraints; what it cannot promise is an index or a constraint that somebody left half made,
/// and pages, which it looks at when a row on them is wanted.
async fn problems_of_a_server(connection: &impl ConnectionTrait) -> StoreResult<Vec<String>> {
    let sql = "SELECT 'index ' || relname || ' is not whole' AS problem FROM pg_index \
               JOIN pg_class ON pg_class.oid = indexrelid \
               WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace \
               UNION ALL SELECT 'constraint ' || conname || ' was not checked' FROM pg_constraint \
               WHERE NOT convalidated AND connamespace = current_schema()::regnamespace \
               UNION ALL SELECT checksum_failures || ' pages had wrong checksums' FROM pg_stat_database \
               WHERE datname = current_database() AND checksum_failures > 0";
    let mut problems = lines(connection, sql, &["problem"]).await?;
    for table in tables(connection).await? {
        match read_all(connection, &format!("\"{}\"", table.replace('"', "\"\""))).await {
            Ok(()) => {}
            Err(StoreError::Corrupt { reason, .. }) => {
                problems.push(format!("{PAGES}table {table} cannot be read: {reason}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(problems)
}

/// Reads each value of each row, page by page.
async fn read_all(connection: &impl ConnectionTrait, table: &str) -> StoreResult<()> {
    let backend = connection.get_database_backend();
    let size = "SELECT pg_relation_size(CAST($1 AS regclass)) / CAST(current_setting('block_size') AS bigint) AS pages";
    let size = Statement::from_sql_and_values(backend, size, [table.into()]);
    let size = connection.query_one_raw(size).await.during(READING)?;
    let pages = size.map_or(Ok(0), |row| row.try_get::<i64>("", "pages")).during(READING)?;
    let mut first = 0;
    while first < pages {
        let next = first + PAGES_AT_ONCE;
        let read = format!(
            "SELECT COUNT(CAST(of_it.* AS TEXT)) FROM {table} of_it WHERE ctid >= '({first},0)' AND ctid < '({next},0)'"
        );
        connection.query_one_raw(Statement::from_string(backend, read)).await.during(READING)?;
        first = next;
    }
    Ok(())
}

/// The named columns of each row, as text.
pub(super) async fn lines(connection: &impl ConnectionTrait, sql: &str, columns: &[&str]) -> StoreResult<Vec<String>> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.during("checking")?;
    let line = |row: &QueryResult| {
        let values = columns.iter().map(|column| {
            let text = row.try_get::<Option<String>>("", column);
            text.or_else(|_| row.try_get::<Option<i64>>("", column).map(|number| number.map(|n| n.to_string())))
                .ok()
                .flatten()
                .unwrap_or_default()
        });
        values.collect::<Vec<_>>().join(", ")
    };
    Ok(rows.iter().map(line).collect())
}
