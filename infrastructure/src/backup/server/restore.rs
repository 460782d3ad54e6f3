//! The way back: a verified dump becomes the content of the living database in one transaction.
//!
//! 1. The backup is verified, restored into a scratch database, compared with its manifest and brought to the schema of
//!    this program; nothing was touched yet.
//! 2. One transaction goes through the gate alone: nobody else writes until it ends; other hosts wait, or are told that
//!    it is busy. What is there becomes a backup.
//! 3. Whoever was erased since the backup was made is removed from the scratch database.
//! 4. The same transaction replaces all rows (see [`Replacement`]), compares what is there then, and commits.
//!
//! A crash before the COMMIT leaves the old rows, after it the new ones; who reads meanwhile sees the old ones.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, TransactionTrait};
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, BackupManifest};
use trivia_domain::ports::RestoreReport;
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::{Migrator, MigratorTrait};

use super::content::tables;
use super::programs::Programs;
use super::replacement::Replacement;
use super::scratch::Scratch;
use super::{PostgresBackups, origin_of};
use crate::backup::restore::{ERASURES, latest};
use crate::database::{DatabaseOptions, connect_existing};
use crate::dialect::{self, Gate};
use crate::error::{During, translate};
use crate::repository::erasing::{self, Erasure};
use crate::schema;

const RESTORING: &str = "restoring a backup";
/// How long writers under way may take to end before a restore gives up.
const PATIENCE: &str = "SET LOCAL lock_timeout = '30s'";

impl PostgresBackups {
    /// See [`BackupService::restore`](trivia_domain::ports::BackupService::restore).
    pub(super) async fn bring_back(&self, id: &BackupId) -> StoreResult<RestoreReport> {
        let opened = self.shelf.restorable(self, id).await?;
        let scratch = Scratch::make(&self.options).await?;
        let brought = async {
            self.fill(&scratch, &opened).await?;
            schema::up(&scratch.options, None).await?;
            let erased = self.erased_by_backups().await?;
            self.replace(id, &scratch.options, erased).await
        };
        let brought = brought.await;
        scratch.remove().await;
        let previous = brought?;
        if let Some(core) = &self.core {
            *core.rules.lock().unwrap_or_else(PoisonError::into_inner) = None;
            core.monitor.mended();
        }
        tracing::info!(backup = %id, "backup restored");
        if let Err(error) = self.tidy().await {
            tracing::warn!(%error, "rows that were replaced are removed later, by the server itself");
        }
        Ok(RestoreReport { restored: self.shelf.catalog.info(id).await?, previous })
    }

