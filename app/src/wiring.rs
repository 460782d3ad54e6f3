//! The only place that names adapters: settings in, ports out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use trivia_domain::StoreResult;
use trivia_domain::model::RetentionPolicy;
use trivia_domain::ports::{BackupService, Clock, MaintenancePort, RandomSource};
use trivia_infrastructure::schema::{self, SchemaStatus};
use trivia_infrastructure::{
    Database, DatabaseOptions, DatabaseUrl, Durability, SchedulePolicy, Scheduler, SchedulerLock, SchedulerPorts,
    SqliteBackups, SqliteRecovery, SystemClock, SystemRandom,
};

use crate::config::{DurabilitySetting, Settings};
use crate::error::Failure;
use crate::server::site::SchemaProbe;

/// What commands work with.
#[derive(Clone)]
pub(crate) struct App {
    options: DatabaseOptions,
    backup_dir: PathBuf,
    keep_backups: usize,
    keep_sessions: Option<TimeDelta>,
    /// Where `serve` answers.
    pub(crate) listen: SocketAddr,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Chance.
    pub(crate) random: Arc<dyn RandomSource>,
}

impl App {
    /// Builds everything from the settings; nothing is opened yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Failure> {
        let mut options = DatabaseOptions::new(settings.database_url.parse()?);
        options.readers = settings.readers;
        options.busy_timeout = Duration::from_millis(settings.busy_timeout_ms);
        options.projection_delay = Duration::from_millis(settings.projection_delay_ms);
        options.slow_after = Duration::from_millis(settings.slow_ms);
        options.durability = match settings.durability {
            DurabilitySetting::Full => Durability::Full,
            DurabilitySetting::Normal => Durability::Normal,
        };
        // beside the database, so that two databases never share a folder by accident
        let beside = options.url.path().with_file_name("backups");
        let backup_dir = settings.backup_dir.clone().unwrap_or(beside);
        options.backup_dir = options.url.file().map(|_| backup_dir.clone());
        Ok(Self {
            options,
            backup_dir,
            keep_backups: settings.keep_backups,
            keep_sessions: Some(settings.keep_sessions_days)
                .filter(|days| *days > 0)
                .map(|days| TimeDelta::days(days.into())),
            listen: settings.listen,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        })
    }

    /// The same with a database and backups of its own in `dir`.
    pub(crate) fn moved_to(&self, dir: &Path) -> Self {
        let mut moved = self.clone();
        moved.options.url = DatabaseUrl::of_file(dir.join("trivia.db"));
        moved.backup_dir = dir.join("backups");
        moved.options.backup_dir = Some(moved.backup_dir.clone());
        moved
    }

    /// The same with another time and another chance, for data that is thrown away.
    pub(crate) fn rehearsal(mut self, clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Self {
        self.options.durability = Durability::Normal;
        self.clock = clock;
        self.random = random;
        self
    }

    /// The database, for people.
    pub(crate) fn database_url(&self) -> String {
        self.options.url.to_string()
    }

    /// Whether the database is a file; otherwise it is on a server.
    pub(crate) fn is_file(&self) -> bool {
        self.options.url.file().is_some()
    }

    /// The database's file.
    pub(crate) fn database_path(&self) -> &Path {
        self.options.url.path()
    }

    /// Where backups are.
    pub(crate) fn backup_dir(&self) -> &Path {
        &self.backup_dir
    }

    /// Whether there is a database file with something in it; a server says by itself what it has not.
    pub(crate) fn database_exists(&self) -> Result<bool, Failure> {
        if !self.is_file() {
            return Ok(true);
        }
        match std::fs::metadata(self.database_path()) {
            Ok(metadata) => Ok(metadata.len() > 0),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                let message = format!("cannot look at {}", self.database_path().display());
                Err(Failure::because(message, "check the path and the permissions", error))
            }
        }
    }

    /// Whether the database has a schema of ours: an `init` that was interrupted leaves a file without.
    pub(crate) async fn has_schema(&self) -> Result<bool, Failure> {
        Ok(self.database_exists()? && !self.schema_status().await?.applied.is_empty())
    }

    /// Opens the database, runs a command on it and closes it again, also when the command failed.
    pub(crate) async fn with_database<T>(
        &self,
        run: impl AsyncFnOnce(&Database) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let database = Database::open(self.options.clone(), Arc::clone(&self.clock), Arc::clone(&self.random)).await?;
        let result = run(&database).await;
        let closed = database.close().await;
        let value = result?;
        closed?;
        Ok(value)
    }

    /// Backups of a database that this process has not open.
    pub(crate) fn backups(&self) -> impl BackupService + use<> {
        SqliteBackups::new(self.options.clone(), self.backup_dir.clone(), Arc::clone(&self.clock))
    }

    /// Which backups are kept when nobody says anything else.
    pub(crate) fn retention(&self) -> RetentionPolicy {
        RetentionPolicy { keep: self.keep_backups, per_kind: BTreeMap::new() }
    }

    /// The right to be the one server of the database.
    pub(crate) async fn server_lock(&self) -> StoreResult<SchedulerLock> {
        SchedulerLock::take(&self.options.url, self.clock.now()).await
    }

    /// Looks after a database that this process has open.
    pub(crate) fn scheduler(&self, database: &Database) -> Scheduler {
        let ports = SchedulerPorts {
            store: Arc::new(database.clone()),
            maintenance: Arc::new(database.clone()),
            backups: Arc::new(SqliteBackups::attached(database, self.backup_dir.clone())),
            clock: Arc::clone(&self.clock),
        };
        let policy = SchedulePolicy {
            retention: self.retention(),
            keep_sessions: self.keep_sessions,
            ..SchedulePolicy::default()
        };
        Scheduler::new(ports, policy)
    }

    /// Recovery of a database that this process has not open.
    pub(crate) fn recovery(&self) -> SqliteRecovery {
        SqliteRecovery::new(self.options.clone(), self.backup_dir.clone(), Arc::clone(&self.clock))
    }

    /// Which migrations were applied and which were not.
    pub(crate) async fn schema_status(&self) -> StoreResult<SchemaStatus> {
        schema::status(&self.options).await
    }

    /// Applies the next `steps` migrations, or all.
    pub(crate) async fn migrate_up(&self, steps: Option<u32>) -> StoreResult<Vec<String>> {
        schema::up(&self.options, steps).await
    }

    /// Reverts the last `steps` migrations.
    pub(crate) async fn migrate_down(&self, steps: u32) -> StoreResult<Vec<String>> {
        schema::down(&self.options, steps).await
    }

    /// Drops everything and applies all migrations.
    pub(crate) async fn migrate_fresh(&self) -> StoreResult<Vec<String>> {
        schema::fresh(&self.options).await
    }
}

#[async_trait]
impl SchemaProbe for App {
    async fn is_current(&self) -> StoreResult<bool> {
        Ok(self.schema_status().await?.pending.is_empty())
    }
}
