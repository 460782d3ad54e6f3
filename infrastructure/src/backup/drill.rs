//! The drill: a restore that is tried in a place of its own, since only that proves that a backup is one.

use std::sync::Arc;

use trivia_domain::model::{BackupId, BackupManifest, Drill, Verification};
use trivia_domain::ports::{CheckOutcome, MaintenancePort};
use trivia_domain::{StoreError, StoreResult};

use super::SqliteBackups;
use super::content::examine;
use super::files::{Scratch, blocking};
use super::restore::copy_exactly;
use super::verify::{differences, inspect};
use crate::database::{Database, DatabaseOptions, DatabaseUrl};
use crate::random::SystemRandom;
use crate::schema;

/// The copy, in a directory of its own.
const COPY: &str = "trivia.db";

impl SqliteBackups {
    /// See [`BackupService::drill`](trivia_domain::ports::BackupService::drill).
    pub(super) async fn try_out(&self, id: &BackupId) -> StoreResult<Verification> {
        let _open = self.gate.read().await;
        let problems = match inspect(&self.directory, id).await? {
            Ok(manifest) => match self.rehearse(&manifest).await {
                Ok(problems) => problems,
                Err(StoreError::Corrupt { what, reason } | StoreError::Incompatible { what, reason }) => {
                    vec![format!("{what}: {reason}")]
                }
                // that it could not be tried says nothing about the backup
                Err(error) => return Err(error),
            },
            Err(problems) => problems,
        };
        let drill = Drill { at: self.clock.now(), ok: problems.is_empty() };
        let (directory, noted) = (self.directory.clone(), id.clone());
        blocking(move || directory.note_drill(&noted, drill)).await?;
        tracing::info!(backup = %id, ok = drill.ok, "drill made");
        Ok(Verification { id: id.clone(), ok: drill.ok, problems })
    }

    /// Restores a copy, and says what is wrong with it.
    async fn rehearse(&self, manifest: &BackupManifest) -> StoreResult<Vec<String>> {
        let (directory, source, digest) =
            (self.directory.clone(), self.directory.copy(&manifest.id), manifest.sha256.clone());
        let scratch: Scratch = blocking(move || {
            let scratch = directory.drill_place()?;
            copy_exactly(&source, &scratch.file(COPY), &digest)?;
            Ok(scratch)
        })
        .await?;
        let copy = scratch.file(COPY);
        let mut problems = differences(examine(&copy).await?, manifest);
        if problems.is_empty() {
            problems = self.use_copy(DatabaseUrl::of_file(&copy)).await?;
        }
        blocking(move || {
            drop(scratch);
            Ok(())
        })
        .await?;
        Ok(problems)
    }

    /// Opens a copy as a program would, brings it up to date, and looks at every derived number.
    async fn use_copy(&self, url: DatabaseUrl) -> StoreResult<Vec<String>> {
        let options = DatabaseOptions { url, backup_dir: None, ..self.options.clone() };
        schema::up(&options, None).await?;
        let database = Database::open(options, Arc::clone(&self.clock), Arc::new(SystemRandom)).await?;
        let checked = database.check().await;
        database.close().await?;
        match checked {
            CheckOutcome::Ok => Ok(Vec::new()),
            CheckOutcome::Bad { problems } => Ok(problems),
            CheckOutcome::CouldNotCheck { reason } => Err(StoreError::backend("checking a restored copy", reason)),
        }
    }
}
