//! Opening connections: files, modes, pragmas.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use trivia_domain::{StoreError, StoreResult};

#[cfg(feature = "postgres")]
use super::server;
use super::shortage::translated;
use super::{DatabaseOptions, Durability, Line, keep_log};
use crate::error::{During, is_shortage};

/// Refuses a database file that is not there; a missing permission is another error.
pub(super) fn require(options: &DatabaseOptions) -> StoreResult<()> {
    let Some(path) = options.url.file() else { return Ok(()) };
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::missing("database", path.display())),
        Err(error) => Err(StoreError::ReadOnly { what: path.display().to_string(), reason: error.to_string() }),
    }
}

/// Makes the directory (0700) and the file (0600) when they are missing; SQLite passes the mode on
/// to its `-wal` and `-shm` files.
fn create_file(path: &Path) -> StoreResult<()> {
    let failed = |error: std::io::Error| {
        let (what, reason) = (path.display().to_string(), error.to_string());
        if is_shortage(error.kind()) {
            StoreError::DiskFull { what, reason }
        } else {
            StoreError::ReadOnly { what, reason }
        }
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    }
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// One connection that makes the file when it is missing and may change the schema.
pub(crate) async fn connect_or_create(options: &DatabaseOptions) -> StoreResult<DatabaseConnection> {
    if let Some(file) = options.url.file() {
        create_file(file)?;
    }
    Line::open(options).await?.pool(options, 1, Access::Schema).await
}

/// One connection to a file that is there; opening it changes nothing in it.
pub(crate) async fn connect_existing(options: &DatabaseOptions) -> StoreResult<DatabaseConnection> {
    Line::open(options).await?.pool(options, 1, Access::AsItIs).await
}

/// What connections are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Queries only.
    Read,
    /// Everything, with a write-ahead log.
    Write,
    /// The same, for as long as it takes.
    Schema,
    /// Everything, with the journal that the file has: setting one would write to an empty file.
    AsItIs,
}

/// A pool of `size` connections to a file that is there.
pub(super) async fn connect(options: &DatabaseOptions, size: u32, access: Access) -> StoreResult<DatabaseConnection> {
    let path = options.url.path().to_owned();
    keep_log(&path);
    let busy_timeout = options.busy_timeout;
    let synchronous = match options.durability {
        Durability::Full => SqliteSynchronous::Full,
        Durability::Normal => SqliteSynchronous::Normal,
    };
    let mut connect = ConnectOptions::new("sqlite:");
    connect
        .max_connections(size)
        .min_connections(size)
        .acquire_timeout(busy_timeout + Duration::from_secs(25))
        // a connection to a file does not go stale: a ping before each use would cost more than the query
        .test_before_acquire(false)
        .sqlx_logging(options.log_statements)
        .map_sqlx_sqlite_pool_opts(|pool| pool.after_release(|connection, _| Box::pin(is_usable(connection))))
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&path)
                .create_if_missing(false)
                .busy_timeout(busy_timeout)
                .foreign_keys(true)
                .synchronous(synchronous)
                .statement_cache_capacity(256)
                .pragma("cache_size", "-16000")
                .pragma("temp_store", "MEMORY")
                .pragma("trusted_schema", "OFF")
                .pragma("cell_size_check", "ON")
                // an I/O error on a mapped page would be a SIGBUS
                .pragma("mmap_size", "0")
                .pragma("wal_autocheckpoint", "4000");
            match access {
                Access::Read => sqlite.pragma("query_only", "ON"),
                Access::Write | Access::Schema => sqlite.journal_mode(SqliteJournalMode::Wal),
                Access::AsItIs => sqlite,
            }
        });
    match sea_orm::Database::connect(connect).await {
        Ok(connection) => Ok(connection),
        Err(error) => Err(translated(error, &options.url).await),
    }
}

/// Whether a connection may go back to the pool. SQLite ends a transaction by itself after some errors, such as
/// a full disk; the driver still counts it then, and would begin the next one inside of it.
async fn is_usable(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // a rollback may be on its way
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Refuses to start with other guarantees than those that were asked for.
pub(crate) async fn verify_settings(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<()> {
    #[cfg(feature = "postgres")]
    if options.url.server().is_some() {
        return server::verify(connection, options).await;
    }
    let synchronous = match options.durability {
        Durability::Full => "2",
        Durability::Normal => "1",
    };
    for (name, wanted) in [("journal_mode", "wal"), ("synchronous", synchronous), ("foreign_keys", "1")] {
        let found = pragma(connection, name).await?;
        if found != wanted {
            let reason = format!("PRAGMA {name} is {found}, {wanted} is needed");
            return Err(StoreError::Incompatible { what: options.url.name(), reason });
        }
    }
    Ok(())
}

/// The value of a pragma as text.
pub(crate) async fn pragma(connection: &impl ConnectionTrait, name: &'static str) -> StoreResult<String> {
    let sql = format!("SELECT CAST({name} AS TEXT) AS value FROM pragma_{name}");
    let row = connection
        .query_one_raw(Statement::from_string(connection.get_database_backend(), sql))
        .await
        .during("reading a pragma")?;
    row.map_or_else(|| Ok(String::new()), |row| row.try_get("", "value").during("reading a pragma"))
}
