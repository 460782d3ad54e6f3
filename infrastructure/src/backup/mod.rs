//! Verified copies of a SQLite database, and the way back from them.

mod content;
mod copy;
mod directory;
mod drill;
mod files;
mod recovery;
mod restore;
mod swap;
mod verify;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use tokio::sync::RwLock;
use trivia_domain::model::{
    BackupId, BackupInfo, BackupKind, BackupManifest, Calendar, Period, RetentionPolicy, Verification,
};
use trivia_domain::ports::{BackupService, Clock, RestoreReport};
use trivia_domain::{StoreError, StoreResult};

use self::content::examine;
use self::copy::{close, connect_live, vacuum_into};
use self::directory::{Directory, FORMAT, name};
use self::files::{blocking, corrupt, failed, seal};
use self::verify::inspect;
use crate::database::{Core, Database, DatabaseOptions};

pub use self::recovery::SqliteRecovery;

/// Longest reason for a backup, so that a manifest stays small.
const LONGEST_REASON: usize = 1000;
/// How long to wait for another process that makes the backup of the same day or week.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether others are done.
const PAUSE: Duration = Duration::from_millis(50);

/// Backups of a SQLite database in a directory. Clones share it.
#[derive(Clone)]
pub struct SqliteBackups {
    options: DatabaseOptions,
    directory: Directory,
    clock: Arc<dyn Clock>,
    /// The database, when this process has it open.
    core: Option<Arc<Core>>,
    /// Many may copy at a time; a restore waits for them and keeps new ones waiting.
    gate: Arc<RwLock<()>>,
}

impl SqliteBackups {
    /// For a database that this process has not open.
    #[must_use]
    pub fn new(options: DatabaseOptions, dir: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { options, directory: Directory::new(dir), clock, core: None, gate: Arc::default() }
    }

    /// For a database that this process has open: a restore closes it for a moment, and callers wait.
    #[must_use]
    pub fn attached(database: &Database, dir: PathBuf) -> Self {
        let core = Arc::clone(database.core());
        let backups = Self::new(core.options.clone(), dir, Arc::clone(&core.clock));
        Self { core: Some(core), ..backups }
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
        let created_at = self.clock.now();
        let directory = self.directory.clone();
        let draft = blocking(move || directory.begin()).await?;
        let (copy, path) = (draft.copy(), draft.copy());
        vacuum_into(connection, self.source(), &copy).await?;
        let (contents, sealed) = tokio::join!(examine(&copy), blocking(move || seal(&path)));
        let (contents, (bytes, sha256)) = (contents?, sealed?);
        if let Some(problem) = contents.problems.first() {
            return Err(corrupt(self.source(), problem));
        }
        if contents.rows.is_empty() {
            return Err(corrupt(self.source(), "it has no tables"));
        }
        let manifest = BackupManifest {
            format: FORMAT,
            id: name(kind, created_at, draft.sequence)?,
            kind,
            reason: reason.to_owned(),
            sequence: draft.sequence,
            created_at,
            tool: concat!("trivia-store ", env!("CARGO_PKG_VERSION")).to_owned(),
            schema_version: contents.schema_version,
            bytes,
            sha256,
            rows: contents.rows,
            content: contents.content,
            ledger: contents.ledger,
        };
        let directory = self.directory.clone();
        blocking(move || {
            directory.publish(draft, &manifest)?;
            tracing::info!(backup = %manifest.id, bytes = manifest.bytes, "backup made");
            let path = directory.copy(&manifest.id).display().to_string();
            Ok(BackupInfo { manifest, path, verified: true, drill: None })
        })
        .await
    }

    /// Copies the database unless this day or week has its backup.
    async fn copy_once(&self, kind: BackupKind, reason: &str) -> StoreResult<BackupInfo> {
        // held to the end; the system lets it go when the process dies
        let _turn = self.turn().await?;
        let now = self.clock.now();
        let backups = self.list().await?;
        let existing = backups.into_iter().find(|backup| {
            let BackupManifest { kind: found, created_at, .. } = backup.manifest;
            backup.verified && found == kind && same_period(kind, created_at, now)
        });
        match existing {
            Some(existing) => Ok(existing),
            None => self.copy(kind, reason).await,
        }
    }

    /// Waits until no other process makes a backup of the same day or week.
    async fn turn(&self) -> StoreResult<File> {
        let directory = self.directory.clone();
        let lock = blocking(move || directory.lock_file()).await?;
        let wait = async {
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(failed(self.directory.path())(error)),
                }
            }
        };
        let busy = StoreError::Busy { what: self.directory.path().display().to_string() };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or(Err(busy))?;
        Ok(lock)
    }
}

/// Whether two instants share the one backup of a kind.
fn same_period(kind: BackupKind, a: DateTime<Utc>, b: DateTime<Utc>) -> bool {
    // weeks of backups start on Monday in UTC, whatever the boards do
    let calendar = Calendar::default();
    let same = |period| calendar.start_at(period, a) == calendar.start_at(period, b);
    match kind {
        BackupKind::Daily => same(Period::Day),
        BackupKind::Weekly => same(Period::Week),
        _ => false,
    }
}

#[async_trait]
impl BackupService for SqliteBackups {
    async fn create(&self, kind: BackupKind, reason: &str) -> StoreResult<BackupInfo> {
        if reason.len() > LONGEST_REASON {
            return Err(StoreError::invalid("reason", format!("it is longer than {LONGEST_REASON} bytes")));
        }
        let _open = self.gate.read().await;
        match kind {
            BackupKind::Daily | BackupKind::Weekly => self.copy_once(kind, reason).await,
            _ => self.copy(kind, reason).await,
        }
    }

    async fn list(&self) -> StoreResult<Vec<BackupInfo>> {
        let directory = self.directory.clone();
        blocking(move || directory.list()).await
    }

    async fn verify(&self, id: &BackupId) -> StoreResult<Verification> {
        let problems = inspect(&self.directory, id).await?.err().unwrap_or_default();
        Ok(Verification { id: id.clone(), ok: problems.is_empty(), problems })
    }

    async fn drill(&self, id: &BackupId) -> StoreResult<Verification> {
        self.try_out(id).await
    }

    async fn restore(&self, id: &BackupId) -> StoreResult<RestoreReport> {
        let (backups, id) = (self.clone(), id.clone());
        // a task of its own: a caller who goes away must not leave the database closed
        let done = tokio::spawn(async move { backups.bring_back(&id).await }).await;
        done.unwrap_or_else(|error| Err(StoreError::backend("restoring", error)))
    }

    async fn prune(&self, policy: &RetentionPolicy) -> StoreResult<Vec<BackupId>> {
        let mut backups = self.list().await?;
        if policy.expired(&backups).is_empty() {
            return Ok(Vec::new());
        }
        // the one that must stay is one that is good today, not only when it was made
        for backup in &mut backups {
            backup.verified = backup.verified && inspect(&self.directory, &backup.manifest.id).await?.is_ok();
            if backup.verified {
                break;
            }
            tracing::warn!(backup = %backup.manifest.id, "a backup is damaged");
        }
        let expired = policy.expired(&backups);
        let (directory, ids) = (self.directory.clone(), expired.clone());
        blocking(move || directory.remove(&ids)).await?;
        tracing::info!(backups = expired.len(), "expired backups deleted");
        Ok(expired)
    }
}
