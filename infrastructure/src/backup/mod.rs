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
mod staging;
mod swap;
mod verify;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use tokio::sync::RwLock;
use trivia_domain::model::{
    BackupId, BackupInfo, BackupKind, BackupManifest, Calendar, Packed, Period, RetentionPolicy, Verification,
};
use trivia_domain::ports::{BackupService, Clock, Phase, Progress, RestoreReport};
use trivia_domain::{StoreError, StoreResult};

use self::catalog::{Catalog, FORMAT, copy_of, name};
use self::codec::Codec;
use self::content::examine;
use self::copy::{close, connect_live, vacuum_into};
use self::files::{blocking, corrupt, failed, seal};
use self::progress::while_growing;
use self::staging::{Draft, Staging};
use self::verify::Found;
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

/// Longest reason for a backup, so that a manifest stays small.
const LONGEST_REASON: usize = 1000;
/// How long to wait for another process that makes the backup of the same day or week.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether others are done.
const PAUSE: Duration = Duration::from_millis(50);

/// How often another name is tried when somebody elsewhere had the same idea in the same second.
const MOST_NAMES: u32 = 10;

/// Backups of a SQLite database. Clones share them.
#[derive(Clone)]
pub struct SqliteBackups {
    options: DatabaseOptions,
    catalog: Catalog,
    staging: Staging,
    codec: Codec,
    progress: Arc<dyn Progress>,
    clock: Arc<dyn Clock>,
    /// The database, when this process has it open.
    core: Option<Arc<Core>>,
    /// Many may copy at a time; a restore waits for them and keeps new ones waiting.
    gate: Arc<RwLock<()>>,
}

impl SqliteBackups {
    /// For a database that this process has not open; a path alone names a directory.
    #[must_use]
    pub fn new(options: DatabaseOptions, backups: impl Into<BackupOptions>, clock: Arc<dyn Clock>) -> Self {
        let backups = backups.into();
        Self {
            options,
            catalog: Catalog::new(backups.store()),
            staging: Staging::new(backups.dir),
            codec: Codec {
                level: backups.compression,
                recipients: backups.encrypt_to,
                identity_file: backups.identity_file,
            },
            progress: Arc::new(Silent),
            clock,
            core: None,
            gate: Arc::default(),
        }
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
        Self { progress, ..self }
    }

    /// Tells at the end of an operation that it is over.
    fn shown(&self) -> Shown {
        Shown(Arc::clone(&self.progress))
    }

    /// The newest backup that passed all checks when it was made and is still complete.
    pub(crate) async fn newest_verified(&self) -> StoreResult<Option<BackupInfo>> {
        self.catalog.newest_verified().await
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
        let mut draft = self.begin().await?;
        let copy = draft.copy();
        // of the file itself only the length is asked: opening it would drop the locks of SQLite
        let length = std::fs::metadata(self.source()).ok().map(|file| file.len());
        let vacuum = vacuum_into(connection, self.source(), &copy);
        while_growing(&*self.progress, (Phase::Copy, &copy, length), vacuum).await?;
        self.progress.at(Phase::Check, 0, None);
        let (contents, packed) = tokio::join!(examine(&copy), self.pack(&draft));
        let (contents, ((bytes, sha256), packed)) = (contents?, packed?);
        if let Some(problem) = contents.problems.first() {
            return Err(corrupt(self.source(), problem));
        }
        if contents.rows.is_empty() {
            return Err(corrupt(self.source(), "it has no tables"));
        }
        self.prove(&draft, &packed, (bytes, &sha256)).await?;
        let file = if packed.is_plain() { draft.copy() } else { draft.packed() };
        let mut manifest = BackupManifest {
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
            packed: Some(packed),
            rows: contents.rows,
            content: contents.content,
            ledger: contents.ledger,
        };
        let mut names = 1;
        while let Err(error) = self.catalog.publish(&manifest, &file, &self.progress).await {
            if !matches!(error, StoreError::Conflict { .. }) || names == MOST_NAMES {
                return Err(error);
            }
            names += 1;
            draft.sequence = self.catalog.highest_sequence().await?.max(draft.sequence) + 1;
            (manifest.sequence, manifest.id) = (draft.sequence, name(kind, created_at, draft.sequence)?);
        }
        let path = self.catalog.store().place(&copy_of(&manifest.id, &manifest.stored()));
        tracing::info!(backup = %manifest.id, bytes = manifest.stored().bytes, "backup made");
        blocking(move || {
            drop(draft);
            Ok(())
        })
        .await?;
        Ok(BackupInfo { manifest, path, verified: true, drill: None })
    }

