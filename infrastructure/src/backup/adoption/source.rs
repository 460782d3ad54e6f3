//! A file that a stranger wrote: looked at in a private copy, and refused unless it is what the original writes.
//!
//! Whatever is in it, looking costs no more than its size explains: the files together have a limit, SQLite's steps
//! are counted, nothing that the file declares is computed, and a last deadline is there for what one step may hide.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr};
use trivia_domain::model::RowCounts;
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::original;

use super::super::copy::{close, connect_foreign, lines};
use super::super::files::{Scratch, blocking, corrupt, failed};
use super::super::recovery::forensics::Frozen;
use super::ACTION;
use crate::database::{beside, writer};
use crate::error::{During, ENDLESS, is_constraint, is_damage, is_undecodable, translate};

/// What every SQLite database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Findings that are reported.
const MOST_PROBLEMS: u32 = 20;
/// Longest row that is read: the original's longest texts are those of chat messages.
const LONGEST_ROW: u32 = 256 * 1024;
/// Most bytes of a database and its log. The original's has some hundred for each player.
const LARGEST: u64 = 4 << 30;
/// Steps of SQLite to look at a file: these, and so many more for each byte. The shortest row has some fifteen bytes, and
/// needs some hundred steps.
const STEPS: u64 = 20_000_000;
const STEPS_PER_BYTE: u64 = 200;
/// How long looking may take in any case, and how much longer for each mebibyte.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_PER_MIB: Duration = Duration::from_secs(1);
/// What SQLite keeps beside a database that was not closed.
const LOGS: [&str; 2] = ["-wal", "-journal"];
/// What a rollback journal begins with, and ends with when several databases share a transaction.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// A database of the original: its files as they were found, and a copy that was looked at.
pub(super) struct Source {
    pub(super) frozen: Frozen,
    /// Its name, as the caller wrote it.
    path: PathBuf,
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
            refuse_if_open(&file)?;
            frozen.copy_to(&target)?;
            refuse_shared_journal(&live, &beside(&target, "-journal"))?;
            Ok(frozen)
        })
        .await?;
        // of the copy nobody has heard
        let rows = look(&copy).await.map_err(|error| renamed(error, path))?;
        Ok(Self { frozen, path: path.to_owned(), copy, rows })
    }

    /// What went wrong when its rows were copied: not all of the original's constraints are looked at before.
    pub(super) fn refused(&self, error: DbErr) -> StoreError {
        if is_constraint(&error) || is_undecodable(&error) {
            return corrupt(&self.path, &error.to_string());
        }
        translate(error, &format!("the database ({ACTION})"))
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
    let bytes = size(&file)?;
    if bytes > LARGEST {
        return Err(foreign(path, &format!("it has {bytes} bytes with its log, more than {LARGEST}")));
    }
    Ok(file)
}

/// Bytes of a database and its log.
fn size(database: &Path) -> StoreResult<u64> {
    let mut bytes = fs::metadata(database).map_err(failed(database))?.len();
    for suffix in LOGS {
        let log = beside(database, suffix);
        match fs::metadata(&log) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&log)(error)),
        }
    }
    Ok(bytes)
}

/// `Busy` when another process may write to a database, even if it does nothing at the moment.
pub(super) fn refuse_if_open(path: &Path) -> StoreResult<()> {
    let by = |id| StoreError::Busy { what: format!("{}, which process {id} has open,", path.display()) };
    writer(path).map_or(Ok(()), |id| Err(by(id)))
}

/// Refuses a journal that names a file for several databases: SQLite would delete that file, wherever it is.
fn refuse_shared_journal(path: &Path, journal: &Path) -> StoreResult<()> {
    let mut file = match File::open(journal) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(journal)(error)),
    };
    let mut end = [0; JOURNAL_MAGIC.len()];
    // one that is shorter ends with nothing
    let read = file.seek(SeekFrom::End(-(end.len() as i64))).and_then(|_| file.read_exact(&mut end));
    if read.is_ok() && end == JOURNAL_MAGIC {
        return Err(foreign(path, "its journal is of a transaction over several databases"));
    }
    Ok(())
}

/// Makes sure that a copy is whole and exactly of the original's schema, and counts its rows.
pub(super) async fn look(copy: &Path) -> StoreResult<RowCounts> {
    let mebibytes = u32::try_from(size(copy)? >> 20).unwrap_or(u32::MAX);
    look_within(copy, PATIENCE + PATIENCE_PER_MIB * mebibytes).await
}

/// [`look`] with another deadline.
pub(super) async fn look_within(copy: &Path, patience: Duration) -> StoreResult<RowCounts> {
    let bytes = size(copy)?;
    let looking = async {
        let steps = STEPS + bytes * STEPS_PER_BYTE;
        reduce(copy, steps).await?;
        // a log may put a page anywhere
        if size(copy)? > bytes {
            return Err(corrupt(copy, "its log makes it larger than both were"));
        }
        examine(copy, steps).await
    };
    let looked = tokio::time::timeout(patience, looking).await;
    // the thread of the driver ends with its step or with the process
    looked.unwrap_or_else(|_| Err(corrupt(copy, ENDLESS)))
}

/// Folds the log in and drops what the original did not declare, or refuses it.
async fn reduce(copy: &Path, steps: u64) -> StoreResult<()> {
    let connection = connect_foreign(copy, true, steps).await?;
    let reduced = async {
        connection.execute_unprepared("PRAGMA journal_mode = DELETE").await.during("reading the log")?;
        let encoding = lines(&connection, copy, "SELECT encoding AS line FROM pragma_encoding").await?;
        if encoding != ["UTF-8"] {
            return Err(foreign(copy, &format!("its texts are {}, not UTF-8", encoding.concat())));
        }
        if let Some(reason) = original::objection(&connection).await.during("reading the schema")? {
            return Err(foreign(copy, &reason));
        }
        original::drop_other_indexes(&connection).await.during("reading the schema")
    };
    let reduced = reduced.await;
    close(connection, reduced).await
}

/// Looks at every page, and counts the rows.
async fn examine(copy: &Path, steps: u64) -> StoreResult<RowCounts> {
    let connection = connect_foreign(copy, false, steps).await?;
    let looked = async {
        // pages of indexes are met in random order
        connection.execute_unprepared("PRAGMA cache_size = -64000").await.during("reading the pages")?;
        let pages = format!("SELECT integrity_check AS line FROM pragma_integrity_check LIMIT {MOST_PROBLEMS}");
        let problems: Vec<String> = lines(&connection, copy, &pages).await?;
        if problems != ["ok"] {
            return Err(corrupt(copy, &problems.join("; ")));
        }
        let mut rows = RowCounts::new();
        for (table, key, columns) in original::tables() {
            let length: Vec<_> = columns.iter().map(|column| format!("COALESCE(octet_length({column}), 0)")).collect();
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
