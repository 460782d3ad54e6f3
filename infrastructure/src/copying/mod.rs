//! Moving a game from one database to another, whatever the engines: the target is made the same as one moment of
//! the source. Going on after an interruption and catching up with a source that went on are the same thing.
//!
//! 1. Both sides are compared, row by row. If the target has anything of its own, nothing is changed.
//! 2. The target is marked as half of a game, so that nobody opens it.
//! 3. Rows that the source has not are removed, children first; then rows are written, parents first. Each batch is a
//!    transaction.
//! 4. The target is read again. When it is the same, it is whole.

mod compare;
mod lineage;
mod report;
mod row;
mod rows;
mod tables;
mod target;

use std::fs;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use sea_orm::{DatabaseConnection, DatabaseExecutor, DatabaseTransaction, TransactionTrait};
use trivia_domain::ports::{Phase, Progress};
use trivia_domain::{StoreError, StoreResult};

use self::compare::{Comparison, Difference};
use self::lineage::Lineage;
pub use self::report::{Content, CopiedTable, CopyReport};
use self::row::Row;
use self::rows::Rows;
use self::tables::{Change, Table};
use self::target::{BATCH, Found, Reading, Target, find};
use crate::backup::{Shown, Silent};
use crate::database::{DatabaseOptions, connect_existing};
use crate::dialect;
use crate::error::During;
use crate::schema;

/// The table of those whose newest facts are still to be counted.
const UNPROJECTED: &str = "unprojected";

/// Copies a game from one database to another: a file or a server, in either direction.
pub struct GameCopy {
    from: DatabaseOptions,
    to: DatabaseOptions,
    progress: Arc<dyn Progress>,
}

/// One moment of the source.
struct Source {
    name: String,
    connection: DatabaseConnection,
    moment: DatabaseTransaction,
}

impl Source {
    async fn open(options: &DatabaseOptions) -> StoreResult<Self> {
        schema::require_current(options).await?;
        let connection = connect_existing(options).await?;
        let moment = connection.begin_with_options(dialect::reading(connection.get_database_backend())).await;
        let moment = moment.during("reading the source")?;
        dialect::stay(&moment).await?;
        Ok(Self { name: options.url.name(), connection, moment })
    }

    fn rows<'a>(&'a self, table: &'a Table) -> Rows<'a> {
        Rows::new(DatabaseExecutor::Transaction(&self.moment), table, &self.name)
    }

    async fn close(self) -> StoreResult<()> {
        self.moment.rollback().await.during("closing the source")?;
        self.connection.close().await.during("closing the source")
    }
}

/// What is to be done with a table.
struct Plan {
    table: Table,
    missing: u64,
    changed: u64,
    surplus: u64,
    /// Bytes of the source's rows.
    bytes: u64,
    report: CopiedTable,
}

impl Plan {
    /// Whether rows must go before others can come.
    fn clears(&self) -> bool {
        let in_the_way = matches!(self.table.change, Change::Removed | Change::Aside(_)) && self.changed > 0;
        !self.table.is_derived() && (in_the_way || self.surplus > 0)
    }

    /// Whether rows are to be written.
    fn fills(&self) -> bool {
        !self.table.is_derived() && self.missing + self.changed > 0
    }
}

impl GameCopy {
    /// From one database to another. Nothing is opened yet.
    #[must_use]
    pub fn new(from: DatabaseOptions, to: DatabaseOptions) -> Self {
        Self { from, to, progress: Arc::new(Silent) }
    }