    /// The people who were erased before any of the backups was made.
    async fn erased_by_backups(&self) -> StoreResult<Vec<Erasure>> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for backup in self.shelf.catalog.list().await? {
            let manifest = backup.manifest;
            let knows_nobody = manifest.rows.get(ERASURES).is_none_or(|rows| *rows == 0);
            // equal rows need not be read twice: getting a backup may be costly
            let is_known = manifest.content.get(ERASURES).is_some_and(|digest| !seen.insert(digest.clone()));
            if manifest.dump.is_none() || knows_nobody || is_known {
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
        let opened = self.shelf.open(manifest).await?;
        let origin = origin_of(&opened)?;
        let programs = Programs::find(&origin.program).await?;
        let scratch = Scratch::make(&self.options).await?;
        let erased = async {
            scratch.load(&programs, &opened, origin, Some(ERASURES)).await?;
            let connection = connect_existing(&scratch.options).await?;
            let erased = erasing::list(&connection).await;
            connection.close().await.during(RESTORING)?;
            erased
        };
        let erased = erased.await;
        scratch.remove().await;
        erased
    }

    /// Puts the rows of another database in the place of those of the living one, in one transaction.
    async fn replace(
        &self,
        id: &BackupId,
        scratch: &DatabaseOptions,
        erased: Vec<Erasure>,
    ) -> StoreResult<Option<BackupInfo>> {
        let living = connect_existing(&self.options).await?;
        let source = connect_existing(scratch).await?;
        let replaced = self.replace_through(id, &living, &source, erased).await;
        source.close().await.during(RESTORING)?;
        living.close().await.during(RESTORING)?;
        replaced
    }

    async fn replace_through(
        &self,
        id: &BackupId,
        living: &DatabaseConnection,
        source: &DatabaseConnection,
        mut erased: Vec<Erasure>,
    ) -> StoreResult<Option<BackupInfo>> {
        let name = self.options.url.name();
        // it ends with the connection, of which there is one
        if !dialect::lock_schema(living).await? {
            return Err(StoreError::Busy { what: name });
        }
        let writing = dialect::writing(DbBackend::Postgres);
        let transaction = living.begin_with_options(writing).await.during(RESTORING)?;
        dialect::stay(&transaction).await?;
        transaction.execute_unprepared(PATIENCE).await.during(RESTORING)?;
        dialect::enter(&transaction, Gate::Alone).await?;
        self.require_known(&transaction).await?;
        match erased_here(&transaction).await {
            Ok(here) => erased.extend(here),
            Err(StoreError::Corrupt { reason, .. }) => tracing::warn!(reason, "only the backups say who was erased"),
            Err(error) => return Err(error),
        }
        let previous = self.keep(id, &transaction).await?;

        if !erased.is_empty() {
            let changing = source.begin().await.during(RESTORING)?;
            let removed = erasing::keep_out(&changing, &latest(erased)).await?;
            changing.commit().await.during(RESTORING)?;
            tracing::info!(people = removed, "erased people were kept out of the restored database");
        }
        let moment = source.begin_with_options(dialect::reading(DbBackend::Postgres)).await.during(RESTORING)?;
        dialect::stay(&moment).await?;
        let replacement = Replacement { from: &moment, into: &transaction, backup: format!("backup {id}") };
        replacement.make(&*self.shelf.progress).await?;
        transaction.commit().await.map_err(|error| match translate(error, &name) {
            StoreError::Unreachable { reason, .. } => {
                let reason = format!("{reason}; the database has the old rows or those of the backup, and no others");
                StoreError::OutcomeUnknown { reason }
            }
            other => other,
        })?;
        Ok(previous)
    }

    /// Refuses a database that a newer program made.
    async fn require_known(&self, transaction: &DatabaseTransaction) -> StoreResult<()> {
        let version = schema::version(transaction).await?;
        if version.is_empty() || Migrator::migrations().iter().any(|known| known.name() == version) {
            return Ok(());
        }
        let reason = format!("its schema has {version}, which this program does not know");
        Err(StoreError::Incompatible { what: self.options.url.name(), reason })
    }

    /// Backs up what is there; what cannot be read is set aside, as a schema of another name.
    async fn keep(&self, id: &BackupId, transaction: &DatabaseTransaction) -> StoreResult<Option<BackupInfo>> {
        if tables(transaction).await?.is_empty() {
            return Ok(None);
        }
        let damage = match self.copy(BackupKind::PreRestore, &format!("before the restore of {id}")).await {
            Ok(previous) => return Ok(Some(previous)),
            Err(StoreError::Corrupt { reason, .. }) => reason,
            Err(error) => return Err(error),
        };
        let stamp = self.shelf.clock.now().format("%Y%m%dt%H%M%Sz");
        let aside = format!(
            "DO $$ DECLARE present TEXT := current_schema(); BEGIN \
             EXECUTE format('ALTER SCHEMA %I RENAME TO %I', present, left(present, 30) || '_damaged_{stamp}'); \
             EXECUTE format('CREATE SCHEMA %I', present); END $$"
        );
        transaction.execute_unprepared(&aside).await.during(RESTORING)?;
        tracing::warn!(
            database = self.options.url.name(),
            reason = damage,
            "the database cannot be backed up, its schema is set aside under a name with `damaged`"
        );
        Ok(None)
    }

    /// Gives the space of the replaced rows back to their tables, and tells the planner what is there now.
    async fn tidy(&self) -> StoreResult<()> {
        let connection = connect_existing(&self.options).await?;
        let tidied = async {
            for table in tables(&connection).await? {
                let vacuum = format!("VACUUM (ANALYZE) {}", table.quoted());
                connection.execute_unprepared(&vacuum).await.during("tidying up")?;
            }
            Ok(())
        };
        let tidied = tidied.await;
        connection.close().await.during("tidying up")?;
        tidied
    }
}

/// The people who were erased, by the living database; a failure does not end its transaction.
async fn erased_here(transaction: &DatabaseTransaction) -> StoreResult<Vec<Erasure>> {
    let attempt = transaction.begin().await.during(RESTORING)?;
    let erased = erasing::list(&attempt).await;
    attempt.rollback().await.during(RESTORING)?;
    erased
}
