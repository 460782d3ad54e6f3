//! Connections of their own for copying a database and for looking into a copy.

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, FromQueryResult, Statement};
use trivia_domain::model::RowCounts;
use trivia_domain::{StoreError, StoreResult};

use super::files::corrupt;
use crate::database::row_counts;
use crate::error::translate;
use crate::schema;

/// Findings about one copy that are reported.
const MOST_PROBLEMS: u32 = 20;

/// What is in a copy.
pub(super) struct Contents {
    pub(super) schema_version: String,
    pub(super) rows: RowCounts,
    /// What integrity and foreign keys look like; empty when all is well.
    pub(super) problems: Vec<String>,
}

/// A connection to a database that others may use. The caller closes it.
pub(super) async fn connect_live(path: &Path, busy_timeout: Duration) -> StoreResult<DatabaseConnection> {
    connect(path, move |sqlite| sqlite.busy_timeout(busy_timeout)).await
}

/// As [`connect_live`], and empties the write-ahead log and removes it. `Busy` when anybody else has
/// the database open.
pub(super) async fn connect_alone(path: &Path, busy_timeout: Duration) -> StoreResult<DatabaseConnection> {
    connect(path, move |sqlite| sqlite.busy_timeout(busy_timeout).journal_mode(SqliteJournalMode::Delete)).await
}

async fn connect(
    path: &Path,
    options: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> StoreResult<DatabaseConnection> {
    let file = path.to_owned();
    let mut connect = ConnectOptions::new("sqlite:");
    connect
        .max_connections(1)
        .min_connections(1)
        // one and the same connection from beginning to end, however long it takes
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&file)
                .create_if_missing(false)
                .pragma("trusted_schema", "OFF")
                .pragma("cell_size_check", "ON")
                .pragma("mmap_size", "0");
            options(sqlite)
        });
    Database::connect(connect).await.map_err(|error| translate(error, &path.display().to_string()))
}

/// Closes a connection after its work, whatever came of it.
pub(super) async fn close<T>(connection: DatabaseConnection, result: StoreResult<T>) -> StoreResult<T> {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection was not closed properly");
    }
    result
}

/// Copies one moment of a database into an empty file, while others read and write.
pub(super) async fn vacuum_into(source: &DatabaseConnection, name: &Path, target: &Path) -> StoreResult<()> {
    let Some(file) = target.to_str() else {
        return Err(StoreError::invalid("backup directory", format!("{} is not UTF-8", target.display())));
    };
    let statement = Statement::from_sql_and_values(source.get_database_backend(), "VACUUM INTO ?", [file.into()]);
    source.execute_raw(statement).await.map(drop).map_err(|error| {
        // a full disk or a missing permission is that of the target: the source is only read
        match translate(error, &name.display().to_string()) {
            StoreError::DiskFull { .. } => StoreError::DiskFull { what: file.to_owned() },
            StoreError::ReadOnly { reason, .. } => StoreError::ReadOnly { what: file.to_owned(), reason },
            other => other,
        }
    })
}

/// Reads a copy that nobody writes to; leaves nothing beside it.
pub(super) async fn examine(path: &Path) -> StoreResult<Contents> {
    let connection = connect(path, |sqlite| sqlite.read_only(true).immutable(true)).await?;
    let contents = contents(&connection).await.map_err(|error| match error {
        StoreError::Corrupt { reason, .. } => corrupt(path, &reason),
        other => other,
    });
    close(connection, contents).await
}

async fn contents(connection: &DatabaseConnection) -> StoreResult<Contents> {
    let pages = format!("SELECT integrity_check AS line FROM pragma_integrity_check LIMIT {MOST_PROBLEMS}");
    let mut problems: Vec<String> = lines(connection, &pages).await?;
    problems.retain(|line| line != "ok");
    if problems.is_empty() {
        // rows of a damaged file cannot be trusted any further
        let keys = format!(
            "SELECT 'row ' || COALESCE(rowid, '?') || ' of ' || \"table\" || ' refers to a row of ' || parent \
             || ' that does not exist' AS line FROM pragma_foreign_key_check LIMIT {MOST_PROBLEMS}"
        );
        problems = lines(connection, &keys).await?;
    }
    Ok(Contents { schema_version: schema::version(connection).await?, rows: row_counts(connection).await?, problems })
}

/// The column `line` of every row.
pub(super) async fn lines(connection: &DatabaseConnection, sql: &str) -> StoreResult<Vec<String>> {
    #[derive(FromQueryResult)]
    struct Row {
        line: String,
    }
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = Row::find_by_statement(statement).all(connection).await;
    let rows = rows.map_err(|error| translate(error, "the database"))?;
    Ok(rows.into_iter().map(|row| row.line).collect())
}
