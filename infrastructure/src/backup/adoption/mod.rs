//! Moving in: a database of the original becomes one of ours, and the way back.
//!
//! 1. The files of the original, which nobody may have open, are copied before SQLite sees them; they are never
//!    written. A second copy is looked at: it must be whole and of exactly the original's schema.
//! 2. Its rows are copied into a fresh version-1 database, with their times in UTC, and the migrations carry them
//!    along. What could not be taken as it was is in quarantine, and in the report.
//! 3. The result is proved: every row is accounted for, every number follows from the ledger, the check finds nothing.
//! 4. It appears under its name in one step, and is backed up.
//!
//! A crash before 4 leaves everything as it was.

mod archive;
mod release;
mod source;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, Statement};
use trivia_domain::model::{AdoptionReport, BackupInfo, BackupKind, OddRow, QuestionId, ServerClock};
use trivia_domain::ports::{CheckOutcome, Clock, MaintenancePort, Repositories};
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::original::{self, TakenOver};
use uuid::Uuid;

use self::source::{Source, refuse_if_open};
use super::copy::{close, connect_live, fold_log};
use super::files::{Scratch, blocking, failed, sync_dir};
use super::restore::latest;
use super::swap::{COMPANIONS, Held, STAGED, claim, exchange, keep_owner, resolve, settle};
use super::{BackupOptions, SqliteBackups};
use crate::database::{Database, DatabaseOptions, DatabaseUrl, beside};
use crate::error::During;
use crate::random::SystemRandom;
use crate::scheduler::refuse_if_served;
use crate::schema;

/// Directory of what was adopted in place, inside that of the backups. Retention never looks into it.
const ORIGINALS: &str = "originals";
const ACTION: &str = "adopting";

/// Takes databases of the original over, and writes them.
#[derive(Clone)]
pub struct SqliteAdoption {
    backups: SqliteBackups,
}

impl SqliteAdoption {
    /// For the database that these options name: it is the one that [`Self::adopt`] makes, that
    /// [`Self::adopt_in_place`] takes over, and that [`Self::release`] writes for the original.
    #[must_use]
    pub fn new(options: DatabaseOptions, backups: impl Into<BackupOptions>, clock: Arc<dyn Clock>) -> Self {
        Self { backups: SqliteBackups::new(options, backups, clock) }
    }

    /// Makes a new database from a file of the original, which stays as it is. `server` is the clock that its
    /// times were read from.
    ///
    /// # Errors
    /// `Conflict` when there is a database already, `Missing` when there is no file, `Incompatible` when it is none
    /// of the original or of another version, `Busy` when somebody uses it, `Corrupt` when it is damaged; nothing
    /// was changed then.
    pub async fn adopt(&self, file: &Path, server: ServerClock) -> StoreResult<AdoptionReport> {
        let target = self.backups.source().to_owned();
        let (live, staged) = blocking(move || {
            let live = resolve(&target)?;
            refuse_if_served(&live)?;
            refuse_existing(&live)?;
            let staged = claim(&live)?;
            Ok((live, staged))
        })
        .await?;
        let source = Source::take(file, staged.file("files"), &staged).await?;
        let mut report = self.make(&source, &staged, server).await?;
        blocking(move || {
            drop(source);
            keep_owner(&staged.file(STAGED), &live);
            appear(&staged.file(STAGED), &live)
        })
        .await?;
        report.backup = self.first_backup().await;
        Ok(report)
    }

