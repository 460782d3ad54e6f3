//! The way back: a version-1 database that the original's own code opens.

use std::fs;
use std::path::Path;

use trivia_domain::model::{OriginalExport, ServerClock};
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::original;

use super::super::copy::{close, connect_live, fold_log, vacuum_into};
use super::super::files::{Scratch, blocking, create_new, failed, sync_dir};
use super::super::swap::{COMPANIONS, STAGED, claim, refuse_if_locked, resolve, settle};
use super::source::look;
use super::{ForeignKeys, SqliteAdoption, appear, transfer};
use crate::database::beside;
use crate::error::During;
use crate::schema;

/// The present database, on its way down.
const PRESENT: &str = "present";

impl SqliteAdoption {
    /// Writes a database for the original, of one moment of ours; others may go on. Its times are what `server`
    /// shows. A file of that name is replaced when `replace` says so.
    ///
    /// # Errors
    /// `Missing` when there is no database, `Incompatible` when its schema is not that of this program, `Conflict`
    /// when the file exists, `DiskFull`, `ReadOnly`; there is no file then.
    pub async fn release(&self, file: &Path, server: ServerClock, replace: bool) -> StoreResult<OriginalExport> {
        schema::require_current(&self.backups.options).await?;
        let (target, present) = (file.to_owned(), self.backups.source().to_owned());
        let (target, staged) = blocking(move || {
            let target = resolve(&target)?;
            if target == resolve(&present)? {
                return Err(StoreError::invalid("file", "it is the database itself"));
            }
            if !replace && target.symlink_metadata().is_ok() {
                return Err(StoreError::conflict("file", target.display()));
            }
            let staged = claim(&target)?;
            create_new(&staged.file(PRESENT))?;
            Ok((target, staged))
        })
        .await?;
        let export = self.fill(file, server, &staged).await?;
        blocking(move || publish(&staged.file(STAGED), &target, replace)).await?;
        Ok(export)
    }

    async fn fill(&self, file: &Path, server: ServerClock, staged: &Scratch) -> StoreResult<OriginalExport> {
        let (present, copy) = (staged.file(PRESENT), staged.file(STAGED));
        let connection = connect_live(self.backups.source(), self.backups.options.busy_timeout).await?;
        let copied = vacuum_into(&connection, self.backups.source(), &present).await;
        close(connection, copied).await?;
        let down = self.options(&present);
        let steps = schema::status(&down).await?.applied.len().saturating_sub(1);
        schema::down(&down, u32::try_from(steps).unwrap_or(u32::MAX)).await?;
        fold_log(&present).await?;
        // a fresh file: the other one holds pages of what the original has no place for
        schema::up(&self.options(&copy), Some(1)).await?;
        let connection = connect_live(&copy, self.backups.options.busy_timeout).await?;
        let written = async {
            let written = transfer(&connection, &present, ForeignKeys::On, async || {
                original::give_back(&connection, server).await.during("writing a database for the original")
            })
            .await?;
            original::release(&connection).await.during("writing a database for the original")?;
            Ok(written)
        };
        let written = written.await;
        let (counts, changed) = close(connection, written).await?;
        // what `adopt` would not take is not what the original wrote
        look(&copy).await?;
        settle(&copy).await?;
        let rows = |table: &str| counts.get(table).copied().unwrap_or(0);
        Ok(OriginalExport {
            file: file.display().to_string(),
            users: rows("users"),
            questions: rows("questions"),
            achievements: rows("user_achievements"),
            rankings: rows("weekly_rankings"),
            sessions: rows("game_sessions"),
            clock: server,
            changed,
        })
    }
}

fn publish(file: &Path, target: &Path, replace: bool) -> StoreResult<()> {
    if !replace {
        return appear(file, target);
    }
    refuse_if_locked(target)?;
    // a log of the old file would be played into the new one
    for suffix in COMPANIONS {
        let path = beside(target, suffix);
        if path.symlink_metadata().is_ok() {
            return Err(StoreError::Busy { what: path.display().to_string() });
        }
    }
    fs::rename(file, target).map_err(failed(target))?;
    sync_dir(target.parent().unwrap_or(Path::new("/")))
}
