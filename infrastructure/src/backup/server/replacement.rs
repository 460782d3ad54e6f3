//! Replacing all rows of a database by those of another one, in one transaction of each.
//!
//! Rows travel as text, as they are digested. They are deleted and inserted, not truncated and copied: whoever reads
//! meanwhile sees the old ones to the end, and waits for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures_util::TryStreamExt;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, StreamTrait};
use trivia_domain::ports::{Phase, Progress};
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::{Migrator, MigratorTrait};

use super::content::{Table, contents, fix_forms, tables, text};
use crate::error::During;

const REPLACING: &str = "replacing the rows";
/// Bytes of rows that travel together.
const BATCH: usize = 1 << 20;
/// Columns, constraints and indexes of the tables of the present schema.
const SHAPE: &str = "WITH ours AS (SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'p') \
        AND NOT relispartition AND relnamespace = current_schema()::regnamespace) \
    SELECT concat_ws(' ', 'table', relname, 'column', attname, format_type(atttypid, atttypmod), attnotnull) AS line \
        FROM ours JOIN pg_attribute ON attrelid = ours.oid WHERE attnum > 0 AND NOT attisdropped \
    UNION ALL SELECT concat_ws(' ', 'table', relname, pg_get_constraintdef(pg_constraint.oid)) \
        FROM ours JOIN pg_constraint ON conrelid = ours.oid WHERE contype IN ('c', 'f', 'p', 'u') \
    UNION ALL SELECT concat_ws(' ', 'table', ours.relname, 'index', indexes.relname) FROM ours \
        JOIN pg_index ON indrelid = ours.oid JOIN pg_class indexes ON indexes.oid = indexrelid WHERE indisvalid";
/// Which table refers to which.
const REFERENCES: &str = "SELECT CAST(child.relname AS TEXT) AS child, CAST(parent.relname AS TEXT) AS parent \
    FROM pg_constraint JOIN pg_class child ON child.oid = conrelid JOIN pg_class parent ON parent.oid = confrelid \
    WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND conrelid <> confrelid";
/// The counters of keys, with where they are.
const COUNTERS: &str = "SELECT CAST(c.relname AS TEXT) AS owner, CAST(a.attname AS TEXT) AS key, \
    pg_get_serial_sequence(quote_ident(c.relname), a.attname) AS counter FROM pg_class c \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
    AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL";

/// One transaction that reads and one that writes.
pub(super) struct Replacement<'a> {
    /// A database with the newest schema.
    pub(super) from: &'a DatabaseTransaction,
    /// The one whose rows are replaced.
    pub(super) into: &'a DatabaseTransaction,
    /// What the rows come from, for errors.
    pub(super) backup: String,
}