    /// Takes the original's database over where it is. Its files are kept in `originals` in the directory of the
    /// backups, byte for byte and with digests.
    ///
    /// # Errors
    /// As [`Self::adopt`].
    pub async fn adopt_in_place(&self, server: ServerClock) -> StoreResult<AdoptionReport> {
        let target = self.backups.source().to_owned();
        if !target.exists() {
            return Err(StoreError::missing("file", target.display()));
        }
        let (live, staged) = blocking(move || {
            let live = resolve(&target)?;
            refuse_if_served(&live)?;
            let staged = claim(&live)?;
            Ok((live, staged))
        })
        .await?;
        let root = self.backups.shelf.staging.path().join(ORIGINALS);
        let source = Source::take(&live, root, &staged).await?;
        let mut report = self.make(&source, &staged, server).await?;
        let stamp = self.backups.stamp();
        let (kept, seal) = blocking(move || source.frozen.publish(&stamp)).await?;
        let path = live.clone();
        blocking(move || {
            refuse_if_served(&path)?;
            refuse_if_open(&path)?;
            seal.refuse_if_changed()
        })
        .await?;
        let Some(held) = Held::take(&live, self.backups.options.busy_timeout).await? else {
            return Err(StoreError::Busy { what: live.display().to_string() });
        };
        let swapped = match held.lock().await {
            Ok(()) => {
                blocking(move || {
                    keep_owner(&staged.file(STAGED), &live);
                    exchange(&live, &staged)
                })
                .await
            }
            Err(error) => Err(error),
        };
        close(held.connection, swapped).await?;
        report.original = Some(kept.display().to_string());
        report.backup = self.first_backup().await;
        Ok(report)
    }

    fn options(&self, path: &Path) -> DatabaseOptions {
        let url = DatabaseUrl::of_file(path);
        DatabaseOptions { url, backups: None, readers: 1, ..self.backups.options.clone() }
    }

    /// Fills the staged file and proves it.
    async fn make(&self, source: &Source, staged: &Scratch, server: ServerClock) -> StoreResult<AdoptionReport> {
        let copy = staged.file(STAGED);
        // up to here its tables are still the original's, beside a place for what is odd about them
        schema::up(&self.options(&copy), Some(2)).await?;
        let connection = connect_live(&copy, self.backups.options.busy_timeout).await?;
        let taken = transfer(&connection, &source.copy, ForeignKeys::Off, async || {
            original::take_over(&connection, server).await.map_err(|error| source.refused(error))
        })
        .await;
        let taken = close(connection, taken).await?;
        schema::up(&self.options(&copy), None).await?;
        let connection = connect_live(&copy, self.backups.options.busy_timeout).await?;
        let accounted = account(&connection, &taken, source).await;
        let repaired = close(connection, accounted).await?;
        let erased = self.backups.erased_by_backups().await?;
        if !erased.is_empty() {
            self.backups.keep_out(&copy, &latest(erased)).await?;
        }
        self.prove(&copy, &taken.to_retire).await?;
        fold_log(&copy).await?;
        settle(&copy).await?;
        let rows = |table: &str| taken.counts.get(table).copied().unwrap_or(0);
        tracing::info!(users = rows("users"), odd = repaired.len(), "a database of the original was converted");
        Ok(AdoptionReport {
            database: self.backups.options.url.to_string(),
            users: rows("users"),
            questions: rows("questions"),
            achievements: rows("user_achievements"),
            rankings: rows("weekly_rankings"),
            sessions: rows("game_sessions"),
            clock: server,
            repaired,
            original: None,
            backup: None,
        })
    }

