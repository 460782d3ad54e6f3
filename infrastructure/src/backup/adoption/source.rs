//! A file that a stranger wrote: looked at in a private copy, and refused unless it is what the original writes.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use trivia_domain::model::RowCounts;
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::original;

use super::super::copy::{close, connect_whole, fold_log, lines};
use super::super::files::{Scratch, blocking, corrupt, failed};
use super::super::recovery::forensics::Frozen;
use crate::error::{During, is_damage};

/// What every SQLite database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Findings that are reported.
const MOST_PROBLEMS: u32 = 20;
/// Longest row that is read: the original's longest texts are those of chat messages.
const LONGEST_ROW: u32 = 256 * 1024;

/// A database of the original: its files as they were found, and a copy that was looked at.
pub(super) struct Source {
    pub(super) frozen: Frozen,
    /// The copy, one file without a log.
    pub(super) copy: PathBuf,
    /// Rows of each table.
    pub(super) rows: RowCounts,
}

impl Source {
    /// Copies the files of `path`, which nobody may have open, to `root`, and looks at a second copy in `scratch`.
    pub(super) async fn take(path: &Path, root: PathBuf, scratch: &Scratch) -> StoreResult<Self> {
        let (live, copy) = (path.to_owned(), scratch.file("source"));
        let target = copy.clone();
        let frozen = blocking(move || {
            let file = regular(&live)?;
            let frozen = Frozen::take(&file, root)?;
            frozen.copy_to(&target)?;
            Ok(frozen)
        })
        .await?;
        // of the copy nobody has heard
        let rows = look(&copy).await.map_err(|error| renamed(error, path))?;
        Ok(Self { frozen, copy, rows })
    }
}

/// The file behind links, which must be one.
fn regular(path: &Path) -> StoreResult<PathBuf> {
    let file = match fs::canonicalize(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::missing("file", path.display()));
        }
        Err(error) => return Err(failed(path)(error)),
    };
    let metadata = fs::metadata(&file).map_err(failed(path))?;
    if !metadata.is_file() {
        return Err(foreign(path, "it is no file"));
    }
    if metadata.len() == 0 {
        return Err(foreign(path, "it is empty"));
    }
    let mut start = Vec::with_capacity(MAGIC.len());
    let read = File::open(&file).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
    read.map_err(failed(path))?;
    if start != MAGIC {
        return Err(foreign(path, "it is not a SQLite database"));
    }
    Ok(file)
}

/// Makes sure that a copy is whole and exactly of the original's schema, and counts its rows.
pub(super) async fn look(copy: &Path) -> StoreResult<RowCounts> {
    fold_log(copy).await?;
    let connection = connect_whole(copy).await?;
    let looked = async {
        // the schema first: nothing that a stranger declared is run
        if let Some(reason) = original::objection(&connection).await.during("reading the schema")? {
            return Err(foreign(copy, &reason));
        }
        let pages = format!("SELECT integrity_check AS line FROM pragma_integrity_check LIMIT {MOST_PROBLEMS}");
        let problems: Vec<String> = lines(&connection, copy, &pages).await?;
        if problems != ["ok"] {
            return Err(corrupt(copy, &problems.join("; ")));
        }
        let mut rows = RowCounts::new();
        for (table, key, columns) in original::tables() {
            let length: Vec<_> =
                columns.iter().map(|column| format!("COALESCE(length(CAST({column} AS BLOB)), 0)")).collect();
            let long = format!(
                "SELECT CAST({key} AS TEXT) AS line FROM {table} WHERE {} > {LONGEST_ROW} LIMIT 1",
                length.join(" + ")
            );
            if let Some(id) = lines(&connection, copy, &long).await?.first() {
                return Err(foreign(copy, &format!("row {id} of {table} is longer than {LONGEST_ROW} bytes")));
            }
            let count = format!("SELECT CAST(COUNT(*) AS TEXT) AS line FROM {table}");
            let count = lines(&connection, copy, &count).await?;
            rows.insert(table.to_owned(), count.first().and_then(|count| count.parse().ok()).unwrap_or(0));
        }
        Ok(rows)
    };
    let looked = looked.await;
    close(connection, looked).await
}

/// It is not what was expected.
fn foreign(path: &Path, reason: &str) -> StoreError {
    StoreError::Incompatible { what: path.display().to_string(), reason: reason.to_owned() }
}

/// The same error about the file that the caller named.
fn renamed(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Incompatible { reason, .. } => foreign(path, &reason),
        StoreError::Corrupt { reason, .. } => corrupt(path, &reason),
        error if is_damage(&error) => corrupt(path, &error.to_string()),
        other => other,
    }
}
