//! Putting a finished file in the place of the database: alone, in one rename, with the old one kept.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection};
use trivia_domain::{StoreError, StoreResult};

use super::PAUSE;
use super::copy::{close, connect_live, lines};
use super::files::{Scratch, blocking, corrupt, create_dir, failed, sync_dir, sync_file};
use crate::database::{HEAD, KEPT, beside, forget_head, is_locked};
use crate::error::{is_damage, translate};

/// The copy, in a directory of its own.
pub(super) const STAGED: &str = "db";
/// What SQLite and we keep beside a database.
pub(super) const COMPANIONS: [&str; 5] = ["-wal", "-shm", "-journal", HEAD, KEPT];

/// The present database, open on this one connection and without a write-ahead log.
pub(super) struct Held {
    pub(super) connection: DatabaseConnection,
    path: PathBuf,
    /// SQLite's counter of what others have committed.
    version: Vec<String>,
}

impl Held {
    /// Waits for others to close the database, but no longer than `patience`: then it is `Busy`.
    /// `None` when there is nothing that could be read.
    pub(super) async fn take(path: &Path, patience: Duration) -> StoreResult<Option<Self>> {
        let started = Instant::now();
        loop {
            let error = match Self::try_take(path, patience).await {
                Ok(held) => return Ok(Some(held)),
                Err(error) if matches!(error, StoreError::Missing { .. }) || is_damage(&error) => {
                    match refuse_if_locked(path) {
                        Ok(()) => {
                            tracing::warn!(%error, "the database cannot be read");
                            return Ok(None);
                        }
                        Err(busy) => busy,
                    }
                }
                Err(error) => error,
            };
            if !matches!(error, StoreError::Busy { .. }) || started.elapsed() >= patience {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_take(path: &Path, busy_timeout: Duration) -> StoreResult<Self> {
        let connection = connect_live(path, busy_timeout).await?;
        let version = match connection.execute_unprepared("PRAGMA journal_mode = DELETE").await {
            // the log is empty and gone; SQLite refuses this while anybody else has the database open
            Ok(_) => state(&connection, path).await,
            Err(error) => Err(translate(error, &path.display().to_string())),
        };
        match version {
            Ok((_, version)) => Ok(Self { connection, path: path.to_owned(), version }),
            Err(error) => close(connection, Err(error)).await,
        }
    }

    /// Locks everybody out until the connection is closed. Those who opened the file meanwhile can
    /// not write to it later either: SQLite sees that it was moved.
    pub(super) async fn lock(&self) -> StoreResult<()> {
        let begun = self.connection.execute_unprepared("BEGIN EXCLUSIVE").await;
        begun.map_err(|error| translate(error, &self.path.display().to_string()))?;
        let (journal, version) = state(&self.connection, &self.path).await?;
        if journal != ["delete"] || version != self.version {
            return Err(StoreError::Busy { what: self.path.display().to_string() });
        }
        Ok(())
    }
}

/// Journal mode and version of the data.
async fn state(connection: &DatabaseConnection, path: &Path) -> StoreResult<(Vec<String>, Vec<String>)> {
    let version = "SELECT CAST(data_version AS TEXT) AS line FROM pragma_data_version";
    // asked first: it reads the file and so notices another mode
    let version = lines(connection, path, version).await?;
    let journal = lines(connection, path, "SELECT journal_mode AS line FROM pragma_journal_mode").await?;
    Ok((journal, version))
}

/// The file itself behind links, so that the rename replaces it and not the link.
pub(super) fn resolve(path: &Path) -> StoreResult<PathBuf> {
    match fs::canonicalize(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let Some(name) = path.file_name() else { return Err(failed(path)(error)) };
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            create_dir(parent)?;
            Ok(fs::canonicalize(parent).map_err(failed(parent))?.join(name))
        }
        Err(error) => Err(failed(path)(error)),
    }
}

/// A directory beside the database for the copy.
pub(super) fn claim(live: &Path) -> StoreResult<Scratch> {
    let prefix = format!(".{}.restore-", live.file_name().unwrap_or_default().display());
    let mut number = 1_u32;
    let staged = loop {
        let path = live.with_file_name(format!("{prefix}{number}"));
        match Scratch::claim(path)? {
            Some(staged) => break staged,
            None => number += 1,
        }
    };
    if let Err(error) = staged.sweep(|name| name.starts_with(&prefix)) {
        tracing::warn!(database = %live.display(), %error, "interrupted restores could not be removed");
    }
    Ok(staged)
}

/// Makes sure that all of a changed copy is in its one file and on the disk.
pub(super) async fn settle(copy: &Path) -> StoreResult<()> {
    let copy = copy.to_owned();
    blocking(move || {
        if beside(&copy, "-wal").exists() {
            return Err(corrupt(&copy, "a change left a write-ahead log"));
        }
        sync_file(&copy)
    })
    .await
}

/// Gives the copy to the owner of the database: an administrator may restore what a service uses.
pub(super) fn keep_owner(copy: &Path, live: &Path) {
    let model = fs::metadata(live).or_else(|_| fs::metadata(live.parent().unwrap_or(Path::new("/"))));
    let (Ok(model), Ok(copied)) = (model, fs::metadata(copy)) else { return };
    if (model.uid(), model.gid()) == (copied.uid(), copied.gid()) {
        return;
    }
    if let Err(error) = chown(copy, Some(model.uid()), Some(model.gid())) {
        tracing::warn!(path = %live.display(), %error, "the new file keeps the owner who made it");
    }
}

/// Keeps a database that cannot be read under another name, together with its log. Its own name
/// stays until the rename, so that no moment is without a file. Returns the other name.
pub(super) fn set_aside(live: &Path, stamp: &str) -> StoreResult<PathBuf> {
    let free = |aside: &PathBuf| [""].iter().chain(&COMPANIONS).all(|end| !beside(aside, end).exists());
    let names = (1_u32..).map(|number| match number {
        1 => beside(live, &format!(".damaged-{stamp}")),
        number => beside(live, &format!(".damaged-{stamp}-{number}")),
    });
    let Some(aside) = names.into_iter().find(free) else { return Ok(live.to_owned()) };
    let exists = |path: &Path| path.try_exists().map_err(failed(path));
    if exists(live)? {
        // where the file system has no links, its own name goes at once
        fs::hard_link(live, &aside).or_else(|_| fs::rename(live, &aside)).map_err(failed(&aside))?;
    }
    for suffix in COMPANIONS {
        let (from, to) = (beside(live, suffix), beside(&aside, suffix));
        if exists(&from)? {
            fs::rename(&from, &to).map_err(failed(&to))?;
        }
    }
    sync_dir(live.parent().unwrap_or(Path::new("/")))?;
    Ok(aside)
}

/// Gives a database its log back that [`set_aside`] took, when the process died before the rename: the
/// other name is still one of the same file.
pub(super) fn undo_half_a_swap(live: &Path) -> StoreResult<()> {
    let Ok(present) = fs::metadata(live) else { return Ok(()) };
    let prefix = format!("{}.damaged-", live.file_name().unwrap_or_default().display());
    let parent = live.parent().unwrap_or(Path::new("/"));
    for entry in fs::read_dir(parent).map_err(failed(parent))? {
        let aside = entry.map_err(failed(parent))?.path();
        let is_named_so =
            aside.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&prefix));
        let is_same = |file: fs::Metadata| (file.dev(), file.ino()) == (present.dev(), present.ino());
        if !is_named_so || !fs::symlink_metadata(&aside).is_ok_and(is_same) {
            continue;
        }
        for suffix in COMPANIONS {
            let (from, to) = (beside(&aside, suffix), beside(live, suffix));
            if from.exists() && !to.exists() {
                fs::rename(&from, &to).map_err(failed(&to))?;
                tracing::warn!(path = %to.display(), "put back what an interrupted swap had set aside");
            }
        }
    }
    Ok(())
}

/// Makes the copy the database.
pub(super) fn exchange(live: &Path, staged: &Scratch) -> StoreResult<()> {
    // the copy has other commits
    forget_head(live).map_err(failed(live))?;
    fs::rename(staged.file(STAGED), live).map_err(failed(live))?;
    sync_dir(live.parent().unwrap_or(Path::new("/")))
        .map_err(|error| StoreError::OutcomeUnknown { reason: format!("the new file is in place, but {error}") })
}

/// `Busy` when another process has a lock on a database that SQLite cannot lock for us, as it is none.
pub(super) fn refuse_if_locked(live: &Path) -> StoreResult<()> {
    if is_locked(live) { Err(StoreError::Busy { what: live.display().to_string() }) } else { Ok(()) }
}
