//! The way back from damage: a ladder whose every step works on new files.
//!
//! 0. All files are copied with their digests before anything looks at them; nobody may have them open.
//! 1. SQLite tries a copy. If nothing is wrong, nothing is done; if only indexes are, they are made anew.
//! 2. The base is the newest backup that passes verification, or an empty database.
//! 3. [`pages`] walks over the copies and finds the rows that are whole.
//! 4. [`merge`] and [`ledgers`] take what the base does not have; what is refused goes to [`quarantine`].
//! 5. Everything derived is folded anew, and the result must pass the whole check.
//! 6. The damaged file is set aside, the result takes its place in one rename and is backed up.
//!
//! Nothing is ever deleted. A crash before the rename leaves the damaged database, after it the result.

pub(super) mod forensics;
mod ledgers;
mod merge;
mod pages;
mod quarantine;
mod salvage;
mod sound;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, RecoveredTable, RecoveryReport, RecoverySource};
use trivia_domain::ports::{CheckOutcome, Clock, MaintenancePort, RecoveryService};
use trivia_domain::{StoreError, StoreResult};

use self::forensics::{FORENSICS, Frozen, Seal};
use self::merge::{Merged, Target, number, settle_derived};
use self::pages::Report;
use self::quarantine::Quarantine;
use self::salvage::salvage;
use self::tables::{MERGED, Shape, describe, quoted};
use super::copy::{close, connect_live, fold_log, lines};
use super::files::{Scratch, blocking, failed};
use super::restore::{copy_exactly, latest};
use super::swap::{Held, STAGED, claim, exchange, keep_owner, resolve, set_aside, settle, undo_half_a_swap};
use super::{BackupOptions, SqliteBackups};
use crate::database::{Database, DatabaseOptions, DatabaseUrl, HEAD, explained, loss};
use crate::error::{During, is_damage, translate};
use crate::random::SystemRandom;
use crate::repository::erasing;
use crate::schema;

/// Findings that are reported.
const MOST_PROBLEMS: u32 = 100;
/// The copy that SQLite tries, and the rows of the walk, beside [`STAGED`].
const TRIED: &str = "tried";
const SALVAGED: &str = "salvaged";
/// Most facts on one page: each has an id of sixteen bytes and more.
const FACTS_OF_A_PAGE: i64 = 64;
const ACTION: &str = "recovering";

/// Recovery of a damaged SQLite database.
#[derive(Clone)]
pub struct SqliteRecovery {
    backups: SqliteBackups,
}

/// What SQLite says of a copy.
enum Finding {
    Whole,
    /// Its indexes are wrong, and nothing else.
    Indexes(Vec<String>),
    Damaged(Vec<String>),
}

/// A result that is not live yet, and what is known of it.
struct Made {
    source: RecoverySource,
    backup: Option<BackupId>,
    tables: Vec<RecoveredTable>,
    lost_at_the_end: u64,
    unreadable_pages: u64,
}

impl SqliteRecovery {
    /// For a database that this process has not open.
    #[must_use]
    pub fn new(options: DatabaseOptions, backups: impl Into<BackupOptions>, clock: Arc<dyn Clock>) -> Self {
        Self { backups: SqliteBackups::new(options, backups, clock) }
    }

    /// For a database that this process has open: it is closed meanwhile, and callers wait.
    #[must_use]
    pub fn attached(database: &Database, backups: impl Into<BackupOptions>) -> Self {
        Self { backups: SqliteBackups::attached(database, backups) }
    }

