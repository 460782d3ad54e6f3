//! What is in a database on a server at one moment, and what is in a dump.
//!
//! The digest of a table is the SHA-256 over its rows in the order of the primary key, each a line of its own:
//! `ROW(...)::text` over the columns in their declared order, under [`SETTINGS`]. Texts of a key are in the order of
//! their bytes (`COLLATE "C"`). So the same rows have the same digest on every server, whatever its language and zone.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;

use futures_util::TryStreamExt;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, StreamTrait};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use trivia_domain::model::{LedgerHead, RowCounts};
use trivia_domain::{StoreError, StoreResult};

use super::programs::Programs;
use crate::backup::content::Contents;
use crate::backup::files::hex;
use crate::error::During;
use crate::repository::rules;
use crate::schema;

const READING: &str = "reading what is in the database";
/// The table of facts.
const LEDGER: &str = "ledger";
/// The table of versions of the schema.
const VERSIONS: &str = "schema_version";
/// How values are written as text.
const SETTINGS: &str = "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; \
    SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1";

/// A table of the present schema.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    /// Quoted, in their declared order.
    pub(super) columns: Vec<String>,
    /// What rows are sorted by.
    order: String,
}

/// The tables of the present schema, by name.
pub(super) async fn tables(connection: &impl ConnectionTrait) -> StoreResult<Vec<Table>> {
    let sql = "SELECT CAST(c.relname AS TEXT) AS name, quote_ident(a.attname) AS column, \
               a.attcollation <> 0 AS is_text, array_position(i.indkey::int2[], a.attnum) AS place \
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               AND a.attgenerated = '' \
               LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') \
               AND NOT c.relispartition ORDER BY c.relname, a.attnum";
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.during(READING)?;
    let mut found: BTreeMap<String, (Vec<String>, BTreeMap<i32, String>)> = BTreeMap::new();
    for row in &rows {
        let column: String = row.try_get("", "column").during(READING)?;
        let (columns, key) = found.entry(row.try_get("", "name").during(READING)?).or_default();
        if let Some(place) = row.try_get("", "place").during(READING)? {
            let is_text: bool = row.try_get("", "is_text").during(READING)?;
            key.insert(place, format!("{column}{}", if is_text { " COLLATE \"C\"" } else { "" }));
        }
        columns.push(column);
    }
    let table = |(name, (columns, key)): (String, (Vec<String>, BTreeMap<i32, String>))| {
        let order = if key.is_empty() {
            format!("{} COLLATE \"C\"", line(&columns))
        } else {
            key.into_values().collect::<Vec<_>>().join(", ")
        };
        Table { name, columns, order }
    };
    Ok(found.into_iter().map(table).collect())
}

/// A row as text.
fn line(columns: &[String]) -> String {
    format!("(ROW({})::text)", columns.join(", "))
}

impl Table {
    /// All rows as text, in their order.
    pub(super) fn rows(&self) -> Statement {
        let sql = format!("SELECT {} AS line FROM {} ORDER BY {}", line(&self.columns), self.quoted(), self.order);
        Statement::from_string(DbBackend::Postgres, sql)
    }

    /// Its name in a statement.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }
}

/// Makes the transaction write values as digests need them.
pub(super) async fn fix_forms(connection: &impl ConnectionTrait) -> StoreResult<()> {
    connection.execute_unprepared(SETTINGS).await.during(READING).map(drop)
}

/// The text of a row.
pub(super) fn text(row: &QueryResult) -> StoreResult<String> {
    row.try_get("", "line").during(READING)
}

/// What is in the tables of the present schema. The connection is a transaction that reads one moment.
pub(super) async fn contents(connection: &(impl ConnectionTrait + StreamTrait)) -> StoreResult<Contents> {
    fix_forms(connection).await?;
    let (mut rows, mut content) = (RowCounts::new(), BTreeMap::new());
    for table in tables(connection).await? {
        let (mut hash, mut number) = (Sha256::new(), 0);
        let mut lines = pin!(connection.stream_raw(table.rows()).await.during(READING)?);
        while let Some(row) = lines.try_next().await.during(READING)? {
            hash.update(text(&row)?.as_bytes());
            hash.update(b"\n");
            number += 1;
        }
        rows.insert(table.name.clone(), number);
        content.insert(table.name, hex(&hash.finalize()));
    }
    let schema_version = schema::version(connection).await?;
    let ledger = match rows.get(LEDGER) {
        Some(facts) => Some(LedgerHead { facts: *facts, newest: rules::newest_fact(connection).await? }),
        None => None,
    };
    Ok(Contents { schema_version, rows, content, ledger, problems: Vec::new() })
}

/// What a dump says that it has, by reading all of it: tables, how many rows each has, and the version of the schema.
pub(super) async fn contents_of_dump(programs: &Programs, dump: &Path) -> StoreResult<Contents> {
    let name = dump.display().to_string();
    let mut run = programs.read().arg("--data-only").arg(dump).start()?;
    let mut rows = RowCounts::new();
    let mut versions = Vec::new();
    if let Some(output) = run.output.take() {
        let mut lines = BufReader::new(output);
        let (mut line, mut table) = (Vec::new(), None);
        let failed = |error| StoreError::backend(format!("reading what pg_restore says about {name}"), error);
        while lines.read_until(b'\n', &mut line).await.map_err(failed)? > 0 {
            // a row is one line: what breaks lines is written in other words
            match (&table, line.as_slice()) {
                (None, line) => {
                    table = copied(line);
                    if let Some(table) = &table {
                        rows.insert(table.clone(), 0);
                    }
                }
                (Some(_), b"\\.\n") => table = None,
                (Some(table), line) => {
                    *rows.entry(table.clone()).or_default() += 1;
                    if table == VERSIONS {
                        let version = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
                        versions.push(String::from_utf8_lossy(version).trim_end().to_owned());
                    }
                }
            }
            line.clear();
        }
    }
    run.finish(&name).await.map_err(|error| match error {
        StoreError::Backend { source, .. } => StoreError::Corrupt { what: name.clone(), reason: source.to_string() },
        other => other,
    })?;
    let schema_version = versions.into_iter().max().unwrap_or_default();
    Ok(Contents { schema_version, rows, content: BTreeMap::new(), ledger: None, problems: Vec::new() })
}

/// The table that the rows after this line belong to: `COPY schema.table (columns) FROM stdin;`.
fn copied(line: &[u8]) -> Option<String> {
    let line = str::from_utf8(line).ok()?.strip_prefix("COPY ")?;
    let table = line.strip_suffix(" FROM stdin;\n")?.split_once(" (")?.0;
    table.strip_suffix('"').map_or_else(
        || table.rsplit_once('.').map(|(_, table)| table.to_owned()),
        |quoted| quoted.rsplit_once(".\"").map(|(_, table)| table.replace("\"\"", "\"")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rows_is_known() {
        let table = |line: &str| copied(line.as_bytes());
        assert_eq!(table("COPY public.ledger (user_id, seq) FROM stdin;\n").as_deref(), Some("ledger"));
        assert_eq!(table("COPY \"a.b\".\"odd \"\"name\" (a) FROM stdin;\n").as_deref(), Some("odd \"name"));
        assert_eq!(table("SET client_encoding = 'UTF8';\n"), None);
    }
}
