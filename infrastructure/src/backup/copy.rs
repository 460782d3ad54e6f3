//! Connections of their own to a database and to copies of it, and the copying.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, FromQueryResult, RuntimeErr, Statement};
use trivia_domain::{StoreError, StoreResult};

use super::files::{corrupt, failed};
use crate::database::{DatabaseUrl, explain, keep_log, translated};
use crate::error::translate;

/// Makes SQLite look at every cell of a page whenever it loads one.
const CELL_SIZES: &str = "cell_size_check";

/// Steps of SQLite between two looks at how many are left.
const STRIDE: i32 = 1000;

/// A connection to a database that others may use. The caller closes it.
pub(super) async fn connect_live(path: &Path, busy_timeout: Duration) -> StoreResult<DatabaseConnection> {
    match fs::metadata(path) {
        // SQLite would take the file for a new database and delete its write-ahead log
        Ok(file) if file.len() == 0 => return Err(corrupt(path, "it is empty")),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::missing("database", path.display()));
        }
        Err(error) => return Err(failed(path)(error)),
    }
    keep_log(path);
    connect(path, SqliteConnectOptions::new().busy_timeout(busy_timeout).pragma(CELL_SIZES, "ON")).await
}

/// Opens a file without reading it. SeaORM's own `connect` reads, and when that fails it closes the
/// connection at some later time: nobody could tell then whether its locks are gone.
async fn connect(path: &Path, options: SqliteConnectOptions) -> StoreResult<DatabaseConnection> {
    open(path, options, SqlitePoolOptions::new()).await
}

async fn open(path: &Path, options: SqliteConnectOptions, pool: SqlitePoolOptions) -> StoreResult<DatabaseConnection> {
    let options =
        options.filename(path).create_if_missing(false).pragma("trusted_schema", "OFF").disable_statement_logging();
    // one and the same connection from beginning to end, however long it takes
    let pool = pool.max_connections(1).max_lifetime(None).idle_timeout(None);
    let pool = pool.test_before_acquire(false).connect_with(options).await;
    let pool = pool
        .map_err(|error| translate(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))), &path.display().to_string()))?;
    Ok(pool.into())
}

/// Closes a connection after its work, whatever came of it.
pub(super) async fn close<T>(connection: DatabaseConnection, result: StoreResult<T>) -> StoreResult<T> {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection was not closed properly");
    }
    result
}

/// Folds the log of a copy that is ours alone into its file.
pub(super) async fn fold_log(copy: &Path) -> StoreResult<()> {
    let connection = connect_live(copy, Duration::ZERO).await?;
    let folded = connection.execute_unprepared("PRAGMA journal_mode = DELETE").await;
    let folded = match folded {
        Ok(_) => Ok(()),
        Err(error) => Err(translated(error, &DatabaseUrl::of_file(copy)).await),
    };
    close(connection, folded).await
}

/// Copies one moment of a database into an empty file, while others read and write.
pub(super) async fn vacuum_into(source: &DatabaseConnection, name: &Path, target: &Path) -> StoreResult<()> {
    let Some(file) = target.to_str() else {
        return Err(StoreError::invalid("backup directory", format!("{} is not UTF-8", target.display())));
    };
    let statement = Statement::from_sql_and_values(source.get_database_backend(), "VACUUM INTO ?", [file.into()]);
    let Err(error) = source.execute_raw(statement).await else { return Ok(()) };
    // it leaves nothing to measure a limit on files by, but what it copies is as large
    let error = explain(explain(error, target).await, name).await;
    // a full disk or a missing permission is that of the target: the source is only read
    Err(match translate(error, &name.display().to_string()) {
        StoreError::DiskFull { reason, .. } => StoreError::DiskFull { what: file.to_owned(), reason },
        StoreError::ReadOnly { reason, .. } => StoreError::ReadOnly { what: file.to_owned(), reason },
        other => other,
    })
}

/// A connection to a copy that nobody writes to; it leaves nothing beside it. The caller closes it.
pub(super) async fn connect_copy(path: &Path) -> StoreResult<DatabaseConnection> {
    connect(path, unchanging().pragma(CELL_SIZES, "ON")).await
}

/// The same to look at everything: the integrity check looks at every cell itself, and at the pages of indexes
/// in random order.
pub(super) async fn connect_whole(path: &Path) -> StoreResult<DatabaseConnection> {
    connect(path, unchanging().pragma("cache_size", "-64000")).await
}

/// A connection to a copy of our own of a file that a stranger wrote. Its statements may take this many steps of
/// SQLite together; then it is `Corrupt`. The caller closes it.
pub(super) async fn connect_foreign(path: &Path, write: bool, steps: u64) -> StoreResult<DatabaseConnection> {
    let options = if write { SqliteConnectOptions::new() } else { unchanging() };
    let pool = SqlitePoolOptions::new().after_connect(move |connection, _| {
        Box::pin(async move {
            // no statement before this one reads the schema, which may be endless itself
            let mut left = steps / u64::from(STRIDE.unsigned_abs());
            connection.lock_handle().await?.set_progress_handler(STRIDE, move || {
                left = left.saturating_sub(1);
                left > 0
            });
            Ok(())
        })
    });
    open(path, options.pragma(CELL_SIZES, "ON"), pool).await
}

fn unchanging() -> SqliteConnectOptions {
    SqliteConnectOptions::new().read_only(true).immutable(true)
}

/// The column `line` of every row.
pub(super) async fn lines(connection: &DatabaseConnection, path: &Path, sql: &str) -> StoreResult<Vec<String>> {
    #[derive(FromQueryResult)]
    struct Row {
        line: String,
    }
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = Row::find_by_statement(statement).all(connection).await;
    let rows = rows.map_err(|error| translate(error, &path.display().to_string()))?;
    Ok(rows.into_iter().map(|row| row.line).collect())
}
