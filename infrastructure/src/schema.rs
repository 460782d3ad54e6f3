//! Versions of the schema: what is applied, what is missing, and how to get there.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde::{Deserialize, Serialize};
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::{Migrator, MigratorTrait};

use crate::database::{DatabaseOptions, connect_existing, connect_or_create, translated};
use crate::dialect;
use crate::error::During;
use crate::repository::projection;

/// Stands among the versions of a database that is only half of a game: no program opens it then.
const COPYING: &str = "copying";

/// Which migrations a database has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaStatus {
    /// Names of those that ran, oldest first.
    pub applied: Vec<String>,
    /// Names of those that this program has and the database has not.
    pub pending: Vec<String>,
}

/// Looks which migrations a database has.
///
/// # Errors
/// `Missing` when there is no file, `Incompatible` when the schema is newer than this program or
/// that of the original system, `Corrupt` when the file is no database.
pub async fn status(options: &DatabaseOptions) -> StoreResult<SchemaStatus> {
    let connection = connect_existing(options).await?;
    let status = read(&connection, options).await;
    close(connection, status).await
}

/// Whether a database has no table at all, of whomever.
///
/// # Errors
/// As [`status`].
pub async fn is_empty(options: &DatabaseOptions) -> StoreResult<bool> {
    let connection = connect_existing(options).await?;
    let tables = dialect::tables(&connection).await;
    close(connection, tables.map(|tables| tables.is_empty())).await
}

/// Applies the next `steps` migrations, or all; makes the directory and the file when missing.
/// Returns the names of those that ran. Each is one transaction.
///
/// # Errors
/// As [`status`], and `Busy` when another process migrates.
pub async fn up(options: &DatabaseOptions, steps: Option<u32>) -> StoreResult<Vec<String>> {
    let connection = connect_or_create(options).await?;
    let applied = change(&connection, options, async |status| {
        if let Err(error) = Migrator::up(&connection, steps).await {
            return Err(translated(error, &options.url).await);
        }
        let now = read(&connection, options).await?;
        Ok(now.applied.into_iter().skip(status.applied.len()).collect())
    })
    .await;
    close(connection, applied).await
}

/// Reverts the last `steps` migrations. Returns the names of those that were reverted, newest first.
///
/// # Errors
/// As [`status`], and `Busy` when another process migrates.
pub async fn down(options: &DatabaseOptions, steps: u32) -> StoreResult<Vec<String>> {
    let connection = connect_existing(options).await?;
    let reverted = change(&connection, options, async |status| {
        if status.pending.is_empty() {
            // an earlier schema cannot say whose facts wait
            projection::catch_up_alone(&connection).await?;
        }
        if let Err(error) = Migrator::down(&connection, Some(steps)).await {
            return Err(translated(error, &options.url).await);
        }
        let now = read(&connection, options).await?;
        Ok(status.applied.into_iter().skip(now.applied.len()).rev().collect())
    })
    .await;
    close(connection, reverted).await
}

/// Drops everything and applies all migrations. Returns their names.
///
/// # Errors
/// As [`status`], and `Busy` when another process migrates.
pub async fn fresh(options: &DatabaseOptions) -> StoreResult<Vec<String>> {
    let connection = connect_or_create(options).await?;
    let applied = change(&connection, options, async |_| {
        if let Err(error) = Migrator::fresh(&connection).await {
            return Err(translated(error, &options.url).await);
        }
        Ok(read(&connection, options).await?.applied)
    })
    .await;
    close(connection, applied).await
}

/// Refuses a database whose schema is not exactly that of this program.
pub(crate) async fn require_current(options: &DatabaseOptions) -> StoreResult<()> {
    let status = status(options).await?;
    if status.pending.is_empty() {
        return Ok(());
    }
    let reason = match status.applied.last() {
        Some(version) => format!("its schema is at {version}, {} behind this program", status.pending.len()),
        None => "it has no schema yet, `trivia-db init` makes one".to_owned(),
    };
    Err(StoreError::Incompatible { what: name(options), reason })
}

/// Name of the newest migration, by what is written in the database.
pub(crate) async fn version(connection: &impl ConnectionTrait) -> StoreResult<String> {
    Ok(applied(connection).await?.pop().unwrap_or_default())
}

/// Names of all migrations of this program, oldest first.
pub(crate) fn steps() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

fn name(options: &DatabaseOptions) -> String {
    options.url.name()
}