    /// The same, telling somebody how far it is.
    #[must_use]
    pub fn showing(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Says what [`run`](Self::run) would do, and changes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn rehearse(&self) -> StoreResult<CopyReport> {
        let _shown = Shown(Arc::clone(&self.progress));
        self.require_two()?;
        let source = Source::open(&self.from).await?;
        let found = find(&self.to).await?;
        let plans = if found.pending.is_empty() {
            let connection = connect_existing(&self.to).await?;
            let moment = dialect::reading(connection.get_database_backend());
            let moment = connection.begin_with_options(moment).await.during("reading the target")?;
            dialect::stay(&moment).await?;
            let reading = Reading::Transaction(moment);
            let plans = self.compare(&source, Some(&reading)).await;
            reading.end().await?;
            connection.close().await.during("closing a connection")?;
            plans?
        } else {
            self.compare(&source, None).await?
        };
        source.close().await?;
        let caught_up = if self.to.url.file().is_none() { waiting(&plans) } else { 0 };
        Ok(self.report(plans, true, found, caught_up))
    }

    /// Makes the target the same as the source is now. The source may be in use; nobody can write to the target
    /// meanwhile, and nobody can open it until it is whole. Interrupted anywhere, the next run goes on.
    ///
    /// The target is a database without a game, which gets its schema, or an earlier copy. A database on a server must
    /// be there.
    ///
    /// # Errors
    /// `Invalid` when the target has something that the source has not, or cannot store what the source has;
    /// `Incompatible` when a schema is another than that of this program; `Busy` when somebody uses the target;
    /// otherwise as [`Database::open`](crate::Database::open). All but those of a lost connection or a full disk are
    /// told before anything is changed.
    pub async fn run(&self) -> StoreResult<CopyReport> {
        let _shown = Shown(Arc::clone(&self.progress));
        self.require_two()?;
        let source = Source::open(&self.from).await?;
        let found = find(&self.to).await?;
        if !found.pending.is_empty() {
            schema::up(&self.to, None).await?;
        }
        let target = Target::open(&self.to).await?;
        let copied = self.copy(&source, &target, found).await;
        target.close().await?;
        source.close().await?;
        copied
    }

    async fn copy(&self, source: &Source, target: &Target<'_>, found: Found) -> StoreResult<CopyReport> {
        let reading = target.read().await?;
        let mut plans = self.compare(source, Some(&reading)).await?;
        reading.end().await?;
        let is_written = plans.iter().any(|plan| plan.clears() || plan.fills());
        if is_written {
            target.mark().await?;
            for plan in plans.iter().rev().filter(|plan| plan.clears()) {
                self.clear(source, target, plan).await?;
            }
            self.fill(source, target, &plans).await?;
            self.prove(target, &mut plans).await?;
        }
        let waiting = if target.is_server() { waiting(&plans) } else { 0 };
        // in a file, counts that triggers keep follow from the rest, whatever the source has
        let is_whole = plans.iter().all(|plan| plan.report.equal || plan.table.is_derived());
        if is_whole && (is_written || found.is_half) {
            let tables: Vec<_> = plans.iter().map(|plan| &plan.table).collect();
            target.finish(&tables).await?;
        }
        Ok(self.report(plans, false, found, waiting))
    }

    /// Looks at all rows of both sides, and refuses what cannot be done.
    async fn compare(&self, source: &Source, target: Option<&Reading<'_>>) -> StoreResult<Vec<Plan>> {
        let name = self.to.url.name();
        let mut lineage = Lineage::of(&source.moment).await?;
        let mut plans = Vec::new();
        let mut bytes = 0;
        for table in tables::all(self.to.url.file().is_some()) {
            let theirs = target.map(|target| Rows::new(target.executor(), &table, &name));
            let mut comparison = Comparison::new(source.rows(&table), theirs);
            let (mut missing, mut changed, mut surplus) = (0, 0, 0);
            while let Some(difference) = comparison.next().await? {
                self.progress.at(Phase::Check, bytes + comparison.bytes(), None);
                lineage.examine(&table, &difference);
                match difference {
                    Difference::Missing(row) => {
                        missing += 1;
                        self.require_storable(&table, &row)?;
                    }
                    Difference::Changed { source, .. } => {
                        changed += 1;
                        self.require_storable(&table, &source)?;
                    }
                    Difference::Surplus(_) => surplus += 1,
                }
            }
            let (skipped, read) = (comparison.same, comparison.bytes());
            bytes += read;
            let (source, target) = comparison.contents();
            let report = CopiedTable {
                table: table.name.to_owned(),
                equal: missing + changed + surplus == 0,
                copied: if table.is_derived() { 0 } else { missing + changed },
                removed: if table.is_derived() { 0 } else { surplus },
                skipped,
                source,
                target,
            };
            plans.push(Plan { table, missing, changed, surplus, bytes: read, report });
        }
        lineage.verdict(&name)?;
        Ok(plans)
    }

    /// Removes what the source has not, and what is in the way of rows that change.
    async fn clear(&self, source: &Source, target: &Target<'_>, plan: &Plan) -> StoreResult<()> {
        let table = &plan.table;
        let reading = target.read().await?;
        let mut comparison =
            Comparison::new(source.rows(table), Some(Rows::new(reading.executor(), table, &target.name)));
        let (mut gone, mut aside) = (Vec::new(), Vec::new());
        while let Some(difference) = comparison.next().await? {
            match (difference, table.change) {
                (Difference::Surplus(row), _) | (Difference::Changed { target: row, .. }, Change::Removed) => {
                    gone.push(row);
                }
                (Difference::Changed { target: mut row, .. }, Change::Aside(put)) => {
                    put(&mut row.values);
                    aside.push(row);
                }
                _ => {}
            }
            if gone.len() == BATCH {
                target.remove(table, &mem::take(&mut gone)).await?;
            }
            if aside.len() == BATCH {
                target.put(table, mem::take(&mut aside)).await?;
            }
        }
        drop(comparison);
        reading.end().await?;
        target.remove(table, &gone).await?;
        target.put(table, aside).await
    }

    /// Writes what is missing or has changed.
    async fn fill(&self, source: &Source, target: &Target<'_>, plans: &[Plan]) -> StoreResult<()> {
        let plans = || plans.iter().filter(|plan| plan.fills());
        let total = plans().map(|plan| plan.bytes).sum();
        let mut done = 0;
        for plan in plans() {
            let table = &plan.table;
            let reading = target.read().await?;
            let mut comparison =
                Comparison::new(source.rows(table), Some(Rows::new(reading.executor(), table, &target.name)));
            let mut batch = Vec::with_capacity(BATCH);
            while let Some(difference) = comparison.next().await? {
                match difference {
                    Difference::Missing(row) | Difference::Changed { source: row, .. } => batch.push(row),
                    // gone already
                    Difference::Surplus(_) => {}
                }
                if batch.len() == BATCH {
                    target.put(table, mem::take(&mut batch)).await?;
                    self.progress.at(Phase::Copy, done + comparison.bytes(), Some(total));
                }
            }
            done += comparison.bytes();
            drop(comparison);
            reading.end().await?;
            target.put(table, batch).await?;
            self.progress.at(Phase::Copy, done, Some(total));
        }
        Ok(())
    }

    /// Reads all of the target again.
    async fn prove(&self, target: &Target<'_>, plans: &mut [Plan]) -> StoreResult<()> {
        let total = plans.iter().map(|plan| plan.bytes).sum();
        let mut done = 0;
        let reading = target.read().await?;
        for plan in plans {
            let mut rows = Rows::new(reading.executor(), &plan.table, &target.name);
            while rows.next().await?.is_some() {
                self.progress.at(Phase::Check, done + rows.bytes(), Some(total));
            }
            done += rows.bytes();
            plan.report.target = rows.content();
            plan.report.equal = plan.report.source == plan.report.target;
        }
        reading.end().await
    }

    fn report(&self, plans: Vec<Plan>, dry_run: bool, found: Found, caught_up: u64) -> CopyReport {
        let tables: Vec<_> = plans.into_iter().map(|plan| plan.report).collect();
        CopyReport {
            from: self.from.url.to_string(),
            to: self.to.url.to_string(),
            dry_run,
            equal: tables.iter().all(|table| table.equal),
            migrations: found.pending,
            tables,
            caught_up,
        }
    }

    /// Refuses texts that PostgreSQL has no place for.
    fn require_storable(&self, table: &Table, row: &Row) -> StoreResult<()> {
        match row.column_with_nul().filter(|_| self.to.url.file().is_none()) {
            None => Ok(()),
            Some(at) => {
                let (column, row, name) = (table.column(at), row.name(), table.name);
                let reason = format!(
                    "column {column} of row {row} of {name} has a NUL character, which PostgreSQL cannot store"
                );
                Err(StoreError::invalid("text", reason))
            }
        }
    }

    /// Refuses a copy of a database into itself.
    fn require_two(&self) -> StoreResult<()> {
        let file = |options: &DatabaseOptions| {
            let data = fs::metadata(options.url.file()?).ok()?;
            Some((data.dev(), data.ino()))
        };
        let one = file(&self.from);
        if self.from.url == self.to.url || one.is_some() && one == file(&self.to) {
            return Err(StoreError::invalid("target", "it is the source"));
        }
        Ok(())
    }
}

/// Players whose newest facts are still to be counted.
fn waiting(plans: &[Plan]) -> u64 {
    plans.iter().find(|plan| plan.table.name == UNPROJECTED).map_or(0, |plan| plan.report.source.rows)
}