    /// Opens the result as a program would: nothing may be wrong with it.
    async fn prove(&self, copy: &Path, to_retire: &[i64]) -> StoreResult<()> {
        let random = Arc::new(SystemRandom);
        let database = Database::open(self.options(copy), Arc::clone(&self.backups.shelf.clock), random).await?;
        let proved = async {
            for id in to_retire {
                match database.questions().retire(QuestionId::new(*id)?).await {
                    // it is in quarantine
                    Ok(()) | Err(StoreError::Missing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let unproved = |problem: String| Err(StoreError::backend("proving what was adopted", problem));
            if let Some(drift) = database.verify().await?.first() {
                return unproved(format!("{} {}: {} is {}", drift.table, drift.id, drift.column, drift.stored));
            }
            match database.check().await {
                CheckOutcome::Ok => Ok(()),
                CheckOutcome::Bad { problems } => unproved(problems.into_iter().next().unwrap_or_default()),
                CheckOutcome::CouldNotCheck { reason } => unproved(reason),
            }
        };
        let proved = proved.await;
        let closed = database.close().await;
        proved.and(closed)
    }

    /// A verified backup of the result; without one the adoption stays what it is.
    async fn first_backup(&self) -> Option<BackupInfo> {
        match self.backups.copy(BackupKind::Initial, "after `adopt`").await {
            Ok(backup) => Some(backup),
            Err(error) => {
                tracing::error!(%error, "the adopted database has no backup yet; run `trivia-db backup create`");
                None
            }
        }
    }
}

/// Whether references are enforced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ForeignKeys {
    On,
    Off,
}

/// Runs a copy from the file `old` in one transaction.
async fn transfer<T>(
    connection: &DatabaseConnection,
    old: &Path,
    foreign_keys: ForeignKeys,
    copy: impl AsyncFnOnce() -> StoreResult<T>,
) -> StoreResult<T> {
    let Some(path) = old.to_str() else {
        return Err(StoreError::invalid("path", format!("{} is not UTF-8", old.display())));
    };
    let run = async |sql: &str| connection.execute_unprepared(sql).await.during(ACTION).map(drop);
    if foreign_keys == ForeignKeys::Off {
        run("PRAGMA foreign_keys = OFF").await?;
    }
    let attach =
        Statement::from_sql_and_values(connection.get_database_backend(), "ATTACH DATABASE ? AS old", [path.into()]);
    connection.execute_raw(attach).await.during(ACTION)?;
    run("BEGIN").await?;
    let copied = copy().await?;
    run("COMMIT").await?;
    run("DETACH DATABASE old").await?;
    Ok(copied)
}

/// Makes sure that each row of the original is in its table or in quarantine, and tells what is odd.
async fn account(connection: &DatabaseConnection, taken: &TakenOver, source: &Source) -> StoreResult<Vec<OddRow>> {
    #[derive(FromQueryResult)]
    struct Counted {
        rows: i64,
    }
    #[derive(FromQueryResult)]
    struct Noted {
        source: String,
        source_id: String,
        problem: String,
        repaired: bool,
    }
    let query = |sql: String| Statement::from_string(connection.get_database_backend(), sql);
    for (table, ours) in [
        ("users", "users"),
        ("questions", "questions"),
        ("user_achievements", "user_achievements"),
        ("weekly_rankings", "rankings"),
        ("game_sessions", "game_sessions"),
    ] {
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM {ours}) + COUNT(*) AS \"rows\" FROM quarantine \
             WHERE source = '{table}' AND NOT repaired"
        );
        let found = Counted::find_by_statement(query(sql)).one(connection).await.during(ACTION)?;
        let found = found.and_then(|found| u64::try_from(found.rows).ok());
        let (had, read) = (source.rows.get(table).copied(), taken.counts.get(table).copied());
        if found != had || found != read {
            let reason = format!("table {table} had {had:?} rows, {read:?} were read and {found:?} are there");
            return Err(StoreError::backend("proving what was adopted", reason));
        }
    }
    let notes = "SELECT source, source_id, problem, repaired FROM quarantine ORDER BY id".to_owned();
    let notes = Noted::find_by_statement(query(notes)).all(connection).await.during(ACTION)?;
    let odd = notes.into_iter().map(|note| {
        let Noted { source, source_id, problem, repaired } = note;
        // the question of a session was a column of it
        match old_session(&source, &source_id) {
            Some(id) => OddRow { table: "game_sessions".to_owned(), id: id.to_string(), problem, taken: true },
            None => OddRow { table: source, id: source_id, problem, taken: repaired },
        }
    });
    Ok(odd.collect())
}

/// The original's number of a session whose question is in quarantine.
fn old_session(source: &str, id: &str) -> Option<u64> {
    let id: Uuid = id.parse().ok().filter(|_| source == "session_questions")?;
    Some(id.as_u64_pair().1)
}

/// `Conflict` when there is a database, or a log that SQLite would play into a new one.
fn refuse_existing(live: &Path) -> StoreResult<()> {
    for path in [live.to_owned()].into_iter().chain(COMPANIONS.map(|suffix| beside(live, suffix))) {
        if path.symlink_metadata().is_ok() {
            return Err(StoreError::conflict("database", path.display()));
        }
    }
    Ok(())
}

/// Gives a finished file its name, if nobody has it.
fn appear(file: &Path, name: &Path) -> StoreResult<()> {
    refuse_existing(name)?;
    // unlike a rename, a link never replaces what another process has put there meanwhile
    match fs::hard_link(file, name) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(StoreError::conflict("database", name.display()));
        }
        // not every file system has links
        Err(_) => fs::rename(file, name).map_err(failed(name))?,
    }
    sync_dir(name.parent().unwrap_or(Path::new("/")))
}
