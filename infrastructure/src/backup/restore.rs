//! The way back: a verified copy takes the place of the database in one rename.
//!
//! 1. The backup is verified and copied beside the database; nothing was touched yet.
//! 2. This process closes its connections. SQLite empties and removes the write-ahead log, which it
//!    refuses while anybody else has the database open.
//! 3. The present state becomes a backup, or is set aside when it cannot be read.
//! 4. Under an exclusive lock the copy is renamed over the database.
//!
//! A crash before 4 leaves the old database, after it the new one; no log of the old one can be left
//! that SQLite would play into the new one.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, BackupManifest};
use trivia_domain::ports::RestoreReport;
use trivia_domain::{StoreError, StoreResult};

use super::SqliteBackups;
use super::catalog::copy_of;
use super::copy::{close, connect_copy, connect_live};
use super::files::{Scratch, blocking, corrupt, create_new, failed, measure, open_regular};
use super::shelf::Opened;
use super::swap::{Held, STAGED, claim, exchange, keep_owner, resolve, set_aside, settle};
use crate::database::{Core, DatabaseOptions, DatabaseUrl, Pools};
use crate::dialect;
use crate::error::During;
use crate::repository::erasing::{self, Erasure};
use crate::schema;

/// The table of those who were erased.
pub(super) const ERASURES: &str = "erasures";
/// How long operations under way may take to end before a restore gives up.
const PATIENCE: Duration = Duration::from_secs(30);

impl SqliteBackups {
    /// See [`BackupService::restore`](trivia_domain::ports::BackupService::restore).
    pub(super) async fn bring_back(&self, id: &BackupId) -> StoreResult<RestoreReport> {
        let _alone = self.gate.write().await;
        let opened = self.shelf.restorable(self, id).await?;
        let path = self.source().to_owned();
        let live = blocking(move || resolve(&path)).await?;
        let staged = self.stage(opened, &live).await?;
        let previous = match &self.core {
            Some(core) => self.while_closed(core, self.swap(id, live, staged)).await?,
            None => self.swap(id, live, staged).await?,
        };
        tracing::info!(backup = %id, "backup restored");
        let restored = self.shelf.catalog.info(id).await?;
        Ok(RestoreReport { restored, previous })
    }

    /// A copy of the backup beside the database: on the same file system one rename makes it live.
    async fn stage(&self, opened: Opened, live: &Path) -> StoreResult<Scratch> {
        let (version, beside) = (opened.manifest.schema_version.clone(), live.to_owned());
        let staged = blocking(move || {
            let staged = claim(&beside)?;
            copy_exactly(&opened.file, &staged.file(STAGED), &opened.manifest.sha256)?;
            keep_owner(&staged.file(STAGED), &beside);
            Ok(staged)
        })
        .await?;
        let erased = self.erased(live).await?;
        if self.core.is_some() || !erased.is_empty() {
            self.migrate(&staged.file(STAGED), &version).await?;
        }
        if !erased.is_empty() {
            self.keep_out(&staged.file(STAGED), &erased).await?;
        }
        Ok(staged)
    }

    /// The people who were erased, by everything that can tell: the database may be damaged or reset, and
    /// each backup knows those of its time.
    async fn erased(&self, live: &Path) -> StoreResult<Vec<Erasure>> {
        let mut all = match erasures_in(connect_live(live, self.options.busy_timeout).await).await {
            Err(StoreError::Missing { .. } | StoreError::Corrupt { .. }) => Vec::new(),
            result => result?,
        };
        all.extend(self.erased_by_backups().await?);
        Ok(latest(all))
    }

