//! The way back: a verified copy takes the place of the database in one rename.
//!
//! 1. The backup is verified and copied beside the database; nothing was touched yet.
//! 2. This process closes its connections. SQLite empties and removes the write-ahead log, which it
//!    refuses while anybody else has the database open.
//! 3. The present state becomes a backup, or is set aside when it cannot be read.
//! 4. Under an exclusive lock the copy is renamed over the database.
//!
//! A crash before 4 leaves the old database, after it the new one; no log of the old one can be left
//! that SQLite would play into the new one.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, BackupManifest};
use trivia_domain::ports::RestoreReport;
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::{Migrator, MigratorTrait};

use super::copy::{close, connect_copy, connect_live, lines};
use super::files::{
    Scratch, blocking, corrupt, create_dir, create_new, failed, measure, open_regular, sync_dir, sync_file,
};
use super::verify::inspect;
use super::{PAUSE, SqliteBackups};
use crate::database::{Core, DatabaseOptions, DatabaseUrl, Pools};
use crate::error::{During, translate};
use crate::repository::erasing::{self, Erasure};
use crate::schema;

/// How long operations under way may take to end before a restore gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The copy, in a directory of its own.
const STAGED: &str = "db";
/// What SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl SqliteBackups {
    /// See [`BackupService::restore`](trivia_domain::ports::BackupService::restore).
    pub(super) async fn bring_back(&self, id: &BackupId) -> StoreResult<RestoreReport> {
        let _alone = self.gate.write().await;
        let manifest = self.restorable(id).await?;
        let path = self.source().to_owned();
        let live = blocking(move || resolve(&path)).await?;
        let staged = self.stage(&manifest, &live).await?;
        let previous = match &self.core {
            Some(core) => self.swap_while_closed(core, id, live, staged).await?,
            None => self.swap(id, live, staged).await?,
        };
        tracing::info!(backup = %id, "backup restored");
        let directory = self.directory.clone();
        let restored = blocking(move || directory.info(&manifest.id)).await?;
        Ok(RestoreReport { restored, previous })
    }

    /// The manifest of a backup that is whole and not newer than this program.
    async fn restorable(&self, id: &BackupId) -> StoreResult<BackupManifest> {
        let what = format!("backup {id}");
        let manifest = match inspect(&self.directory, id).await? {
            Ok(manifest) => manifest,
            Err(problems) => {
                return Err(StoreError::Corrupt { what, reason: problems.into_iter().next().unwrap_or_default() });
            }
        };
        let version = &manifest.schema_version;
        // the original system counted its versions; those are older than any of ours
        let is_original = version.bytes().all(|byte| byte.is_ascii_digit());
        if !is_original && !Migrator::migrations().iter().any(|known| known.name() == version) {
            let reason = format!("its schema has {version}, which this program does not know");
            return Err(StoreError::Incompatible { what, reason });
        }
        Ok(manifest)
    }

    /// A copy of the backup beside the database: on the same file system one rename makes it live.
    async fn stage(&self, manifest: &BackupManifest, live: &Path) -> StoreResult<Scratch> {
        let (source, digest, beside) = (self.directory.copy(&manifest.id), manifest.sha256.clone(), live.to_owned());
        let staged = blocking(move || {
            let staged = claim(&beside)?;
            copy_exactly(&source, &staged.file(STAGED), &digest)?;
            keep_owner(&staged.file(STAGED), &beside);
            Ok(staged)
        })
        .await?;
        let erased = self.erased(live).await?;
        if self.core.is_some() || !erased.is_empty() {
            self.migrate(&staged.file(STAGED), &manifest.schema_version).await?;
        }
        if !erased.is_empty() {
            self.keep_out(&staged.file(STAGED), &erased).await?;
        }
        Ok(staged)
    }

    /// The people who were erased, by everything that can tell: the database may be damaged or reset, and
    /// each backup knows those of its time.
    async fn erased(&self, live: &Path) -> StoreResult<Vec<Erasure>> {
        let read = async |connection: StoreResult<DatabaseConnection>| {
            let connection = connection?;
            let erased = erasing::list(&connection).await;
            close(connection, erased).await
        };
        let mut all = match read(connect_live(live, self.options.busy_timeout).await).await {
            Err(StoreError::Missing { .. } | StoreError::Corrupt { .. }) => Vec::new(),
            result => result?,
        };
        let directory = self.directory.clone();
        for backup in blocking(move || directory.list()).await? {
            match read(connect_copy(&self.directory.copy(&backup.manifest.id)).await).await {
                Ok(erased) => all.extend(erased),
                Err(error) => tracing::warn!(backup = %backup.manifest.id, %error, "it cannot say who was erased"),
            }
        }
        // whoever was erased twice was so at the later time
        all.sort_by(|a, b| (&a.salt, &a.fingerprint, b.erased_at).cmp(&(&b.salt, &b.fingerprint, a.erased_at)));
        all.dedup_by(|a, b| (&a.salt, &a.fingerprint) == (&b.salt, &b.fingerprint));
        Ok(all)
    }

    /// Removes those from a copy who were erased after it was made.
    async fn keep_out(&self, copy: &Path, erased: &[Erasure]) -> StoreResult<()> {
        let connection = connect_live(copy, self.options.busy_timeout).await?;
        let removed = async {
            let transaction = connection.begin().await.during("keeping erased people out")?;
            let removed = erasing::keep_out(&transaction, erased).await?;
            transaction.commit().await.during("keeping erased people out")?;
            // nothing of them stays in unused parts of the file
            connection.execute_unprepared("VACUUM").await.during("keeping erased people out")?;
            Ok(removed)
        };
        let removed = removed.await;
        let removed = close(connection, removed).await?;
        tracing::info!(people = removed, "erased people were kept out of the restored database");
        settle(copy).await
    }

    /// Brings a copy that is older than this program up to date, before anything else is touched:
    /// the process that goes on with it needs the present schema.
    async fn migrate(&self, copy: &Path, version: &str) -> StoreResult<()> {
        let options = DatabaseOptions { url: DatabaseUrl::of_file(copy), ..self.options.clone() };
        let applied = schema::up(&options, None).await?;
        if applied.is_empty() {
            return Ok(());
        }
        tracing::info!(from = version, migrations = applied.len(), "the restored copy was migrated");
        settle(copy).await
    }

    /// Swaps while this process has no connection, and connects again whatever came of it.
    async fn swap_while_closed(
        &self,
        core: &Core,
        id: &BackupId,
        live: PathBuf,
        staged: Scratch,
    ) -> StoreResult<Option<BackupInfo>> {
        // granted when nobody uses a connection any more; new callers wait behind it
        let pools = tokio::time::timeout(PATIENCE, core.pools.write()).await;
        let mut pools = pools.map_err(|_| StoreError::Busy { what: core.name() })?;
        core.model.follow(None);
        let Some(open) = pools.take() else {
            // it was closed for good
            return self.swap(id, live, staged).await;
        };
        let swapped = match open.close().await {
            Ok(()) => self.swap(id, live, staged).await,
            Err(error) => Err(error),
        };
        match Pools::open(&core.options).await {
            Ok(open) => {
                // another file may have other rules under the same revision
                *core.rules.lock().unwrap_or_else(PoisonError::into_inner) = None;
                *pools = Some(open);
                core.follow();
            }
            Err(error) if swapped.is_ok() => return Err(error),
            Err(error) => tracing::error!(%error, "the database could not be opened again"),
        }
        swapped
    }

    /// Backs up or sets aside what is there, and puts the copy in its place.
    async fn swap(&self, id: &BackupId, live: PathBuf, staged: Scratch) -> StoreResult<Option<BackupInfo>> {
        let Some(held) = Held::take(&live, self.options.busy_timeout).await? else {
            let stamp = self.stamp();
            let swapped = blocking(move || {
                set_aside(&live, &stamp)?;
                exchange(&live, &staged)
            });
            return swapped.await.map(|()| None);
        };
        let swapped = self.swap_held(&held, id, live, staged).await;
        close(held.connection, swapped).await
    }

    async fn swap_held(
        &self,
        held: &Held,
        id: &BackupId,
        live: PathBuf,
        staged: Scratch,
    ) -> StoreResult<Option<BackupInfo>> {
        let reason = format!("before the restore of {id}");
        let previous = match self.copy_through(&held.connection, BackupKind::PreRestore, &reason).await {
            Ok(previous) => Some(previous),
            Err(StoreError::Corrupt { reason, .. }) => {
                tracing::warn!(database = %live.display(), reason, "the database cannot be backed up, it is set aside");
                None
            }
            Err(error) => return Err(error),
        };
        held.lock().await?;
        let aside = previous.is_none().then(|| self.stamp());
        blocking(move || {
            if let Some(stamp) = aside {
                set_aside(&live, &stamp)?;
            }
            exchange(&live, &staged)
        })
        .await?;
        Ok(previous)
    }

    fn stamp(&self) -> String {
        self.clock.now().format("%Y%m%dt%H%M%Sz").to_string()
    }
}

