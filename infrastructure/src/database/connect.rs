use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, RwLock, mpsc};
use trivia_domain::play::Catalog;
use trivia_domain::ports::{
    AchievementRepository, CheckOutcome, Clock, DatabaseStats, ErasedWork, HealthReport, MaintenancePort, PlayPort,
    QuestionRepository, RandomSource, RankingRepository, Repositories, SessionRepository, Store, UserRepository,
};
use trivia_domain::{StoreError, StoreResult};

use super::writer::{self, Job};
use super::{DatabaseOptions, Durability, Monitor, Scope, health, stats};
use crate::error::{During, translate};
use crate::repository::Repository;
use crate::schema;

/// Moves that may wait for the writer before a caller has to.
const QUEUE: usize = 1024;

/// An open SQLite database. Clones share it.
#[derive(Clone)]
pub struct Database {
    core: Arc<Core>,
    repository: Arc<Repository>,
}

/// What repositories, writer and maintenance share.
pub(crate) struct Core {
    pub(crate) options: DatabaseOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) catalog: Catalog,
    pub(crate) monitor: Monitor,
    /// `None` while closed or while a restore swaps the file.
    pub(crate) pools: Arc<RwLock<Option<Pools>>>,
}

/// The connections.
pub(crate) struct Pools {
    writer: Arc<Mutex<DatabaseConnection>>,
    reader: DatabaseConnection,
}

impl Database {
    /// Opens a database whose schema is that of this program; [`schema::up`] makes and migrates one.
    ///
    /// # Errors
    /// `Missing` when there is no file, `Incompatible` when its schema is older or newer, `Corrupt`
    /// when it is no database, `Busy` when another process holds it, `ReadOnly` without permission.
    pub async fn open(
        options: DatabaseOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn RandomSource>,
    ) -> StoreResult<Self> {
        let pools = Pools::open(&options).await?;
        let core = Arc::new(Core {
            monitor: Monitor::new(options.slow_after),
            options,
            clock,
            random,
            catalog: Catalog::default(),
            pools: Arc::new(RwLock::new(Some(pools))),
        });
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        tokio::spawn(writer::run(Arc::clone(&core), jobs));
        let repository = Arc::new(Repository::new(Scope::Store { core: Arc::clone(&core), queue }));
        Ok(Self { core, repository })
    }

