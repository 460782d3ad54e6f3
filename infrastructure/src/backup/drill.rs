//! The drill: a restore that is tried in a place of its own, since only that proves that a backup is one.

use std::sync::Arc;

use trivia_domain::model::{BackupId, Drill, Verification};
use trivia_domain::ports::{CheckOutcome, MaintenancePort};
use trivia_domain::{StoreError, StoreResult};

use super::SqliteBackups;
use super::files::blocking;
use super::restore::copy_exactly;
use super::verify::{COPY, Found, Opened};
use crate::database::{Database, DatabaseOptions, DatabaseUrl};
use crate::random::SystemRandom;
use crate::schema;

impl SqliteBackups {
    /// See [`BackupService::drill`](trivia_domain::ports::BackupService::drill).
    pub(super) async fn try_out(&self, id: &BackupId) -> StoreResult<Verification> {
        let _open = self.gate.read().await;
        let problems = match self.inspect(id).await? {
            Found::Good(opened) => match self.rehearse(*opened).await {
                Ok(problems) => problems,
                Err(StoreError::Corrupt { what, reason } | StoreError::Incompatible { what, reason }) => {
                    vec![format!("{what}: {reason}")]
                }
                // that it could not be tried says nothing about the backup
                Err(error) => return Err(error),
            },
            Found::Sealed { reason } => return Err(StoreError::NoKey { what: format!("backup {id}"), reason }),
            Found::Bad(problems) => problems,
        };
        let drill = Drill { at: self.clock.now(), ok: problems.is_empty() };
        self.catalog.note_drill(id, drill).await?;
        tracing::info!(backup = %id, ok = drill.ok, "drill made");
        Ok(Verification { id: id.clone(), ok: drill.ok, problems, unopened: None })
    }

    /// Restores a copy, and says what is wrong with it.
    async fn rehearse(&self, opened: Opened) -> StoreResult<Vec<String>> {
        let Opened { manifest, file, place } = opened;
        let staging = self.staging.clone();
        let place = blocking(move || match place {
            Some(place) if place.file(COPY) == file => Ok(place),
            // the digest of the copy is that of what was just examined
            _ => {
                let scratch = staging.drill_place()?;
                copy_exactly(&file, &scratch.file(COPY), &manifest.sha256)?;
                Ok(scratch)
            }
        })
        .await?;
        let problems = self.use_copy(DatabaseUrl::of_file(place.file(COPY))).await;
        blocking(move || {
            drop(place);
            Ok(())
        })
        .await?;
        problems
    }

    /// Opens a copy as a program would, brings it up to date, and looks at every derived number.
    async fn use_copy(&self, url: DatabaseUrl) -> StoreResult<Vec<String>> {
        let options = DatabaseOptions { url, backups: None, ..self.options.clone() };
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