/// The present database, open on this one connection and without a write-ahead log.
struct Held {
    connection: DatabaseConnection,
    path: PathBuf,
    /// SQLite's counter of what others have committed.
    version: Vec<String>,
}

impl Held {
    /// Waits for others to close the database, but no longer than `patience`: then it is `Busy`.
    /// `None` when there is nothing that could be read.
    async fn take(path: &Path, patience: Duration) -> StoreResult<Option<Self>> {
        let started = Instant::now();
        loop {
            let error = match Self::try_take(path, patience).await {
                Ok(held) => return Ok(Some(held)),
                Err(error @ (StoreError::Missing { .. } | StoreError::Corrupt { .. })) => {
                    match refuse_if_locked(path) {
                        Ok(()) => {
                            tracing::warn!(%error, "there is nothing to back up before the restore");
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
    async fn lock(&self) -> StoreResult<()> {
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
fn resolve(path: &Path) -> StoreResult<PathBuf> {
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
fn claim(live: &Path) -> StoreResult<Scratch> {
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

/// Copies a file to the disk and proves the copy.
pub(super) fn copy_exactly(source: &Path, target: &Path, digest: &str) -> StoreResult<()> {
    let Some(mut from) = open_regular(source)? else { return Err(corrupt(source, "it is missing")) };
    let mut to = create_new(target)?;
    io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(failed(target))?;
    let Some(copied) = open_regular(target)? else { return Err(corrupt(target, "it is missing")) };
    if measure(target, copied)?.1 != digest {
        return Err(corrupt(source, "it changed after it was verified"));
    }
    Ok(())
}

/// Makes sure that all of a changed copy is in its one file and on the disk.
async fn settle(copy: &Path) -> StoreResult<()> {
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
fn keep_owner(copy: &Path, live: &Path) {
    let model = fs::metadata(live).or_else(|_| fs::metadata(live.parent().unwrap_or(Path::new("/"))));
    let (Ok(model), Ok(copied)) = (model, fs::metadata(copy)) else { return };
    if (model.uid(), model.gid()) == (copied.uid(), copied.gid()) {
        return;
    }
    if let Err(error) = chown(copy, Some(model.uid()), Some(model.gid())) {
        tracing::warn!(path = %live.display(), %error, "the restored file keeps the owner who restored it");
    }
}

/// The name of what SQLite keeps beside a database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Keeps a database that cannot be read under another name, together with its log. Its own name
/// stays until the rename, so that no moment is without a file.
fn set_aside(live: &Path, stamp: &str) -> StoreResult<()> {
    let free = |aside: &PathBuf| ["", "-wal", "-shm", "-journal"].iter().all(|end| !beside(aside, end).exists());
    let names = (1_u32..).map(|number| match number {
        1 => beside(live, &format!(".damaged-{stamp}")),
        number => beside(live, &format!(".damaged-{stamp}-{number}")),
    });
    let Some(aside) = names.into_iter().find(free) else { return Ok(()) };
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
    sync_dir(live.parent().unwrap_or(Path::new("/")))
}

/// Makes the copy the database.
fn exchange(live: &Path, staged: &Scratch) -> StoreResult<()> {
    fs::rename(staged.file(STAGED), live).map_err(failed(live))?;
    sync_dir(live.parent().unwrap_or(Path::new("/")))
        .map_err(|error| StoreError::OutcomeUnknown { reason: format!("the backup is in place, but {error}") })
}

/// `Busy` when another process has a lock on a database that SQLite cannot lock for us, as it is none.
/// Where the system does not tell, nobody is seen.
fn refuse_if_locked(live: &Path) -> StoreResult<()> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let files = ["", "-shm"].iter().filter_map(|suffix| fs::metadata(beside(live, suffix)).ok());
    for file in files {
        let (device, inode) = (file.dev(), file.ino());
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
        let held = format!("{major:02x}:{minor:02x}:{inode}");
        if locks.split_whitespace().any(|field| field == held) {
            return Err(StoreError::Busy { what: live.display().to_string() });
        }
    }
    Ok(())
}