    /// The people who were erased before any of the backups was made.
    pub(super) async fn erased_by_backups(&self) -> StoreResult<Vec<Erasure>> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for backup in self.shelf.catalog.list().await? {
            let manifest = backup.manifest;
            // equal rows need not be read twice: getting a backup may be costly
            if manifest.dump.is_some()
                || manifest.rows.get(ERASURES) == Some(&0)
                || manifest.content.get(ERASURES).is_some_and(|digest| !seen.insert(digest.clone()))
            {
                continue;
            }
            let id = manifest.id.clone();
            match self.erasures_of(manifest).await {
                Ok(erased) => all.extend(erased),
                Err(error) => tracing::warn!(backup = %id, %error, "it cannot say who was erased"),
            }
        }
        Ok(all)
    }

    /// The people who were erased before a backup was made.
    async fn erasures_of(&self, manifest: BackupManifest) -> StoreResult<Vec<Erasure>> {
        let is_plain = manifest.stored().is_plain();
        let in_place = self.shelf.catalog.store().file(&copy_of(&manifest)).filter(|_| is_plain);
        let Some(file) = in_place else {
            let opened = self.shelf.open(manifest).await?;
            return erasures_in(connect_copy(&opened.file).await).await;
        };
        erasures_in(connect_copy(&file).await).await
    }

    /// Removes those from a copy who were erased after it was made.
    pub(super) async fn keep_out(&self, copy: &Path, erased: &[Erasure]) -> StoreResult<()> {
        let connection = connect_live(copy, self.options.busy_timeout).await?;
        let removed = async {
            let transaction = connection.begin().await.during("keeping erased people out")?;
            let removed = erasing::keep_out(&transaction, erased).await?;
            transaction.commit().await.during("keeping erased people out")?;
            // nothing of them stays in unused parts of the file
            connection.execute_unprepared("VACUUM").await.during("keeping erased people out")?;
            Ok(removed)
        };
        let removed = removed.await;
        let removed = close(connection, removed).await?;
        tracing::info!(people = removed, "erased people were kept out of the restored database");
        settle(copy).await
    }

    /// Brings a copy that is older than this program up to date, before anything else is touched:
    /// the process that goes on with it needs the present schema.
    pub(super) async fn migrate(&self, copy: &Path, version: &str) -> StoreResult<()> {
        let options = DatabaseOptions { url: DatabaseUrl::of_file(copy), ..self.options.clone() };
        let applied = schema::up(&options, None).await?;
        if applied.is_empty() {
            return Ok(());
        }
        tracing::info!(from = version, migrations = applied.len(), "the restored copy was migrated");
        settle(copy).await
    }

    /// Works while this process has no connection, and connects again whatever came of it.
    pub(super) async fn while_closed<T>(
        &self,
        core: &Core,
        work: impl Future<Output = StoreResult<T>>,
    ) -> StoreResult<T> {
        // granted when nobody uses a connection any more; new callers wait behind it
        let pools = tokio::time::timeout(PATIENCE, core.pools.write()).await;
        let mut pools = pools.map_err(|_| StoreError::Busy { what: core.name() })?;
        core.model.follow(None);
        let Some(open) = pools.take() else {
            // it was closed for good
            return work.await;
        };
        let done = match open.close().await {
            Ok(()) => work.await,
            Err(error) => Err(error),
        };
        match Pools::open(&core.options).await {
            Ok(open) => {
                // another file may have other rules under the same revision
                *core.rules.lock().unwrap_or_else(PoisonError::into_inner) = None;
                core.monitor.mended();
                let followed = core.follow(&open).await;
                *pools = Some(open);
                followed?;
            }
            Err(error) if done.is_ok() => return Err(error),
            Err(error) => tracing::error!(%error, "the database could not be opened again"),
        }
        done
    }

    /// Backs up or sets aside what is there, and puts the copy in its place.
    async fn swap(&self, id: &BackupId, live: PathBuf, staged: Scratch) -> StoreResult<Option<BackupInfo>> {
        let Some(held) = Held::take(&live, self.options.busy_timeout).await? else {
            let stamp = self.stamp();
            let swapped = blocking(move || {
                set_aside(&live, &stamp)?;
                exchange(&live, &staged)
            });
            return swapped.await.map(|()| None);
        };
        let swapped = self.swap_held(&held, id, live, staged).await;
        close(held.connection, swapped).await
    }

    async fn swap_held(
        &self,
        held: &Held,
        id: &BackupId,
        live: PathBuf,
        staged: Scratch,
    ) -> StoreResult<Option<BackupInfo>> {
        let reason = format!("before the restore of {id}");
        let previous = match self.copy_through(&held.connection, BackupKind::PreRestore, &reason).await {
            Ok(previous) => Some(previous),
            Err(StoreError::Corrupt { reason, .. }) => {
                tracing::warn!(database = %live.display(), reason, "the database cannot be backed up, it is set aside");
                None
            }
            Err(error) => return Err(error),
        };
        held.lock().await?;
        let aside = previous.is_none().then(|| self.stamp());
        blocking(move || {
            if let Some(stamp) = aside {
                set_aside(&live, &stamp)?;
            }
            exchange(&live, &staged)
        })
        .await?;
        Ok(previous)
    }

    pub(super) fn stamp(&self) -> String {
        self.shelf.clock.now().format("%Y%m%dt%H%M%Sz").to_string()
    }
}

/// Each erased person once: whoever was erased twice was so at the later time.
pub(super) fn latest(mut erased: Vec<Erasure>) -> Vec<Erasure> {
    erased.sort_by(|a, b| (&a.salt, &a.fingerprint, b.erased_at).cmp(&(&b.salt, &b.fingerprint, a.erased_at)));
    erased.dedup_by(|a, b| (&a.salt, &a.fingerprint) == (&b.salt, &b.fingerprint));
    erased
}

/// The people who were erased, by one database.
async fn erasures_in(connection: StoreResult<DatabaseConnection>) -> StoreResult<Vec<Erasure>> {
    let connection = connection?;
    let erased = async {
        dialect::require_text(&connection).await?;
        erasing::list(&connection).await
    };
    let erased = erased.await;
    close(connection, erased).await
}

/// Copies a file to the disk and proves the copy.
pub(super) fn copy_exactly(source: &Path, target: &Path, digest: &str) -> StoreResult<()> {
    let Some(mut from) = open_regular(source)? else { return Err(corrupt(source, "it is missing")) };
    let mut to = create_new(target)?;
    io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(failed(target))?;
    let Some(copied) = open_regular(target)? else { return Err(corrupt(target, "it is missing")) };
    if measure(target, copied)?.1 != digest {
        return Err(corrupt(source, "it changed after it was verified"));
    }
    Ok(())
}
