//! The process that meets the faults: opens the library as a service does and performs one operation.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{BackupKind, Board, Page, RetentionPolicy};
use trivia_domain::ports::{BackupService, CheckOutcome, Clock, MaintenancePort, RecoveryService, Repositories, Store};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::{
    Database, DatabaseOptions, DatabaseUrl, Durability, SchedulerLock, SqliteBackups, SqliteRecovery, SystemClock,
    schema,
};

use super::play::{self, Line, Request, SOMEBODY, tell};

/// The database in its directory.
pub(crate) const DATABASE: &str = "trivia.db";
/// Its backups.
pub(crate) const BACKUPS: &str = "backups";
/// Players who are merged and erased.
pub(crate) const DOUBLE: i64 = 11;
pub(crate) const LEAVING: i64 = 12;
/// Migrations that go down and up.
pub(crate) const STEPS: u32 = 5;
/// Backups that pruning keeps.
pub(crate) const KEPT: usize = 1;

/// Drives one operation; the harness starts this.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do
    operation: Operation,
    /// Where the database is
    #[arg(long)]
    dir: PathBuf,
    /// Chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Moves of all writers together
    #[arg(long, default_value_t = u64::MAX)]
    moves: u64,
    /// Writers at the same time
    #[arg(long, default_value_t = 4)]
    writers: i64,
    /// `synchronous=NORMAL`
    #[arg(long)]
    normal: bool,
    /// Made when the fault may come, removed when it is over
    #[arg(long)]
    arm: PathBuf,
}

/// What can be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// Writers make moves.
    Play,
    /// The log goes into the file.
    Checkpoint,
    /// What a dead process left is opened.
    Open,
    /// Two players become one, and one is erased.
    People,
    MigrateUp,
    MigrateDown,
    Backup,
    Verify,
    Drill,
    Prune,
    Restore,
    Recover,
    /// Everything is looked at.
    Look,
    /// The lock of the scheduler is held until stdin ends.
    Hold,
}

impl Operation {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }
}

pub(crate) async fn run(args: &Args) {
    let driver = Driver { args, random: SeededRandom::new(args.seed) };
    if let Err(error) = driver.perform().await {
        tell(&Line::Failed { what: args.operation.name(), error: (&error).into() });
        driver.disarm();
        // the fault is over: the same process must get through now
        match driver.perform_unarmed().await {
            Ok(()) => tell(&Line::Healed),
            Err(error) => tell(&Line::Unhealed { error: (&error).into() }),
        }
    }
}

/// How the database in a directory is opened.
pub(crate) fn options(dir: &Path, normal: bool) -> DatabaseOptions {
    let mut options = DatabaseOptions::new(DatabaseUrl::of_file(dir.join(DATABASE)));
    options.readers = 2;
    options.busy_timeout = std::time::Duration::from_secs(2);
    options.durability = if normal { Durability::Normal } else { Durability::Full };
    options
}

/// Opens the database in a directory.
pub(crate) async fn open(dir: &Path, normal: bool) -> StoreResult<Database> {
    Database::open(options(dir, normal), Arc::new(SystemClock), Arc::new(SeededRandom::new(1))).await
}

/// Its backups, while nobody in this process has it open.
pub(crate) fn backups(dir: &Path) -> SqliteBackups {
    SqliteBackups::new(options(dir, false), dir.join(BACKUPS), Arc::new(SystemClock))
}

/// The way back from damage.
pub(crate) fn recovery(dir: &Path) -> SqliteRecovery {
    SqliteRecovery::new(options(dir, false), dir.join(BACKUPS), Arc::new(SystemClock))
}

struct Driver<'a> {
    args: &'a Args,
    random: SeededRandom,
}

