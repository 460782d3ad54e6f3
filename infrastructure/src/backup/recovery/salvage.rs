//! What the page walk finds, brought into a database of its own, so that SQL can compare it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value as Bound};
use tokio::sync::mpsc;
use trivia_domain::{StoreError, StoreResult};

use super::super::files::{blocking, create_new, failed};
use super::forensics::Frozen;
use super::pages::{Origin, Pages, Report, Row, Value};
use super::tables::{MERGED, Shape, quoted};
use crate::database::KEPT;
use crate::error::During;

/// Rows that are on their way together.
const BATCH: usize = 256;
/// Values of one statement; SQLite takes 32,766.
const VALUES: usize = 16_000;
const ACTION: &str = "keeping salvaged rows";

/// Walks over the copies and puts every whole row into `salvage.<table>`, in the order of their trust: column
/// `place` counts them, `page` and `cell` say where they were. Rows of free pages are left out: they were
/// deleted.
pub(super) async fn salvage(
    connection: &DatabaseConnection,
    frozen: &Frozen,
    scratch: &Path,
    shapes: &[Shape],
) -> StoreResult<Report> {
    create_new(scratch)?;
    let attach = Statement::from_sql_and_values(
        connection.get_database_backend(),
        "ATTACH DATABASE ? AS salvage",
        [scratch.display().to_string().into()],
    );
    connection.execute_raw(attach).await.during(ACTION)?;
    // it is thrown away in the end
    for pragma in ["PRAGMA salvage.synchronous = OFF", "PRAGMA salvage.journal_mode = MEMORY"] {
        connection
            .query_all_raw(Statement::from_string(connection.get_database_backend(), pragma))
            .await
            .during(ACTION)?;
    }
    for shape in shapes.iter().filter(|shape| MERGED.contains(&shape.name())) {
        let columns = shape.table.columns.iter().zip(&shape.types);
        let columns: Vec<_> = columns.map(|(column, kind)| format!("{} {kind}", quoted(&column.name))).collect();
        let create = format!(
            "CREATE TABLE salvage.{} (place INTEGER PRIMARY KEY, page INTEGER, cell INTEGER, {})",
            quoted(shape.name()),
            columns.join(", ")
        );
        connection.execute_unprepared(&create).await.during(ACTION)?;
    }
    let (sender, mut rows) = mpsc::channel(4);
    let walked = tokio::spawn(blocking(walk(frozen, shapes, sender)));
    connection.execute_unprepared("BEGIN").await.during(ACTION)?;
    while let Some(batch) = rows.recv().await {
        store(connection, shapes, batch).await?;
    }
    connection.execute_unprepared("COMMIT").await.during(ACTION)?;
    let report = walked.await.unwrap_or_else(|error| Err(StoreError::backend("walking over the pages", error)))?;
    for shape in shapes.iter().filter(|shape| MERGED.contains(&shape.name())) {
        let index = format!(
            "CREATE INDEX salvage.{} ON {} ({})",
            quoted(&format!("by_key_of_{}", shape.name())),
            quoted(shape.name()),
            shape.key_columns()
        );
        connection.execute_unprepared(&index).await.during(ACTION)?;
    }
    Ok(report)
}

/// The walk, which sends batches of rows.
fn walk(
    frozen: &Frozen,
    shapes: &[Shape],
    sender: mpsc::Sender<Vec<Row>>,
) -> impl FnOnce() -> StoreResult<Report> + Send + use<> {
    let tables: Vec<_> = shapes.iter().map(|shape| shape.table.clone()).collect();
    let is_merged: Vec<bool> = shapes.iter().map(|shape| MERGED.contains(&shape.name())).collect();
    // without a file there may still be a log
    let file = frozen.file("").unwrap_or_else(|| Path::new("/dev/null").to_owned());
    let is_used = |log: &PathBuf| fs::metadata(log).is_ok_and(|log| log.len() > 0);
    // SQLite has folded in and deleted the log since; what it did not trust is in the kept one alone
    let log = frozen.file("-wal").filter(is_used).or_else(|| frozen.file(KEPT));
    move || {
        let unreadable = failed(&file);
        let log = log.map(|log| File::open(&log).map_err(failed(&log))).transpose()?;
        let database = File::open(&file).map_err(&unreadable)?;
        let mut pages = Pages::open(database, log, &tables).map_err(&unreadable)?;
        let mut batch = Vec::with_capacity(BATCH);
        let gone = || StoreError::backend(ACTION, "nobody takes them");
        let mut take = |row: Row| {
            if row.origin == Origin::Free || !is_merged.get(row.table).is_some_and(|is_merged| *is_merged) {
                return Ok(());
            }
            batch.push(row);
            if batch.len() < BATCH {
                return Ok(());
            }
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            sender.blocking_send(full).map_err(|_| gone())
        };
        let mut report = pages.walk(&mut take)?;
        for ambiguous in report.ambiguous.clone() {
            // under each of the tables: checks and keys tell later which one it is
            for table in ambiguous.tables {
                let found = pages.read_as(ambiguous.page, table, &mut take)?;
                if let Some(sum) = report.tables.get_mut(table) {
                    sum.rows += found.rows;
                }
            }
        }
        pages.behind(&mut take)?;
        sender.blocking_send(batch).map_err(|_| gone())?;
        Ok(report)
    }
}

async fn store(connection: &DatabaseConnection, shapes: &[Shape], batch: Vec<Row>) -> StoreResult<()> {
    let mut rest = batch.into_iter().peekable();
    while let Some(first) = rest.next() {
        let Some(shape) = shapes.get(first.table) else { continue };
        let width = shape.table.columns.len() + 2;
        let mut rows = vec![first];
        while let Some(next) = rest.next_if(|next| next.table == rows[0].table && rows.len() < VALUES / width) {
            rows.push(next);
        }
        let marks = format!("({})", vec!["?"; width].join(", "));
        let insert = format!(
            "INSERT INTO salvage.{} (page, cell, {}) VALUES {}",
            quoted(shape.name()),
            shape.columns(),
            vec![marks.as_str(); rows.len()].join(", ")
        );
        let mut values: Vec<Bound> = Vec::with_capacity(rows.len() * width);
        for row in rows {
            values.extend([i64::from(row.page).into(), row.rowid.into()]);
            let missing = shape.table.columns.len() - row.values.len().min(shape.table.columns.len());
            values.extend(row.values.into_iter().map(bound));
            values.extend((0..missing).map(|_| bound(Value::Null)));
        }
        let insert = Statement::from_sql_and_values(connection.get_database_backend(), insert, values);
        connection.execute_raw(insert).await.during(ACTION)?;
    }
    Ok(())
}

fn bound(value: Value) -> Bound {
    match value {
        Value::Null => Option::<i64>::None.into(),
        Value::Integer(value) => value.into(),
        Value::Real(value) => value.into(),
        Value::Text(value) => value.into(),
        Value::Blob(value) => value.into(),
    }
}
