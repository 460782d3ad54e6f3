//! The drill: a restore that is tried in a place of its own, since only that proves that a backup is one.

use std::sync::Arc;

use trivia_domain::ports::{CheckOutcome, Clock, MaintenancePort};
use trivia_domain::{StoreError, StoreResult};

use super::SqliteBackups;
use super::files::blocking;
use super::restore::copy_exactly;
use super::shelf::{COPY, Opened};
use crate::database::{Database, DatabaseOptions, DatabaseUrl};
use crate::random::SystemRandom;
use crate::schema;

impl SqliteBackups {
    /// Restores a copy, and says what is wrong with it.
    pub(super) async fn rehearse_restore(&self, opened: Opened) -> StoreResult<Vec<String>> {
        let _open = self.gate.read().await;
        let Opened { manifest, file, place } = opened;
        let staging = self.shelf.staging.clone();
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
        let problems = try_out(&self.options, DatabaseUrl::of_file(place.file(COPY)), &self.shelf.clock).await;
        blocking(move || {
            drop(place);
            Ok(())
        })
        .await?;
        problems
    }
}

/// Opens a copy as a program would, brings it up to date, and looks at every derived number.
pub(super) async fn try_out(
    options: &DatabaseOptions,
    copy: DatabaseUrl,
    clock: &Arc<dyn Clock>,
) -> StoreResult<Vec<String>> {
    let options = DatabaseOptions { url: copy, backups: None, ..options.clone() };
    schema::up(&options, None).await?;
    let database = Database::open(options, Arc::clone(clock), Arc::new(SystemRandom)).await?;
    let checked = database.check().await;
    database.close().await?;
    match checked {
        CheckOutcome::Ok => Ok(Vec::new()),
        CheckOutcome::Bad { problems } => Ok(problems),
        CheckOutcome::CouldNotCheck { reason } => Err(StoreError::backend("checking a restored copy", reason)),
    }
}
