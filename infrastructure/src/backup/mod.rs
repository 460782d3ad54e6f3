//! Verified copies of a SQLite database, and the way back from them.

mod adoption;
mod catalog;
mod codec;
mod content;
mod copy;
mod directory;
mod drill;
mod files;
mod options;
mod progress;
mod recovery;
mod restore;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "postgres")]
mod server;
mod shelf;
mod staging;
mod swap;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DatabaseConnection;
use tokio::sync::RwLock;
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, BackupManifest, RetentionPolicy, Verification};
use trivia_domain::ports::{BackupService, Clock, Phase, Progress, RestoreReport};
use trivia_domain::{StoreError, StoreResult};

use self::content::{Contents, examine};
use self::copy::{close, connect_live, vacuum_into};
use self::files::corrupt;
use self::progress::while_growing;
use self::shelf::{Engine, Made, Opened};
use crate::database::{Core, Database, DatabaseOptions, explained};

pub use self::adoption::SqliteAdoption;
pub use self::codec::BackupRecipient;
pub use self::directory::Directory;
pub(crate) use self::files::hex;
pub use self::options::BackupOptions;
pub(crate) use self::progress::{Shown, Silent};
pub use self::recovery::SqliteRecovery;
#[cfg(feature = "s3")]
pub use self::s3::{S3Options, S3Store};
#[cfg(feature = "postgres")]
pub use self::server::PostgresBackups;
pub(crate) use self::shelf::Shelf;

/// Between two looks whether others are done.
const PAUSE: Duration = Duration::from_millis(50);

/// Backups of a SQLite database. Clones share them.
#[derive(Clone)]
pub struct SqliteBackups {
    options: DatabaseOptions,
    shelf: Shelf,
    /// The database, when this process has it open.
    core: Option<Arc<Core>>,
    /// Many may copy at a time; a restore waits for them and keeps new ones waiting.
    gate: Arc<RwLock<()>>,
}

impl SqliteBackups {
    /// For a database that this process has not open; a path alone names a directory.
    #[must_use]
    pub fn new(options: DatabaseOptions, backups: impl Into<BackupOptions>, clock: Arc<dyn Clock>) -> Self {
        Self { options, shelf: Shelf::new(backups.into(), clock), core: None, gate: Arc::default() }
    }

    /// For a database that this process has open: a restore closes it for a moment, and callers wait.
    #[must_use]
    pub fn attached(database: &Database, backups: impl Into<BackupOptions>) -> Self {
        let core = Arc::clone(database.core());
        let backups = Self::new(core.options.clone(), backups, Arc::clone(&core.clock));
        Self { core: Some(core), ..backups }
    }

    /// The same, telling somebody how far it is.
    #[must_use]
    pub fn showing(self, progress: Arc<dyn Progress>) -> Self {
        Self { shelf: self.shelf.showing(progress), ..self }
    }

    /// The database, in messages and for SQLite.
    fn source(&self) -> &Path {
        self.options.url.path()
    }

    /// Copies the database as it is now.
    async fn copy(&self, kind: BackupKind, reason: &str) -> StoreResult<BackupInfo> {
        let connection = connect_live(self.source(), self.options.busy_timeout).await?;
        let copied = self.copy_through(&connection, kind, reason).await;
        close(connection, copied).await
    }

    /// Copies what a connection sees, verifies the copy and publishes it.
    async fn copy_through(
        &self,
        connection: &DatabaseConnection,
        kind: BackupKind,
        reason: &str,
    ) -> StoreResult<BackupInfo> {
        let created_at = self.shelf.clock.now();
        let draft = self.shelf.begin().await?;
        let copy = draft.copy();
        // of the file itself only the length is asked: opening it would drop the locks of SQLite
        let length = std::fs::metadata(self.source()).ok().map(|file| file.len());
        let vacuum = vacuum_into(connection, self.source(), &copy);
        while_growing(&*self.shelf.progress, (Phase::Copy, &copy, length), vacuum).await?;
        self.shelf.progress.at(Phase::Check, 0, None);
        let (contents, sealed) = tokio::join!(examine(&copy), self.shelf.pack(&draft));
        let (contents, sealed) = (contents?, sealed?);
        if let Some(problem) = contents.problems.first() {
            return Err(corrupt(self.source(), problem));
        }
        if contents.rows.is_empty() {
            return Err(corrupt(self.source(), "it has no tables"));
        }
        let made = Made { kind, reason: reason.to_owned(), created_at, contents, dump: None };
        self.shelf.publish(draft, made, sealed).await
    }
}

#[async_trait]
impl Engine for SqliteBackups {
    fn foreign(&self, manifest: &BackupManifest) -> Option<String> {
        let from = manifest.dump.as_ref()?;
        Some(format!("it is a dump of a database on PostgreSQL {}, and this one is a file", from.server))
    }

    async fn examine(&self, opened: &Opened) -> StoreResult<Contents> {
        examine(&opened.file).await
    }

    async fn rehearse(&self, opened: Opened) -> StoreResult<Vec<String>> {
        self.rehearse_restore(opened).await
    }
}

#[async_trait]
impl BackupService for SqliteBackups {
    async fn create(&self, kind: BackupKind, reason: &str) -> StoreResult<BackupInfo> {
        Shelf::require_short(reason)?;
        let (_open, _shown) = (self.gate.read().await, self.shelf.shown());
        match kind {
            BackupKind::Daily | BackupKind::Weekly => self.shelf.once(kind, self.copy(kind, reason)).await,
            _ => self.copy(kind, reason).await,
        }
    }

    async fn list(&self) -> StoreResult<Vec<BackupInfo>> {
        self.shelf.catalog.list().await
    }

    async fn verify(&self, id: &BackupId) -> StoreResult<Verification> {
        let _shown = self.shelf.shown();
        self.shelf.verify(self, id).await
    }

    async fn drill(&self, id: &BackupId) -> StoreResult<Verification> {
        let _shown = self.shelf.shown();
        self.shelf.drill(self, id).await
    }

    async fn restore(&self, id: &BackupId) -> StoreResult<RestoreReport> {
        let (backups, id, _shown) = (self.clone(), id.clone(), self.shelf.shown());
        // a task of its own: a caller who goes away must not leave the database closed
        let done = tokio::spawn(async move {
            match backups.bring_back(&id).await {
                Ok(report) => Ok(report),
                Err(error) => Err(explained(error, backups.source()).await),
            }
        });
        let done = done.await;
        done.unwrap_or_else(|error| Err(StoreError::backend("restoring", error)))
    }

    async fn prune(&self, policy: &RetentionPolicy) -> StoreResult<Vec<BackupId>> {
        let _shown = self.shelf.shown();
        self.shelf.prune(self, policy).await
    }
}
