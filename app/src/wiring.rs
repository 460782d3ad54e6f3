//! The only place that names adapters: settings in, ports out.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use trivia_domain::model::RetentionPolicy;
use trivia_domain::ports::{BackupService, Clock, MaintenancePort, Progress, RandomSource, RecoveryService};
use trivia_domain::{StoreError, StoreResult};
#[cfg(feature = "postgres")]
use trivia_infrastructure::PostgresBackups;
use trivia_infrastructure::schema::{self, SchemaStatus};
use trivia_infrastructure::{
    BackupOptions, Database, DatabaseOptions, DatabaseUrl, Durability, GameCopy, S3Options, S3Store, SchedulePolicy,
    Scheduler, SchedulerLock, SchedulerPorts, SqliteAdoption, SqliteBackups, SqliteRecovery, SystemClock, SystemRandom,
};

use crate::config::{DurabilitySetting, Settings};
use crate::error::Failure;
use crate::server::site::SchemaProbe;

/// The highest level of zstd; those above it need more memory than they are worth.
const MOST_COMPRESSION: u8 = 19;
/// Where backups are beside a database.
const BACKUPS: &str = "backups";

/// What commands work with.
#[derive(Clone)]
pub(crate) struct App {
    options: DatabaseOptions,
    backups: BackupOptions,
    retention: RetentionPolicy,
    progress: Option<Arc<dyn Progress>>,
    keep_sessions: Option<TimeDelta>,
    auto_recover: bool,
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
        options.read_url = settings.read_url.as_deref().map(str::parse).transpose()?;
        options.readers = settings.readers;
        options.busy_timeout = Duration::from_millis(settings.busy_timeout_ms);
        options.projection_delay = Duration::from_millis(settings.projection_delay_ms);
        options.slow_after = Duration::from_millis(settings.slow_ms);
        options.durability = match settings.durability {
            DurabilitySetting::Full => Durability::Full,
            DurabilitySetting::Normal => Durability::Normal,
        };
        let backups = backups(settings, &options)?;
        options.backups = Some(backups.clone());
        Ok(Self {
            options,
            backups,
            retention: RetentionPolicy { keep: settings.keep_backups, per_kind: settings.keep_backups_by_kind.clone() },
            progress: None,
            keep_sessions: Some(settings.keep_sessions_days)
                .filter(|days| *days > 0)
                .map(|days| TimeDelta::days(days.into())),
            auto_recover: settings.auto_recover,
            listen: settings.listen,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        })
    }

    /// The same with a database and backups of its own in `dir`.
    pub(crate) fn moved_to(&self, dir: &Path) -> Self {
        let mut moved = self.clone();
        moved.options.url = DatabaseUrl::of_file(dir.join("trivia.db"));
        moved.options.read_url = None;
        moved.backups = dir.join(BACKUPS).into();
        moved.options.backups = Some(moved.backups.clone());
        moved
    }

    /// The same with another database. Backups that nobody has chosen a place for are beside it.
    pub(crate) fn with_database_file(&self, file: &Path) -> Self {
        let mut other = self.clone();
        if self.backups.dir == self.database_path().with_file_name(BACKUPS) {
            other.backups.dir = file.with_file_name(BACKUPS);
            other.options.backups = Some(other.backups.clone());
        }
        other.options.url = DatabaseUrl::of_file(file);
        other.options.read_url = None;
        other
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

    /// The same, telling somebody how far backups are.
    pub(crate) fn showing(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Where backups are, for people.
    pub(crate) fn backup_place(&self) -> String {
        self.backups.store().place("")
    }

    /// Whether there is a key for encrypted backups.
    pub(crate) fn can_open(&self) -> bool {
        self.backups.identity_file.is_some()
    }

    /// The database in few words: the file, or the URL of a server.
    pub(crate) fn database_name(&self) -> String {
        if self.is_file() { self.database_path().display().to_string() } else { self.database_url() }
    }

    /// Refuses a command on a server that knows files only; `instead` is what to do there.
    pub(crate) fn require_file(&self, command: &str, instead: &str) -> Result<(), Failure> {
        if self.is_file() {
            return Ok(());
        }
        Err(Failure::new(format!("{command} is for files, and {} is on a server", self.database_url()), instead))
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

    /// Whether there is something to back up before everything is dropped.
    pub(crate) async fn has_tables(&self) -> Result<bool, Failure> {
        Ok(if self.is_file() { self.database_exists()? } else { !schema::is_empty(&self.options).await? })
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

    /// The same for a server: with `auto_recover`, a database that is too damaged to be opened is recovered first.
    pub(crate) async fn with_recovered_database<T>(
        &self,
        run: impl AsyncFnOnce(&Database) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.auto_recover
            && self.is_file()
            && let Err(error @ StoreError::Corrupt { .. }) = self.schema_status().await
        {
            tracing::error!(%error, "recovering");
            self.recovery().recover().await?;
        }
        self.with_database(run).await
    }

    /// Backups of a database that this process has not open.
    pub(crate) fn backups(&self) -> Arc<dyn BackupService> {
        let (options, places, clock) = (self.options.clone(), self.backups.clone(), Arc::clone(&self.clock));
        let progress = self.progress.iter().cloned();
        #[cfg(feature = "postgres")]
        if !self.is_file() {
            let backups = PostgresBackups::new(options, places, clock);
            return Arc::new(progress.fold(backups, PostgresBackups::showing));
        }
        Arc::new(progress.fold(SqliteBackups::new(options, places, clock), SqliteBackups::showing))
    }

    /// Backups of a database that this process has open.
    fn attached_backups(&self, database: &Database) -> Arc<dyn BackupService> {
        #[cfg(feature = "postgres")]
        if !self.is_file() {
            return Arc::new(PostgresBackups::attached(database, self.backups.clone()));
        }
        Arc::new(SqliteBackups::attached(database, self.backups.clone()))
    }

    /// Which backups are kept when nobody says anything else.
    pub(crate) fn retention(&self) -> RetentionPolicy {
        self.retention.clone()
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
            backups: self.attached_backups(database),
            recovery: (self.auto_recover && self.is_file()).then(|| {
                let recovery = SqliteRecovery::attached(database, self.backups.clone());
                Arc::new(recovery) as Arc<dyn RecoveryService>
            }),
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
    pub(crate) fn recovery(&self) -> impl RecoveryService + use<> {
        SqliteRecovery::new(self.options.clone(), self.backups.clone(), Arc::clone(&self.clock))
    }

    /// Moving in from the original, and back.
    pub(crate) fn adoption(&self) -> SqliteAdoption {
        SqliteAdoption::new(self.options.clone(), self.backups.clone(), Arc::clone(&self.clock))
    }

    /// A copy of the game in one database to another one.
    pub(crate) fn copy(&self, from: DatabaseUrl, to: DatabaseUrl) -> GameCopy {
        let at = |url| DatabaseOptions { url, ..self.options.clone() };
        let copy = GameCopy::new(at(from), at(to));
        match &self.progress {
            Some(progress) => copy.showing(Arc::clone(progress)),
            None => copy,
        }
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

/// Where backups go, and what becomes of them on the way.
fn backups(settings: &Settings, options: &DatabaseOptions) -> Result<BackupOptions, Failure> {
    // two databases never share a folder by accident: it is beside the file, or has the name of the server's database
    let dir = settings.backup_dir.clone().unwrap_or_else(|| match options.url.database() {
        Some(database) => Path::new(BACKUPS).join(database.replace(['/', '.'], "_")),
        None => options.url.path().with_file_name(BACKUPS),
    });
    let mut backups = BackupOptions::from(dir);
    if let Some(url) = &settings.backup_url {
        let store = S3Store::new(&S3Options {
            url: url.clone(),
            endpoint: settings.backup_endpoint.clone(),
            region: settings.backup_region.clone(),
            variables: settings.storage.0.clone(),
        })?;
        backups.store = Some(Arc::new(store));
    }
    backups.compression = match settings.backup_compression {
        0 => None,
        level @ 1..=MOST_COMPRESSION => Some(level.into()),
        level => {
            let message = format!("backup_compression is {level}");
            return Err(Failure::new(message, format!("choose a level from 0 to {MOST_COMPRESSION}")));
        }
    };
    for recipient in &settings.backup_encrypt_to {
        backups.encrypt_to.push(recipient.parse()?);
    }
    backups.identity_file.clone_from(&settings.backup_identity_file);
    Ok(backups)
}

#[async_trait]
impl SchemaProbe for App {
    async fn is_current(&self) -> StoreResult<bool> {
        Ok(self.schema_status().await?.pending.is_empty())
    }
}