    /// How it was opened.
    #[must_use]
    pub fn options(&self) -> &DatabaseOptions {
        &self.core.options
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl Core {
    /// A reading connection pool; held until the guard is dropped.
    pub(crate) async fn reader(&self) -> StoreResult<OwnedRwLockReadGuard<Option<Pools>, DatabaseConnection>> {
        let pools = Arc::clone(&self.pools).read_owned().await;
        OwnedRwLockReadGuard::try_map(pools, |pools| pools.as_ref().map(|pools| &pools.reader))
            .map_err(|_| self.closed())
    }

    /// The writing connection, for one caller at a time in the order of asking.
    pub(crate) async fn writer(&self) -> StoreResult<WriterGuard> {
        let pools = Arc::clone(&self.pools).read_owned().await;
        let writer = Arc::clone(&pools.as_ref().ok_or_else(|| self.closed())?.writer);
        Ok(WriterGuard { connection: writer.lock_owned().await, _pools: pools })
    }

    fn closed(&self) -> StoreError {
        StoreError::backend(format!("using {}", self.options.url), "it is closed")
    }

    /// The file, for messages.
    pub(crate) fn name(&self) -> String {
        self.options.url.path().display().to_string()
    }
}

/// The writing connection and the right to use it.
pub(crate) struct WriterGuard {
    pub(crate) connection: OwnedMutexGuard<DatabaseConnection>,
    _pools: OwnedRwLockReadGuard<Option<Pools>>,
}

impl Pools {
    /// Opens all connections, after looking at the schema.
    pub(crate) async fn open(options: &DatabaseOptions) -> StoreResult<Self> {
        let path = options.url.path();
        if !exists(path)? {
            return Err(StoreError::missing("database", path.display()));
        }
        schema::require_current(options).await?;
        let writer = connect(options, 1, false).await?;
        let reader = connect(options, options.readers.max(1), true).await?;
        verify_pragmas(&writer, options).await?;
        Ok(Self { writer: Arc::new(Mutex::new(writer)), reader })
    }

    /// Waits for what is under way and closes all connections.
    pub(crate) async fn close(self) -> StoreResult<()> {
        self.reader.close().await.during("closing the readers")?;
        let writer = self.writer.lock().await.clone();
        writer.close().await.during("closing the writer")
    }

    pub(crate) fn idle(&self) -> u32 {
        let idle = |connection: &DatabaseConnection| {
            u32::try_from(connection.get_sqlite_connection_pool().num_idle()).unwrap_or(u32::MAX)
        };
        idle(&self.reader) + self.writer.try_lock().map_or(0, |writer| idle(&writer))
    }
}

/// Whether there is a file; a missing permission is an error, not a "no".
fn exists(path: &Path) -> StoreResult<bool> {
    path.try_exists()
        .map_err(|error| StoreError::ReadOnly { what: path.display().to_string(), reason: error.to_string() })
}

/// Makes the directory (0700) and the file (0600) when they are missing; SQLite passes the mode on
/// to its `-wal` and `-shm` files.
fn create_file(path: &Path) -> StoreResult<()> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::StorageFull => StoreError::DiskFull { what: path.display().to_string() },
        _ => StoreError::ReadOnly { what: path.display().to_string(), reason: error.to_string() },
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

/// One connection that may create the file and change the schema.
pub(crate) async fn connect_single(options: &DatabaseOptions, create: bool) -> StoreResult<DatabaseConnection> {
    if create {
        create_file(options.url.path())?;
    } else if !exists(options.url.path())? {
        return Err(StoreError::missing("database", options.url.path().display()));
    }
    connect(options, 1, false).await
}

async fn connect(options: &DatabaseOptions, size: u32, read_only: bool) -> StoreResult<DatabaseConnection> {
    let path = options.url.path().to_owned();
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
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&path)
                .create_if_missing(false)
                .busy_timeout(busy_timeout)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .statement_cache_capacity(256)
                .pragma("cache_size", "-16000")
                .pragma("temp_store", "MEMORY")
                .pragma("trusted_schema", "OFF")
                .pragma("cell_size_check", "ON")
                // an I/O error on a mapped page would be a SIGBUS
                .pragma("mmap_size", "0")
                .pragma("wal_autocheckpoint", "4000");
            if read_only { sqlite.pragma("query_only", "ON") } else { sqlite }
        });
    sea_orm::Database::connect(connect)
        .await
        .map_err(|error| translate(error, &options.url.path().display().to_string()))
}

/// Refuses to start with other guarantees than those that were asked for.
async fn verify_pragmas(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<()> {
    let synchronous = match options.durability {
        Durability::Full => "2",
        Durability::Normal => "1",
    };
    for (name, wanted) in [("journal_mode", "wal"), ("synchronous", synchronous), ("foreign_keys", "1")] {
        let found = pragma(connection, name).await?;
        if found != wanted {
            let reason = format!("PRAGMA {name} is {found}, {wanted} is needed");
            return Err(StoreError::Incompatible { what: options.url.path().display().to_string(), reason });
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

impl Repositories for Database {
    fn users(&self) -> &dyn UserRepository {
        self.repository.users()
    }
    fn questions(&self) -> &dyn QuestionRepository {
        self.repository.questions()
    }
    fn sessions(&self) -> &dyn SessionRepository {
        self.repository.sessions()
    }
    fn achievements(&self) -> &dyn AchievementRepository {
        self.repository.achievements()
    }
    fn rankings(&self) -> &dyn RankingRepository {
        self.repository.rankings()
    }
    fn play(&self) -> &dyn PlayPort {
        self.repository.play()
    }
}

#[async_trait]
impl Store for Database {
    async fn run(&self, work: &dyn ErasedWork) -> StoreResult<()> {
        let unit = Repository::new(Scope::work(&self.core).await?);
        work.run(&unit).await?;
        unit.commit().await
    }
}

#[async_trait]
impl MaintenancePort for Database {
    async fn check(&self) -> CheckOutcome {
        health::check(&self.core).await
    }

    async fn stats(&self) -> StoreResult<DatabaseStats> {
        stats::stats(&self.core).await
    }

    async fn health(&self) -> HealthReport {
        health::health(&self.core).await
    }

    async fn close(&self) -> StoreResult<()> {
        // the write lock is granted when nobody uses a connection any more
        match self.core.pools.write().await.take() {
            Some(pools) => pools.close().await,
            None => Ok(()),
        }
    }
}
