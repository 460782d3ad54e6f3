//! Keeps two schedulers from working on one database.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use trivia_domain::{StoreError, StoreResult};

use crate::database::{DatabaseUrl, beside};

/// Its file beside the database.
const SUFFIX: &str = ".serve.lock";
/// How often the lock is tried: somebody may just be looking whether it is taken.
const TRIES: u32 = 10;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest content of the file that is read.
const LONGEST: u64 = 100;

/// The right to be the one scheduler of a database. The system takes it back when the process ends, however
/// that happens; a process that is stopped keeps it.
#[derive(Debug)]
pub struct SchedulerLock {
    // the descriptor holds the lock
    _file: File,
}

impl SchedulerLock {
    /// Takes the lock of a database, the file `<database>.serve.lock` beside it, and writes into it who
    /// has it since when.
    ///
    /// # Errors
    /// `Busy`, naming file and process, when another one has it; `Missing` without a database,
    /// `ReadOnly` when the file cannot be written.
    pub async fn take(database: &DatabaseUrl, now: DateTime<Utc>) -> StoreResult<Self> {
        let path = lock_path(database)?;
        let unusable = |error: std::io::Error| StoreError::ReadOnly {
            what: path.display().to_string(),
            reason: error.to_string(),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        let mut tries = 1;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => return Err(busy(&path, Holder::read(&file))),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        let content = format!("{} {}\n", std::process::id(), now.to_rfc3339_opts(SecondsFormat::Micros, true));
        file.set_len(0).and_then(|()| file.write_all(content.as_bytes())).map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

/// Who holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The process, when the file says so.
    pub(crate) pid: Option<u32>,
    /// Since when, by its own clock.
    pub(crate) since: Option<DateTime<Utc>>,
}

impl Holder {
    fn read(file: &File) -> Self {
        let mut content = String::new();
        // a file that says nothing useful is held all the same
        let _ = file.take(LONGEST).read_to_string(&mut content);
        let mut words = content.split_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok());
        Self { pid, since: words.next().and_then(|word| word.parse().ok()) }
    }
}

/// Who is the scheduler of a database; `None` when there is none.
pub(crate) fn holder(database: &DatabaseUrl) -> Option<Holder> {
    holder_of(&lock_path(database).ok()?)
}

/// `Busy`, naming file and process, when a database has a scheduler, also one whose file is gone. `database` is the
/// file itself and no link to it.
pub(crate) fn refuse_if_served(database: &Path) -> StoreResult<()> {
    let path = beside(database, SUFFIX);
    holder_of(&path).map_or(Ok(()), |holder| Err(busy(&path, holder)))
}

fn holder_of(lock: &Path) -> Option<Holder> {
    let file = File::open(lock).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(Holder::read(&file)),
        _ => None,
    }
}

fn busy(lock: &Path, holder: Holder) -> StoreError {
    let by = holder.pid.map_or_else(String::new, |pid| format!(", the lock of process {pid},"));
    StoreError::Busy { what: format!("{}{by}", lock.display()) }
}

/// The file to lock: the same for every path that leads to the database.
fn lock_path(database: &DatabaseUrl) -> StoreResult<PathBuf> {
    let Some(database) = database.file() else {
        return Err(StoreError::invalid("database URL", "`serve` does not look after a database on a server yet"));
    };
    let resolved = fs::canonicalize(database).map_err(|error| match error.kind() {
        ErrorKind::NotFound => StoreError::missing("database", database.display()),
        _ => StoreError::ReadOnly { what: database.display().to_string(), reason: error.to_string() },
    })?;
    Ok(beside(&resolved, SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_has_one_scheduler() {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::of_file(dir.path().join("trivia.db"));
        let now = "2026-03-04T12:00:00.000001Z".parse().unwrap();
        let missing = SchedulerLock::take(&url, now).await.unwrap_err();
        assert!(matches!(missing, StoreError::Missing { entity: "database", .. }), "{missing}");
        fs::write(url.path(), "").unwrap();
        assert_eq!(holder(&url), None);

        let lock = SchedulerLock::take(&url, now).await.unwrap();
        assert_eq!(holder(&url), Some(Holder { pid: Some(std::process::id()), since: Some(now) }));
        // another way to the same file
        std::os::unix::fs::symlink(url.path(), dir.path().join("link.db")).unwrap();
        let link = DatabaseUrl::of_file(dir.path().join("link.db"));
        for url in [&url, &link] {
            let refused = SchedulerLock::take(url, now).await.unwrap_err();
            let StoreError::Busy { what } = &refused else { panic!("{refused}") };
            assert!(what.contains("trivia.db.serve.lock"), "{what}");
            assert!(what.contains(&format!("process {}", std::process::id())), "{what}");
        }

        drop(lock);
        assert_eq!(holder(&url), None);
        let later = now + chrono::TimeDelta::days(1);
        let _lock = SchedulerLock::take(&link, later).await.unwrap();
        assert_eq!(holder(&url).unwrap().since, Some(later));
    }

    #[tokio::test]
    async fn somebody_who_looks_does_not_keep_a_scheduler_out() {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::of_file(dir.path().join("trivia.db"));
        fs::write(url.path(), "").unwrap();
        drop(SchedulerLock::take(&url, DateTime::UNIX_EPOCH).await.unwrap());
        let looking = File::open(lock_path(&url).unwrap()).unwrap();
        looking.try_lock_shared().unwrap();
        let (taken, ()) = tokio::join!(SchedulerLock::take(&url, DateTime::UNIX_EPOCH), async { drop(looking) });
        taken.unwrap();
    }
}