async fn close<T>(connection: DatabaseConnection, result: StoreResult<T>) -> StoreResult<T> {
    connection.close().await.during("closing a connection")?;
    result
}

/// Runs a change of the schema while no other process makes one: SeaORM has no lock of its own.
async fn change<T>(
    connection: &DatabaseConnection,
    options: &DatabaseOptions,
    work: impl AsyncFnOnce(SchemaStatus) -> StoreResult<T>,
) -> StoreResult<T> {
    let lock = lock(connection, options).await?;
    let status = read(connection, options).await?;
    let worked = work(status).await;
    drop(lock);
    worked
}

/// Keeps others from changing the schema, until the file is closed; on a server, until the connection is.
pub(crate) async fn lock(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<Option<File>> {
    match options.url.file() {
        Some(file) => lock_file(file, options).map(Some),
        None if dialect::lock_schema(connection).await? => Ok(None),
        None => Err(StoreError::Busy { what: name(options) }),
    }
}

/// Says that a database is only half of a game, or that it is whole now.
pub(crate) async fn mark(connection: &impl ConnectionTrait, is_half: bool) -> StoreResult<()> {
    let sql = if is_half {
        "INSERT INTO schema_version (version, applied_at) VALUES ($1, 0) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM schema_version WHERE version = $1"
    };
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [COPYING.into()]);
    connection.execute_raw(statement).await.during("noting that a copy is not complete").map(drop)
}

/// Which migrations a database has that may be half of a game, and whether it is.
pub(crate) async fn status_of_half(
    connection: &DatabaseConnection,
    options: &DatabaseOptions,
) -> StoreResult<(SchemaStatus, bool)> {
    let mut applied = recorded(connection, options).await?;
    let is_half = applied.iter().any(|version| version == COPYING);
    applied.retain(|version| version != COPYING);
    Ok((compare(applied, options)?, is_half))
}

/// Locks a file beside the database.
fn lock_file(database: &Path, options: &DatabaseOptions) -> StoreResult<File> {
    let mut path = database.as_os_str().to_owned();
    path.push(".migrate.lock");
    let path = PathBuf::from(path);
    let unusable =
        |error: std::io::Error| StoreError::ReadOnly { what: path.display().to_string(), reason: error.to_string() };
    // a file of its own: closing a descriptor of the database itself would drop SQLite's locks
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy { what: name(options) }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

async fn read(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<SchemaStatus> {
    compare(recorded(connection, options).await?, options)
}

/// The versions that are recorded, and errors that name the database.
async fn recorded(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<Vec<String>> {
    let applied = async {
        dialect::require_text(connection).await?;
        applied(connection).await
    };
    applied.await.map_err(|error| match error {
        StoreError::Busy { .. } => StoreError::Busy { what: name(options) },
        StoreError::Corrupt { reason, .. } => StoreError::Corrupt { what: name(options), reason },
        other => other,
    })
}

/// What the recorded versions are for this program.
fn compare(applied: Vec<String>, options: &DatabaseOptions) -> StoreResult<SchemaStatus> {
    let known = steps();
    if let Some(unknown) = applied.iter().find(|version| !known.contains(version)) {
        let reason = if unknown == COPYING {
            "a copy into it is not complete; `trivia-db copy` goes on with it".to_owned()
        } else if unknown.bytes().all(|byte| byte.is_ascii_digit()) {
            format!(
                "it is a version-{unknown} database of the original system, which `trivia-db adopt FILE --in-place` \
                 takes over"
            )
        } else {
            format!("its schema has {unknown}, which this program does not know")
        };
        return Err(StoreError::Incompatible { what: name(options), reason });
    }
    let pending = known.into_iter().filter(|version| !applied.contains(version)).collect();
    Ok(SchemaStatus { applied, pending })
}

/// The versions that are recorded; none without a version table.
async fn applied(connection: &impl ConnectionTrait) -> StoreResult<Vec<String>> {
    let query = |sql: &str| Statement::from_string(connection.get_database_backend(), sql);
    let action = "reading the schema version";
    if !dialect::has_table(connection, "schema_version", action).await? {
        return Ok(Vec::new());
    }
    let versions = "SELECT CAST(version AS TEXT) AS version FROM schema_version ORDER BY 1";
    let rows = connection.query_all_raw(query(versions)).await.during(action)?;
    rows.iter().map(|row| row.try_get("", "version").during(action)).collect()
}
