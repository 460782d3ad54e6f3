//! Rows that were refused, kept with the reason.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde::Serialize;
use serde_json::Value as Json;
use trivia_domain::{StoreError, StoreResult};

use super::super::files::{create_new, failed};
use super::tables::{Shape, quoted};
use crate::error::During;

/// Refused rows on their way to a file.
pub(super) struct Quarantine {
    path: PathBuf,
    file: BufWriter<File>,
    counts: BTreeMap<String, u64>,
}

/// One line of the file.
#[derive(Serialize)]
struct Refused<'a> {
    table: &'a str,
    /// The page of the damaged file, and the number that the row was stored under.
    page: i64,
    rowid: Option<i64>,
    reason: &'a str,
    /// Bytes are hexadecimal.
    values: Json,
}

impl Quarantine {
    pub(super) fn new(path: PathBuf) -> StoreResult<Self> {
        let file = BufWriter::new(create_new(&path)?);
        Ok(Self { path, file, counts: BTreeMap::new() })
    }

    /// Writes a salvaged row down.
    pub(super) async fn refuse(
        &mut self,
        connection: &DatabaseConnection,
        shape: &Shape,
        place: i64,
        reason: &str,
    ) -> StoreResult<()> {
        let action = "writing the quarantine";
        let value = |column: &super::pages::Column| {
            let (name, text) = (quoted(&column.name), column.name.replace('\'', "''"));
            format!("'{text}', CASE typeof({name}) WHEN 'blob' THEN hex({name}) ELSE {name} END")
        };
        let values: Vec<_> = shape.table.columns.iter().map(value).collect();
        let select = format!(
            "SELECT page, cell, json_object({}) AS content FROM salvage.{} WHERE place = {place}",
            values.join(", "),
            quoted(shape.name())
        );
        let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), select)).await;
        let Some(row) = row.during(action)? else { return Ok(()) };
        let content: String = row.try_get("", "content").during(action)?;
        let refused = Refused {
            table: shape.name(),
            page: row.try_get("", "page").during(action)?,
            rowid: row.try_get("", "cell").during(action)?,
            reason,
            values: serde_json::from_str(&content).unwrap_or(Json::String(content)),
        };
        let line = serde_json::to_string(&refused).map_err(|error| StoreError::backend(action, error))?;
        writeln!(self.file, "{line}").map_err(failed(&self.path))?;
        *self.counts.entry(shape.name().to_owned()).or_default() += 1;
        Ok(())
    }

    /// Refused rows of a table.
    pub(super) fn count(&self, table: &str) -> u64 {
        self.counts.get(table).copied().unwrap_or(0)
    }

    /// Puts everything on the disk.
    pub(super) fn finish(mut self) -> StoreResult<()> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed(&self.path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