    async fn climb(&self, dry_run: bool) -> StoreResult<RecoveryReport> {
        let (path, backups) = (self.backups.source().to_owned(), self.backups.shelf.staging.path().to_owned());
        let (live, frozen, staged) = blocking(move || {
            let live = resolve(&path)?;
            if !dry_run {
                undo_half_a_swap(&live)?;
            }
            let frozen = Frozen::take(&live, backups.join(FORENSICS))?;
            let staged = claim(&live)?;
            frozen.copy_to(&staged.file(TRIED))?;
            Ok((live, frozen, staged))
        })
        .await?;
        let mut report = RecoveryReport {
            source: RecoverySource::Nothing,
            dry_run,
            problems: Vec::new(),
            backup: None,
            tables: Vec::new(),
            rescued: 0,
            lost: 0,
            quarantined: 0,
            unreadable_pages: 0,
            forensics: None,
            quarantine: None,
            set_aside: None,
            new_backup: None,
        };
        let only_indexes = match self.look(&staged.file(TRIED), frozen.file(HEAD)).await? {
            Finding::Whole => return Ok(report),
            Finding::Indexes(problems) => {
                report.problems = problems;
                self.reindex(&staged).await?
            }
            Finding::Damaged(problems) => {
                report.problems = problems;
                false
            }
        };
        tracing::warn!(database = %live.display(), problems = report.problems.len(), "the database is damaged");
        let path = frozen.quarantine();
        let mut quarantine = blocking(move || Quarantine::new(path)).await?;
        let made = if only_indexes {
            self.of_indexes(&staged.file(STAGED)).await?
        } else {
            self.rebuild(&frozen, &staged, &mut quarantine).await?
        };
        let count = |count: fn(&RecoveredTable) -> u64| made.tables.iter().map(count).sum::<u64>();
        report.source = made.source;
        report.backup = made.backup.clone();
        report.rescued = count(|table| table.rows.saturating_sub(table.placeholders));
        report.lost = count(|table| table.placeholders) + made.lost_at_the_end;
        report.quarantined = count(|table| table.quarantined);
        report.unreadable_pages = made.unreadable_pages;
        report.tables = made.tables;
        let refused = quarantine.path().file_name().map(PathBuf::from).unwrap_or_default();
        blocking(move || quarantine.finish()).await?;
        if dry_run {
            return Ok(report);
        }
        let (stamp, kept) = (self.backups.stamp(), self.backups.stamp());
        let (kept, seal) = blocking(move || frozen.publish(&kept)).await?;
        let aside = self.swap(seal, live, staged, stamp).await?;
        report.quarantine = (report.quarantined > 0).then(|| kept.join(refused).display().to_string());
        report.forensics = Some(kept.display().to_string());
        report.set_aside = Some(aside.display().to_string());
        tracing::warn!(rescued = report.rescued, lost = report.lost, quarantined = report.quarantined, "recovered");
        Ok(report)
    }

    fn options(&self, path: &Path) -> DatabaseOptions {
        let url = DatabaseUrl::of_file(path);
        DatabaseOptions { url, backups: None, readers: 1, ..self.backups.options.clone() }
    }

    async fn open(&self, path: &Path) -> StoreResult<Database> {
        Database::open(self.options(path), Arc::clone(&self.backups.shelf.clock), Arc::new(SystemRandom)).await
    }

    /// What SQLite says of a copy that is ours alone: whatever it says of the content is damage, and whatever it
    /// says of the disk is an error.
    async fn look(&self, copy: &Path, head: Option<PathBuf>) -> StoreResult<Finding> {
        let damaged = |reason: String| Ok(Finding::Damaged(vec![reason]));
        match fs::metadata(copy) {
            Ok(file) if file.len() == 0 => return damaged("the file is empty".to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return damaged("there is a log, but no database".to_owned());
            }
            Err(error) => return Err(failed(copy)(error)),
        }
        let problems = async {
            let connection = connect_live(copy, self.backups.options.busy_timeout).await?;
            let pages = format!("SELECT integrity_check AS line FROM pragma_integrity_check LIMIT {MOST_PROBLEMS}");
            let problems = lines(&connection, copy, &pages).await;
            close(connection, problems).await
        };
        let mut problems = match problems.await {
            Ok(problems) => problems,
            Err(error) if is_damage(&error) => return damaged(reason(error)),
            Err(error) => return Err(error),
        };
        problems.retain(|line| line != "ok");
        if !problems.is_empty() {
            let are_indexes = problems.iter().all(|problem| is_about_an_index(problem));
            return Ok(if are_indexes { Finding::Indexes(problems) } else { Finding::Damaged(problems) });
        }
        match schema::status(&self.options(copy)).await {
            Ok(status) if status.applied.is_empty() => damaged("it has no tables of ours".to_owned()),
            // the check is that of the newest schema
            Ok(status) if !status.pending.is_empty() => Ok(Finding::Whole),
            Ok(_) => {
                let mut problems = self.check(copy).await?;
                if let Some(head) = head.filter(|_| problems.is_empty()) {
                    let connection = connect_live(copy, self.backups.options.busy_timeout).await?;
                    let lost = loss(&connection, &head).await;
                    problems.extend(close(connection, lost).await?);
                }
                Ok(if problems.is_empty() { Finding::Whole } else { Finding::Damaged(problems) })
            }
            Err(error) if is_damage(&error) => damaged(reason(error)),
            Err(error) => Err(error),
        }
    }