impl Replacement<'_> {
    /// Does it, and proves that the rows are the same then. What it changes lasts with the commit of `into`.
    pub(super) async fn make(&self, progress: &dyn Progress) -> StoreResult<()> {
        let expected = contents(self.from).await?;
        fix_forms(self.into).await?;
        let wanted = shape(self.from).await?;
        if !wanted.is_subset(&shape(self.into).await?) {
            Migrator::fresh(self.into).await.during("making the tables anew")?;
            if let Some(missing) = wanted.difference(&shape(self.into).await?).next() {
                let reason = format!("the schema of this program does not have what it has: {missing}");
                return Err(StoreError::Incompatible { what: self.backup.clone(), reason });
            }
        }
        let revision = revision(self.into).await?;
        let tables = self.parents_first().await?;
        for table in tables.iter().rev() {
            self.run(format!("DELETE FROM {}", table.quoted())).await?;
        }
        let mut copied = 0;
        for table in &tables {
            progress.at(Phase::Copy, copied, None);
            copied += self.copy(table).await?;
        }
        self.raise_counters().await?;
        progress.at(Phase::Check, 0, None);
        let found = contents(self.into).await?;
        if let Some((table, _)) =
            expected.content.iter().find(|(table, digest)| found.content.get(*table) != Some(digest))
        {
            let reason = format!("table {table} has other rows after it was copied");
            return Err(StoreError::Corrupt { what: self.backup.clone(), reason });
        }
        // hosts keep the rules by their revision: the same one must never mean others
        let raise = "UPDATE rule_book SET revision = GREATEST(revision, $1) + 1";
        let raise = Statement::from_sql_and_values(DbBackend::Postgres, raise, [revision.into()]);
        self.into.execute_raw(raise).await.during(REPLACING).map(drop)
    }

    async fn run(&self, sql: String) -> StoreResult<()> {
        self.into.execute_unprepared(&sql).await.during(REPLACING).map(drop)
    }

    /// The tables, each behind those that it refers to.
    async fn parents_first(&self) -> StoreResult<Vec<Table>> {
        let references = Statement::from_string(DbBackend::Postgres, REFERENCES);
        let mut parents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in self.from.query_all_raw(references).await.during(REPLACING)? {
            let child: String = row.try_get("", "child").during(REPLACING)?;
            parents.entry(child).or_default().insert(row.try_get("", "parent").during(REPLACING)?);
        }
        let (mut sorted, mut left) = (Vec::new(), tables(self.from).await?);
        let mut placed = BTreeSet::new();
        while !left.is_empty() {
            let is_free = |table: &Table| parents.get(&table.name).is_none_or(|parents| parents.is_subset(&placed));
            let (free, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_free);
            if free.is_empty() {
                let reason = "its tables refer to each other in a circle".to_owned();
                return Err(StoreError::Incompatible { what: self.backup.clone(), reason });
            }
            placed.extend(free.iter().map(|table| table.name.clone()));
            sorted.extend(free);
            left = others;
        }
        Ok(sorted)
    }

    /// Copies all rows of a table, with one statement at the end: rows may refer to others of their table.
    /// Returns their bytes.
    async fn copy(&self, table: &Table) -> StoreResult<u64> {
        let (name, columns) = (table.quoted(), table.columns.join(", "));
        self.run(format!(
            "DROP TABLE IF EXISTS pg_temp.incoming; \
             CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT {columns} FROM {name} WITH NO DATA"
        ))
        .await?;
        let mut rows = pin!(self.from.stream_raw(table.rows()).await.during(REPLACING)?);
        let (mut batch, mut bytes, mut copied) = (Vec::new(), 0, 0);
        while let Some(row) = rows.try_next().await.during(REPLACING)? {
            let row = text(&row)?;
            bytes += row.len();
            copied += row.len() as u64;
            batch.push(row);
            if bytes >= BATCH {
                self.stage(&std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        self.stage(&batch).await?;
        self.run(format!(
            "INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM pg_temp.incoming"
        ))
        .await?;
        Ok(copied)
    }

    async fn stage(&self, rows: &[String]) -> StoreResult<()> {
        let rows = serde_json::to_string(rows).map_err(|error| StoreError::backend(REPLACING, error))?;
        let stage = "INSERT INTO pg_temp.incoming SELECT (row).* FROM \
                     (SELECT CAST(line AS pg_temp.incoming) AS row FROM json_array_elements_text(CAST($1 AS json)) \
                      AS lines (line) OFFSET 0) AS rows";
        let stage = Statement::from_sql_and_values(DbBackend::Postgres, stage, [rows.into()]);
        self.into.execute_raw(stage).await.during(REPLACING).map(drop)
    }

    /// Lets no counter of keys fall behind: a key that was given is not given again. A counter does not go back with its
    /// transaction, and need not.
    async fn raise_counters(&self) -> StoreResult<()> {
        let counters = || Statement::from_string(DbBackend::Postgres, COUNTERS);
        let mut reached = BTreeMap::new();
        for row in self.from.query_all_raw(counters()).await.during(REPLACING)? {
            let text = |column: &str| row.try_get::<String>("", column).during(REPLACING);
            let last = format!("SELECT last_value AS last FROM {}", text("counter")?);
            let last = self.from.query_one_raw(Statement::from_string(DbBackend::Postgres, last)).await;
            let last: Option<i64> = last.during(REPLACING)?.and_then(|row| row.try_get("", "last").ok());
            reached.insert((text("owner")?, text("key")?), last.unwrap_or(1));
        }
        for row in self.into.query_all_raw(counters()).await.during(REPLACING)? {
            let text = |column: &str| row.try_get::<String>("", column).during(REPLACING);
            let (counter, key) = (text("counter")?, (text("owner")?, text("key")?));
            let Some(last) = reached.get(&key) else { continue };
            let raise = format!("SELECT setval($1::regclass, $2) FROM {counter} WHERE last_value < $2");
            let values = [counter.into(), (*last).into()];
            let raise = Statement::from_sql_and_values(DbBackend::Postgres, raise, values);
            self.into.query_one_raw(raise).await.during(REPLACING)?;
        }
        Ok(())
    }
}

async fn shape(connection: &impl ConnectionTrait) -> StoreResult<BTreeSet<String>> {
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, SHAPE)).await.during(REPLACING)?;
    rows.iter().map(text).collect()
}

/// The revision of the rules.
async fn revision(connection: &impl ConnectionTrait) -> StoreResult<i64> {
    let sql = "SELECT COALESCE(MAX(revision), 0) AS revision FROM rule_book";
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.during(REPLACING)?;
    row.map_or(Ok(0), |row| row.try_get("", "revision")).during(REPLACING)
}
