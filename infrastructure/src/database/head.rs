//! A note of the last commit in `<database>-head`. A write-ahead log that is lost, cut or damaged takes whole
//! commits with it, and SQLite opens what is left without a word: only something outside of both can tell.
//!
//! The note is never ahead of the log: it is written after the commit and before anybody is told. It is not flushed
//! to the disk, since the log is; a note that is older than the database says nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult, Statement};
use sha2::{Digest, Sha256};
use trivia_domain::StoreResult;
use uuid::Uuid;

use super::locks::is_locked;
use crate::error::During;

/// What the name of the note has behind that of the database.
pub(crate) const SUFFIX: &str = "-head";
/// The log under another name, until it is known that nothing of it is missing.
pub(crate) const KEPT: &str = "-wal-kept";
/// Length of a note: generation, number, digest of both, with a blank between them and a line end.
const LENGTH: usize = 32 + 1 + 20 + 1 + 16 + 1;

/// The note beside one database.
#[derive(Debug)]
pub(crate) struct Head {
    database: PathBuf,
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    generation: Uuid,
    /// Some of the commits that are noted are gone.
    is_lost: bool,
}

/// How many commits there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
struct Count {
    /// Changes when the counting begins anew.
    generation: Uuid,
    number: i64,
}

impl Head {
    pub(crate) fn new(database: &Path) -> Self {
        Self { database: database.to_owned(), path: beside(database, SUFFIX), open: Mutex::default() }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes the commits of this process from now on. Says what is wrong when the database lacks some that were noted
    /// before; the note stays as it is then, unless `forgive`.
    pub(crate) async fn follow(&self, connection: &impl ConnectionTrait, forgive: bool) -> StoreResult<Option<String>> {
        *self.open() = None;
        // see `loss`
        let noted = read(&self.path);
        let Some(stored) = count(connection).await? else { return Ok(None) };
        // a database that was closed, or one that somebody put there, comes without a log
        let was_open = fs::metadata(beside(&self.database, KEPT)).is_ok_and(|log| log.len() > 0);
        let loss = noted.and_then(|noted| noted.compare(stored, was_open));
        let is_lost = loss.is_some() && !forgive;
        match OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.path) {
            Ok(file) => *self.open() = Some(Open { file, generation: stored.generation, is_lost }),
            Err(error) => self.warn(&error),
        }
        if !is_lost {
            discard(&self.database);
        }
        let says_nothing = noted.is_none_or(|noted| noted.generation != stored.generation);
        if !is_lost && (says_nothing || loss.is_some()) {
            self.note(stored.number);
        }
        Ok(loss)
    }

    /// Notes a commit that was made.
    pub(crate) fn note(&self, number: i64) {
        let mut open = self.open();
        let Some(Open { file, generation, .. }) = &*open else { return };
        if let Err(error) = file.write_all_at(Count { generation: *generation, number }.to_line().as_bytes(), 0) {
            self.warn(&error);
            *open = None;
        }
    }

    /// The database is closed: without a log there is nothing that could be lost, unless it is already.
    pub(crate) fn close(&self) {
        if self.open().take().is_some_and(|open| !open.is_lost)
            && !beside(&self.database, "-wal").exists()
            && let Err(error) = forget(&self.database)
        {
            tracing::debug!(path = %self.path.display(), %error, "the note of the last commit stays");
        }
    }

    fn warn(&self, error: &io::Error) {
        tracing::warn!(path = %self.path.display(), %error, "a loss of the newest commits could not be noticed");
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn to_line(self) -> String {
        let text = format!("{} {:020}", self.generation.simple(), self.number);
        format!("{text} {}\n", digest(&text))
    }

    fn of_line(line: &str) -> Option<Self> {
        let (text, sum) = line.strip_suffix('\n')?.rsplit_once(' ')?;
        let (generation, number) = text.split_once(' ')?;
        if sum != digest(text) {
            return None;
        }
        Some(Self { generation: generation.parse().ok()?, number: number.parse().ok()? })
    }

    /// What a database lacks that has this count beside it.
    fn compare(self, stored: Self, was_open: bool) -> Option<String> {
        if self.generation != stored.generation {
            let reason = "it is not the one whose commits were noted: its write-ahead log is that of another database";
            return was_open.then(|| reason.to_owned());
        }
        let missing = u64::try_from(self.number.saturating_sub(stored.number)).unwrap_or(0);
        let lacks = || format!("it lacks its last {missing} commits: its write-ahead log was lost, cut or damaged");
        (missing > 0).then(lacks)
    }
}

/// Counts one more commit, in the transaction that makes it: the statement returns its number. Nothing is counted on a
/// server: all who write would wait for that one row.
pub(crate) fn advance(connection: &impl ConnectionTrait) -> Option<Statement> {
    let sql = "UPDATE commit_count SET number = number + 1 WHERE id = 1 RETURNING number";
    let backend = connection.get_database_backend();
    (backend == DbBackend::Sqlite).then(|| Statement::from_string(backend, sql))
}

/// What [`advance`] returned.
pub(crate) fn number(row: &QueryResult) -> StoreResult<i64> {
    row.try_get("", "number").during("counting a commit")
}

/// What is wrong with a database that lacks commits which a note has; the note may be a copy, as the database.
pub(crate) async fn loss(connection: &impl ConnectionTrait, note: &Path) -> StoreResult<Option<String>> {
    // first the note: commits that come between the two are in the database
    let Some(noted) = read(note) else { return Ok(None) };
    // whoever opened a database without a log has noted its own commits since
    Ok(count(connection).await?.and_then(|stored| noted.compare(stored, true)))
}

/// Keeps the log of a database that was not closed, before it is opened: SQLite folds in what it trusts of it, and
/// deletes the rest, which may hold commits that a recovery can still read.
pub(crate) fn keep_log(database: &Path) {
    let (log, kept) = (beside(database, "-wal"), beside(database, KEPT));
    let Ok(found) = fs::metadata(&log) else { return };
    let is_kept = fs::metadata(&kept).is_ok_and(|kept| (kept.dev(), kept.ino()) == (found.dev(), found.ino()));
    // while others use it, closing deletes nothing
    if found.len() == 0 || is_kept || !beside(database, SUFFIX).exists() || is_locked(database) {
        return;
    }
    discard(database);
    // another name of the same file costs nothing
    if let Err(error) = fs::hard_link(&log, &kept) {
        tracing::debug!(path = %kept.display(), %error, "the log has no second name");
    }
}

/// Nothing of the log is missing.
fn discard(database: &Path) {
    let kept = beside(database, KEPT);
    if let Err(error) = remove(&kept) {
        tracing::warn!(path = %kept.display(), %error, "it is not needed any more and could not be removed");
    }
}

/// Forgets the commits of a file that is closed, or that another one is about to replace.
pub(crate) fn forget(database: &Path) -> io::Result<()> {
    remove(&beside(database, KEPT))?;
    remove(&beside(database, SUFFIX))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The name of what is kept beside a database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// What is noted; nothing when there is no note, or none that is whole.
fn read(path: &Path) -> Option<Count> {
    let mut line = [0; LENGTH];
    File::open(path).ok()?.read_exact_at(&mut line, 0).ok()?;
    Count::of_line(std::str::from_utf8(&line).ok()?)
}

/// What the database says; nothing when it was made by an earlier program.
async fn count(connection: &impl ConnectionTrait) -> StoreResult<Option<Count>> {
    let sql = "SELECT generation, number FROM commit_count WHERE id = 1";
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    Count::find_by_statement(statement).one(connection).await.during("reading the number of commits")
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
