use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::StoreResult;
use crate::model::{BackupId, BackupInfo, BackupKind, RetentionPolicy, Verification};

/// Backups of a whole store.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BackupService: Send + Sync {
    /// Makes a consistent copy while others write, verifies it and only then lists it.
    /// A failed attempt leaves nothing and harms no earlier backup.
    async fn create(&self, kind: BackupKind, reason: &str) -> StoreResult<BackupInfo>;

    /// All backups, newest first.
    async fn list(&self) -> StoreResult<Vec<BackupInfo>>;

    /// Checks a backup: digest, integrity, foreign keys, schema version, row counts.
    ///
    /// Returns `Missing` when there is no such backup. A backup that is damaged is a result, not an error. One that is
    /// encrypted and has no key here is checked as far as that goes, and the result says so.
    async fn verify(&self, id: &BackupId) -> StoreResult<Verification>;

    /// Restores a backup into a place of its own, brings it to the present schema, checks every table, index and
    /// derived number, and removes it again. The result is noted beside the backup.
    ///
    /// Returns `Missing` when there is no such backup, `NoKey` when it is encrypted and no key here opens it. What the
    /// drill found is a result, not an error.
    async fn drill(&self, id: &BackupId) -> StoreResult<Verification>;

    /// Replaces the database by a backup: verifies it, backs up the present state, swaps atomically.
    /// Interrupted anywhere, the next start finds the old or the new database whole.
    ///
    /// Returns `Missing` when there is no such backup, `Corrupt` when it fails verification,
    /// `NoKey` when it is encrypted and no key here opens it, `Busy` when another process has the database open; then nothing was changed.
    async fn restore(&self, id: &BackupId) -> StoreResult<RestoreReport>;

    /// Deletes the backups that the policy no longer keeps and returns their ids.
    async fn prune(&self, policy: &RetentionPolicy) -> StoreResult<Vec<BackupId>>;
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReport {
    /// The backup that is live now.
    pub restored: BackupInfo,
    /// The state before, as a backup: the way back. `None` when there was no readable database.
    pub previous: Option<BackupInfo>,
}