impl Driver<'_> {
    /// From here on calls count.
    fn arm(&self) {
        // without the shim the name is real, and one that was killed has left it
        let _ = fs::create_dir(&self.args.arm);
    }

    fn disarm(&self) {
        // it may not be armed
        let _ = fs::remove_dir(&self.args.arm);
    }

    async fn perform(&self) -> StoreResult<()> {
        let Args { dir, operation, normal, .. } = self.args;
        match operation {
            Operation::Play => self.play(&open(dir, *normal).await?).await,
            Operation::Checkpoint => {
                let database = open(dir, *normal).await?;
                for _ in 0..10 {
                    play::make(&database, Request::award(SOMEBODY, &self.random)).await?;
                }
                self.armed(database.close()).await?;
            }
            Operation::Open => {
                self.arm();
                let database = open(dir, *normal).await?;
                database.users().list(Page::first(100)).await?;
                self.disarm();
                play::heal(&database, &self.random).await;
            }
            Operation::People => {
                let database = open(dir, *normal).await?;
                self.armed(Self::people(&database)).await?;
                play::heal(&database, &self.random).await;
            }
            Operation::Look => self.look().await,
            Operation::Hold => {
                let _lock = SchedulerLock::take(&options(dir, false).url, SystemClock.now()).await?;
                tell(&Line::Ready);
                // to its end
                let _ = std::io::read_to_string(std::io::stdin());
            }
            _ => self.armed(self.perform_unarmed()).await?,
        }
        tell(&Line::Done { what: operation.name() });
        Ok(())
    }

    async fn armed(&self, work: impl Future<Output = StoreResult<()>>) -> StoreResult<()> {
        tell(&Line::Ready);
        self.arm();
        let done = work.await;
        self.disarm();
        done
    }

    /// What needs no preparation; also the second attempt of everything.
    async fn perform_unarmed(&self) -> StoreResult<()> {
        let Args { dir, operation, normal, .. } = self.args;
        let backups = backups(dir);
        let newest = async || {
            let list = backups.list().await?;
            let newest = list.into_iter().next().ok_or_else(|| StoreError::missing("backup", "newest"))?;
            Ok::<_, StoreError>(newest.manifest.id)
        };
        match operation {
            Operation::MigrateUp => schema::up(&options(dir, *normal), None).await.map(drop),
            // as many as are left of them after an interrupted attempt
            Operation::MigrateDown => {
                let status = schema::status(&options(dir, *normal)).await?;
                let steps = STEPS.saturating_sub(status.pending.len() as u32);
                schema::down(&options(dir, *normal), steps).await.map(drop)
            }
            Operation::Backup => backups.create(BackupKind::Manual, "a test").await.map(drop),
            Operation::Verify => good(backups.verify(&newest().await?).await?.ok),
            Operation::Drill => good(backups.drill(&newest().await?).await?.ok),
            Operation::Prune => {
                backups.prune(&RetentionPolicy { keep: KEPT, ..RetentionPolicy::default() }).await.map(drop)
            }
            Operation::Restore => {
                let list = backups.list().await?;
                let oldest = list.iter().rfind(|backup| backup.manifest.kind == BackupKind::Initial);
                let oldest = oldest.ok_or_else(|| StoreError::missing("backup", "oldest"))?;
                backups.restore(&oldest.manifest.id).await.map(drop)
            }
            Operation::Recover => recovery(dir).recover().await.map(drop),
            Operation::People => Self::people(&open(dir, *normal).await?).await,
            Operation::Play | Operation::Checkpoint | Operation::Open | Operation::Look | Operation::Hold => {
                let database = open(dir, *normal).await?;
                play::make(&database, Request::award(SOMEBODY, &self.random)).await?;
                database.close().await
            }
        }
    }

    async fn play(&self, database: &Database) {
        tell(&Line::Ready);
        self.arm();
        play::play(database, self.args.writers, self.args.moves, self.args.seed).await;
        self.disarm();
        play::heal(database, &self.random).await;
    }

    async fn people(database: &Database) -> StoreResult<()> {
        if database.users().find(play::player(DOUBLE)).await?.is_some() {
            database.people().merge(play::player(DOUBLE), play::player(SOMEBODY)).await?;
        }
        tell(&Line::Done { what: "merged".to_owned() });
        database.people().erase(play::player(LEAVING)).await?;
        tell(&Line::Done { what: "erased".to_owned() });
        Ok(())
    }

    /// Reads all that can be read; what is refused is told.
    async fn look(&self) {
        let dir = &self.args.dir;
        let told = |what: &str, result: StoreResult<()>| match result {
            Ok(()) => tell(&Line::Done { what: what.to_owned() }),
            Err(error) => tell(&Line::Failed { what: what.to_owned(), error: (&error).into() }),
        };
        let looked = async {
            let database = open(dir, false).await?;
            if let CheckOutcome::Bad { problems } = database.check().await {
                let reason = problems.into_iter().next().unwrap_or_default();
                told("check", Err(StoreError::Corrupt { what: "the database".to_owned(), reason }));
            }
            told("users", database.users().list(Page::first(100)).await.map(drop));
            told("board", database.rankings().page(Board::AllTime, None, 50).await.map(drop));
            told("person", database.people().export(play::player(SOMEBODY)).await.map(drop));
            told("move", play::make(&database, Request::award(SOMEBODY, &self.random)).await.map(drop));
            database.close().await
        };
        told("database", looked.await);
        told("backup", backups(dir).create(BackupKind::Manual, "a test").await.map(drop));
        told("recovery", recovery(dir).recover().await.map(drop));
    }
}

/// A backup that was whole when it was made.
fn good(ok: bool) -> StoreResult<()> {
    if ok {
        return Ok(());
    }
    Err(StoreError::Backend { context: "verifying a good backup".to_owned(), source: "it is said to be bad".into() })
}