    /// Everything that the integrity check finds.
    async fn check(&self, copy: &Path) -> StoreResult<Vec<String>> {
        let database = match self.open(copy).await {
            Ok(database) => database,
            Err(error) if is_damage(&error) => return Ok(vec![reason(error)]),
            Err(error) => return Err(error),
        };
        let outcome = database.check().await;
        if let Err(error) = database.close().await {
            tracing::debug!(%error, "a copy was not closed properly");
        }
        match outcome {
            CheckOutcome::Ok => Ok(Vec::new()),
            CheckOutcome::Bad { problems } => Ok(problems),
            CheckOutcome::CouldNotCheck { reason } => Err(StoreError::backend("checking a copy", reason)),
        }
    }

    /// Makes the indexes of the copy anew; whether that mended everything. The copy is staged then.
    async fn reindex(&self, staged: &Scratch) -> StoreResult<bool> {
        let copy = staged.file(TRIED);
        let connection = connect_live(&copy, self.backups.options.busy_timeout).await?;
        let mended = async {
            connection.execute_unprepared("REINDEX").await.map_err(|error| translate(error, "a copy"))?;
            connection.execute_unprepared("PRAGMA journal_mode = DELETE").await.during(ACTION)
        };
        let mended = mended.await;
        match close(connection, mended).await {
            Ok(_) => {}
            // such as two rows with one key
            Err(error) => {
                tracing::warn!(%error, "the indexes could not be made anew");
                return Ok(false);
            }
        }
        if !self.check(&copy).await?.is_empty() {
            return Ok(false);
        }
        fold_log(&copy).await?;
        let target = staged.file(STAGED);
        blocking(move || fs::rename(&copy, &target).map_err(failed(&target))).await?;
        Ok(true)
    }

    /// What a copy has whose indexes alone were damaged.
    async fn of_indexes(&self, copy: &Path) -> StoreResult<Made> {
        let connection = connect_live(copy, self.backups.options.busy_timeout).await?;
        let counted = async {
            let mut tables = Vec::new();
            for table in MERGED {
                let rows = count(&connection, table).await?;
                tables.push(RecoveredTable {
                    table: table.to_owned(),
                    salvaged: rows,
                    rows,
                    ..RecoveredTable::default()
                });
            }
            Ok(tables)
        };
        let tables = counted.await;
        let tables = close(connection, tables).await?;
        settle(copy).await?;
        let source = RecoverySource::Indexes;
        Ok(Made { source, backup: None, tables, lost_at_the_end: 0, unreadable_pages: 0 })
    }

    /// Base, salvage, merge and proof.
    async fn rebuild(&self, frozen: &Frozen, staged: &Scratch, quarantine: &mut Quarantine) -> StoreResult<Made> {
        let copy = staged.file(STAGED);
        let backup = self.base(&copy).await?;
        let connection = connect_live(&copy, self.backups.options.busy_timeout).await?;
        let made = self.fill(&connection, frozen, &staged.file(SALVAGED), backup, quarantine).await;
        let mut made = close(connection, made).await?;
        let mut erased = self.backups.erased_by_backups().await?;
        let connection = connect_live(&copy, self.backups.options.busy_timeout).await?;
        let known = erasing::list(&connection).await;
        erased.extend(close(connection, known).await?);
        if !erased.is_empty() {
            self.backups.keep_out(&copy, &latest(erased)).await?;
        }
        let database = self.open(&copy).await?;
        let folded = async {
            database.rebuild().await?;
            match database.check().await {
                CheckOutcome::Ok => Ok(()),
                CheckOutcome::Bad { problems } => Err(StoreError::backend(
                    "proving what was recovered",
                    problems.into_iter().next().unwrap_or_default(),
                )),
                CheckOutcome::CouldNotCheck { reason } => {
                    Err(StoreError::backend("proving what was recovered", reason))
                }
            }
        };
        let folded = folded.await;
        let closed = database.close().await;
        folded.and(closed)?;
        fold_log(&copy).await?;
        let connection = connect_live(&copy, self.backups.options.busy_timeout).await?;
        let counted = async {
            for table in &mut made.tables {
                table.rows = count(&connection, &table.table).await?;
            }
            Ok(())
        };
        let counted = counted.await;
        close(connection, counted).await?;
        settle(&copy).await?;
        Ok(made)
    }