    /// Starts a backup with a sequence that no other has.
    async fn begin(&self) -> StoreResult<Draft> {
        loop {
            let (staging, published) = (self.staging.clone(), self.catalog.highest_sequence().await?);
            let Some(draft) = blocking(move || staging.begin(published)).await? else { continue };
            // between the look and the claim another process may have published it
            if self.catalog.highest_sequence().await? < draft.sequence {
                return Ok(draft);
            }
        }
    }

    /// Measures a copy and makes what is stored of it.
    async fn pack(&self, draft: &Draft) -> StoreResult<((u64, String), Packed)> {
        let (copy, target, codec, progress) =
            (draft.copy(), draft.packed(), self.codec.clone(), Arc::clone(&self.progress));
        blocking(move || {
            let (bytes, sha256) = seal(&copy)?;
            let packed = if codec.is_plain() {
                Packed { compression: None, encryption: None, bytes, sha256: sha256.clone() }
            } else {
                codec.pack(&copy, &target, &*progress)?
            };
            Ok(((bytes, sha256), packed))
        })
        .await
    }

    /// Proves that what was packed can be unpacked, where there is a key for it.
    async fn prove(&self, draft: &Draft, packed: &Packed, copy: (u64, &str)) -> StoreResult<()> {
        if packed.is_plain() {
            return Ok(());
        }
        let (file, form, codec, progress) =
            (draft.packed(), packed.clone(), self.codec.clone(), Arc::clone(&self.progress));
        let limit = copy.0;
        match blocking(move || codec.unpack(&file, &form, None, limit, &*progress)).await {
            Ok((bytes, sha256)) if (bytes, sha256.as_str()) == copy => Ok(()),
            Ok(_) => Err(corrupt(&draft.packed(), "what was packed is not what comes out again")),
            Err(StoreError::NoKey { reason, .. }) => {
                tracing::info!(reason, "whether the backup can be opened was not tried");
                Ok(())
            }
            Err(error) => Err(error),
        }
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
        let staging = self.staging.clone();
        let lock = blocking(move || staging.lock_file()).await?;
        let wait = async {
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(failed(self.staging.path())(error)),
                }
            }
        };
        let busy = StoreError::Busy { what: self.staging.path().display().to_string() };
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
        let (_open, _shown) = (self.gate.read().await, self.shown());
        match kind {
            BackupKind::Daily | BackupKind::Weekly => self.copy_once(kind, reason).await,
            _ => self.copy(kind, reason).await,
        }
    }

    async fn list(&self) -> StoreResult<Vec<BackupInfo>> {
        self.catalog.list().await
    }

    async fn verify(&self, id: &BackupId) -> StoreResult<Verification> {
        let _shown = self.shown();
        let (problems, unopened) = match self.inspect(id).await? {
            Found::Good(_) => (Vec::new(), None),
            Found::Sealed { reason } => (Vec::new(), Some(reason)),
            Found::Bad(problems) => (problems, None),
        };
        Ok(Verification { id: id.clone(), ok: problems.is_empty(), problems, unopened })
    }

    async fn drill(&self, id: &BackupId) -> StoreResult<Verification> {
        let _shown = self.shown();
        self.try_out(id).await
    }

    async fn restore(&self, id: &BackupId) -> StoreResult<RestoreReport> {
        let (backups, id, _shown) = (self.clone(), id.clone(), self.shown());
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
        let _shown = self.shown();
        let mut backups = self.list().await?;
        if policy.expired(&backups).is_empty() {
            return Ok(Vec::new());
        }
        // the one that must stay is one that is good today, not only when it was made
        for backup in &mut backups {
            backup.verified = backup.verified && !matches!(self.inspect(&backup.manifest.id).await?, Found::Bad(_));
            if backup.verified {
                break;
            }
            tracing::warn!(backup = %backup.manifest.id, "a backup is damaged");
        }
        let expired = policy.expired(&backups);
        self.catalog.remove(&expired).await?;
        tracing::info!(backups = expired.len(), "expired backups deleted");
        Ok(expired)
    }
}
