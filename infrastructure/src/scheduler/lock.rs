//! Keeps two schedulers from working on one database: a lock on a file beside it, or one of the server.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::ConnectionTrait;
use trivia_domain::{StoreError, StoreResult};

#[cfg(feature = "postgres")]
use super::server_lock::{self, ServerLock};
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
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// The descriptor holds the lock.
    File(#[expect(dead_code, reason = "it is held, not read")] File),
    /// A connection holds it.
    #[cfg(feature = "postgres")]
    Server(ServerLock),
}

impl SchedulerLock {
    /// Takes the lock of a database: the file `<database>.serve.lock` beside it, and writes into it who
    /// has it since when; of a database on a server an advisory lock.
    ///
    /// # Errors
    /// `Busy`, naming place and process, when another one has it; `Missing` without a database,
    /// `ReadOnly` when the file cannot be written, `Unreachable` without the server.
    pub async fn take(database: &DatabaseUrl, now: DateTime<Utc>) -> StoreResult<Self> {
        let held = match database.file() {
            #[cfg(feature = "postgres")]
            None => Held::Server(ServerLock::take(database).await?),
            _ => Held::File(Self::take_file(database.path(), now).await?),
        };
        Ok(Self { held })
    }

    /// Ends when another process has the lock, because the connection that held it was lost; never for a file.
    pub async fn lost(&self) {
        match &self.held {
            Held::File(_) => std::future::pending().await,
            #[cfg(feature = "postgres")]
            Held::Server(lock) => lock.lost().await,
        }
    }

    async fn take_file(database: &Path, now: DateTime<Utc>) -> StoreResult<File> {
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
                Err(TryLockError::WouldBlock) => return Err(busy(&path, &Holder::read(&file))),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        let content = format!("{} {}\n", std::process::id(), now.to_rfc3339_opts(SecondsFormat::Micros, true));
        file.set_len(0).and_then(|()| file.write_all(content.as_bytes())).map_err(unusable)?;
        Ok(file)
    }
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The process, when that is known.
    pub(crate) pid: Option<u32>,
    /// Its machine, when it is another one than the server.
    pub(crate) machine: Option<String>,
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
        Self { pid, machine: None, since: words.next().and_then(|word| word.parse().ok()) }
    }
}

/// Who is the scheduler of a database; `None` when there is none. A server is asked on the connection.
pub(crate) async fn holder(database: &DatabaseUrl, connection: &impl ConnectionTrait) -> StoreResult<Option<Holder>> {
    #[cfg(feature = "postgres")]
    if database.file().is_none() {
        return server_lock::holder(connection).await;
    }
    let _ = connection;
    Ok(lock_path(database.path()).ok().and_then(|lock| holder_of(&lock)))
}

/// `Busy`, naming file and process, when a database has a scheduler, also one whose file is gone. `database` is the
/// file itself and no link to it.
pub(crate) fn refuse_if_served(database: &Path) -> StoreResult<()> {
    let path = beside(database, SUFFIX);
    holder_of(&path).map_or(Ok(()), |holder| Err(busy(&path, &holder)))
}

fn holder_of(lock: &Path) -> Option<Holder> {
    let file = File::open(lock).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(Holder::read(&file)),
        _ => None,
    }
}

impl Holder {
    /// That somebody else has the lock of this name.
    pub(super) fn busy(&self, lock: &str) -> StoreError {
        let at = self.machine.as_ref().map_or_else(String::new, |machine| format!(" at {machine}"));
        let by = self.pid.map_or_else(String::new, |pid| format!(", the lock of process {pid}{at},"));
        StoreError::Busy { what: format!("{lock}{by}") }
    }
}

fn busy(lock: &Path, holder: &Holder) -> StoreError {
    holder.busy(&lock.display().to_string())
}

/// The file to lock: the same for every path that leads to the database.
fn lock_path(database: &Path) -> StoreResult<PathBuf> {
    let resolved = fs::canonicalize(database).map_err(|error| match error.kind() {
        ErrorKind::NotFound => StoreError::missing("database", database.display()),
        _ => StoreError::ReadOnly { what: database.display().to_string(), reason: error.to_string() },
    })?;
    Ok(beside(&resolved, SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(database: &DatabaseUrl) -> Option<Holder> {
        holder_of(&lock_path(database.path()).unwrap())
    }

    #[tokio::test]
    async fn a_database_has_one_scheduler() {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::of_file(dir.path().join("trivia.db"));
        let now = "2026-03-04T12:00:00.000001Z".parse().unwrap();
        let missing = SchedulerLock::take(&url, now).await.unwrap_err();
        assert!(matches!(missing, StoreError::Missing { entity: "database", .. }), "{missing}");
        fs::write(url.path(), "").unwrap();
        assert_eq!(holding(&url), None);

        let lock = SchedulerLock::take(&url, now).await.unwrap();
        assert_eq!(holding(&url), Some(Holder { pid: Some(std::process::id()), machine: None, since: Some(now) }));
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
        assert_eq!(holding(&url), None);
        let later = now + chrono::TimeDelta::days(1);
        let _lock = SchedulerLock::take(&link, later).await.unwrap();
        assert_eq!(holding(&url).unwrap().since, Some(later));
    }

    #[tokio::test]
    async fn somebody_who_looks_does_not_keep_a_scheduler_out() {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::of_file(dir.path().join("trivia.db"));
        fs::write(url.path(), "").unwrap();
        drop(SchedulerLock::take(&url, DateTime::UNIX_EPOCH).await.unwrap());
        let looking = File::open(lock_path(url.path()).unwrap()).unwrap();
        looking.try_lock_shared().unwrap();
        let (taken, ()) = tokio::join!(SchedulerLock::take(&url, DateTime::UNIX_EPOCH), async { drop(looking) });
        taken.unwrap();
    }
}