    /// The newest backup that is whole, in the newest schema; an empty database when there is none.
    async fn base(&self, copy: &Path) -> StoreResult<Option<BackupId>> {
        for backup in self.backups.shelf.catalog.list().await? {
            let id = backup.manifest.id;
            let opened = match self.backups.shelf.restorable(&self.backups, &id).await {
                // what the original wrote has other tables
                Ok(opened) if !opened.manifest.schema_version.bytes().all(|byte| byte.is_ascii_digit()) => opened,
                Ok(_) => continue,
                Err(StoreError::Corrupt { .. } | StoreError::Incompatible { .. } | StoreError::Missing { .. }) => {
                    tracing::warn!(backup = %id, "a backup is damaged or of another program, an older one is looked for");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (target, version) = (copy.to_owned(), opened.manifest.schema_version.clone());
            blocking(move || copy_exactly(&opened.file, &target, &opened.manifest.sha256)).await?;
            self.backups.migrate(copy, &version).await?;
            return Ok(Some(id));
        }
        schema::up(&self.options(copy), None).await?;
        Ok(None)
    }

    /// Salvages and merges.
    async fn fill(
        &self,
        connection: &DatabaseConnection,
        frozen: &Frozen,
        scratch: &Path,
        backup: Option<BackupId>,
        quarantine: &mut Quarantine,
    ) -> StoreResult<Made> {
        let shapes = describe(connection).await?;
        let mut tables = Vec::new();
        for table in MERGED {
            // what the migrations put into an empty database is no backup
            let base = if backup.is_some() { count(connection, table).await? } else { 0 };
            tables.push(RecoveredTable { table: table.to_owned(), base, ..RecoveredTable::default() });
        }
        let report = salvage(connection, frozen, scratch, &shapes).await?;
        let mut merged = Merged::default();
        let mut target = Target { connection, quarantine, merged: &mut merged };
        connection.execute_unprepared("BEGIN").await.during(ACTION)?;
        let lost_at_the_end = self.merge(&mut target, &shapes, holes(frozen, &report)?).await?;
        connection.execute_unprepared("COMMIT").await.during(ACTION)?;
        for table in &mut tables {
            let name = table.table.clone();
            let at = shapes.iter().position(|shape| shape.name() == name);
            let found = at.and_then(|at| report.tables.get(at)).copied().unwrap_or_default();
            (table.salvaged, table.damaged) = (found.rows, found.damaged);
            table.merged = merged.taken.get(&name).copied().unwrap_or(0);
            table.placeholders = merged.placeholders.get(&name).copied().unwrap_or(0);
            table.quarantined = quarantine.count(&name);
        }
        connection.execute_unprepared("DETACH DATABASE salvage").await.during(ACTION)?;
        let source = if backup.is_some() { RecoverySource::Backup } else { RecoverySource::Salvage };
        Ok(Made { source, backup, tables, lost_at_the_end, unreadable_pages: report.unreadable.len() as u64 })
    }

    /// Takes table by table, in an order in which rows follow what they refer to.
    async fn merge(&self, target: &mut Target<'_>, shapes: &[Shape], holes: i64) -> StoreResult<u64> {
        let shape = |name: &str| {
            let shape = shapes.iter().find(|shape| shape.name() == name);
            shape.ok_or_else(|| StoreError::backend(ACTION, format!("the schema has no table {name}")))
        };
        let now = self.backups.shelf.clock.now();
        target.follow_merges(shape("merges")?, shape("ledger")?).await?;
        for name in MERGED {
            let shape = shape(name)?;
            match name {
                "ledger" => target.take_ledgers(shape, holes, now).await?,
                "picks" => target.unite_picks(shape).await?,
                _ => target.take_table(shape).await?,
            }
            match name {
                "achievement_definitions" => target.keep_revisions_whole().await?,
                "questions" => target.stand_in_for_questions(now).await?,
                _ => {}
            }
        }
        settle_derived(target.connection, now).await?;
        target.lost_at_the_end(holes).await
    }

    /// Sets the damaged file aside and puts the result in its place; returns where the damaged one is.
    async fn swap(&self, seal: Seal, live: PathBuf, staged: Scratch, stamp: String) -> StoreResult<PathBuf> {
        blocking(move || seal.refuse_if_changed()).await?;
        let held = Held::take(&live, self.backups.options.busy_timeout).await?;
        let exchanged = |live: PathBuf| {
            blocking(move || {
                keep_owner(&staged.file(STAGED), &live);
                let aside = set_aside(&live, &stamp)?;
                exchange(&live, &staged)?;
                Ok(aside)
            })
        };
        let Some(held) = held else { return exchanged(live).await };
        let swapped = match held.lock().await {
            Ok(()) => exchanged(live).await,
            // it cannot be locked because of its damage, and nobody else can use it either
            Err(error) if is_damage(&error) => exchanged(live).await,
            Err(error) => Err(error),
        };
        close(held.connection, swapped).await
    }

    /// A verified backup of the result; without one the recovery stays what it is.
    async fn first_backup(&self) -> Option<BackupInfo> {
        match self.backups.copy(BackupKind::Recovered, "after `recover`").await {
            Ok(backup) => Some(backup),
            Err(error) => {
                tracing::error!(%error, "the recovered database has no backup yet; run `trivia-db backup create`");
                None
            }
        }
    }
}

#[async_trait]
impl RecoveryService for SqliteRecovery {
    fn is_needed(&self) -> bool {
        self.backups.core.as_ref().is_some_and(|core| core.monitor.refuse_if_damaged().is_err())
    }

    /// Copies of the damaged files, with digests, are in `forensics` in the directory of the backups then, and the
    /// file itself is beside the database.
    async fn recover(&self) -> StoreResult<RecoveryReport> {
        let recovery = self.clone();
        // a task of its own: a caller who goes away must not leave the database closed
        let done = tokio::spawn(async move {
            let _alone = recovery.backups.gate.write().await;
            let climb = recovery.climb(false);
            let climbed = match &recovery.backups.core {
                Some(core) => recovery.backups.while_closed(core, climb).await,
                None => climb.await,
            };
            let mut report = match climbed {
                Ok(report) => report,
                Err(error) => return Err(explained(error, recovery.backups.source()).await),
            };
            if report.source != RecoverySource::Nothing {
                report.new_backup = recovery.first_backup().await;
            }
            Ok(report)
        });
        done.await.unwrap_or_else(|error| Err(StoreError::backend(ACTION, error)))
    }

    async fn rehearse(&self) -> StoreResult<RecoveryReport> {
        let _alone = self.backups.gate.write().await;
        self.climb(true).await
    }
}

/// Why, without the path of a copy that is gone soon.
fn reason(error: StoreError) -> String {
    match error {
        StoreError::Corrupt { reason, .. } => reason,
        other => other.to_string(),
    }
}

/// Whether a finding of the integrity check is about an index and not about a table.
fn is_about_an_index(problem: &str) -> bool {
    let says = |part: &str| problem.contains(part);
    says(" missing from index ") || says("wrong # of entries in index ") || says("non-unique entry in index ")
}

/// How many facts may be missing between others: as many as there is damage for.
fn holes(frozen: &Frozen, report: &Report) -> StoreResult<i64> {
    // some more: a damaged number leaves a hole and no other trace
    let mut pages = (report.unreadable.len() + report.foreign.len()) as i64 + 4;
    if let Some(path) = frozen.file("") {
        // the header knows how long the file was before it was cut
        let mut header = [0; 100];
        let read = fs::File::open(&path).and_then(|mut file| std::io::Read::read(&mut file, &mut header));
        read.map_err(failed(&path))?;
        let was = i64::from(u32::from_be_bytes([header[28], header[29], header[30], header[31]]));
        // a damaged header may say anything
        pages += (was - i64::from(report.pages)).clamp(0, 1 << 24);
    }
    let cells: u64 = report.tables.iter().map(|found| found.damaged).sum();
    Ok(pages * FACTS_OF_A_PAGE + cells as i64)
}

async fn count(connection: &DatabaseConnection, table: &str) -> StoreResult<u64> {
    let rows = number(connection, &format!("SELECT COUNT(*) AS number FROM main.{}", quoted(table))).await?;
    Ok(u64::try_from(rows).unwrap_or(0))
}
