//! Backups of a database on a server: what they hold, what is refused, and the way back.

#[path = "cli/bench.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod bench;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;
use trivia_domain::model::{BackupInfo, BackupKind, UserId};
use trivia_domain::ports::{BackupService, Repositories};
use trivia_infrastructure::{Database, PostgresBackups, SystemClock, SystemRandom};
use trivia_tests::postgres::{ScratchDatabase, Server};

// ---- a database and a place for its backups

struct Home {
    scratch: ScratchDatabase,
    dir: TempDir,
    database: Database,
}

impl Home {
    async fn new() -> Option<Self> {
        let scratch = Server::shared()?.database().await;
        let database = Database::open(scratch.options(), Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
        Some(Self { scratch, dir: tempfile::tempdir().unwrap(), database })
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    /// As another process does it.
    fn backups(&self) -> PostgresBackups {
        PostgresBackups::new(self.scratch.options(), self.place(), Arc::new(SystemClock))
    }

    async fn create(&self) -> BackupInfo {
        self.backups().create(BackupKind::Manual, "a test").await.unwrap()
    }

    async fn add_players(&self, ids: std::ops::Range<i64>) {
        for id in ids {
            self.database.users().get_or_create(user(id)).await.unwrap();
        }
    }

    async fn players(&self) -> i64 {
        let db = self.scratch.connect().await;
        let count = number(&db, "SELECT COUNT(*) FROM users").await;
        db.close().await.unwrap();
        count
    }

    /// Databases that attempts have left.
    async fn scratch_databases(&self) -> i64 {
        let db = self.scratch.connect().await;
        let oid = "(SELECT oid FROM pg_database WHERE datname = current_database())";
        let sql = format!("SELECT COUNT(*) FROM pg_database WHERE starts_with(datname, 'trivia_scratch_' || {oid})");
        let left = number(&db, &sql).await;
        db.close().await.unwrap();
        left
    }
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

// ---- making and checking

#[tokio::test(flavor = "multi_thread")]
async fn l24_a_backup_is_one_moment_while_others_write() {
    let Some(home) = Home::new().await else { return };
    home.add_players(1..50).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (database, stop) = (home.database.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            for id in 1_000.. {
                if stop.load(Ordering::Relaxed) {
                    return id;
                }
                database.users().get_or_create(user(id)).await.unwrap();
            }
            0
        })
    };
    let made = home.create().await;
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 1_000);
    assert!(made.verified && made.manifest.rows["users"] >= 49, "{made:?}");
    assert_eq!((made.manifest.format, made.manifest.extension()), (4, "dump"));
    assert_eq!(fs::metadata(&made.path).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = home.backups().list().await.unwrap();
    assert_eq!(listed, [made.clone()]);
    let checked = home.backups().verify(&made.manifest.id).await.unwrap();
    assert!(checked.ok && checked.unopened.is_none(), "{checked:?}");
    // the digests are those of what comes out of the dump, so both are of one moment
    let tried = home.backups().drill(&made.manifest.id).await.unwrap();
    assert_eq!(tried.problems, Vec::<String>::new());
    assert!(home.backups().list().await.unwrap()[0].drill.unwrap().ok);
    assert_eq!(home.scratch_databases().await, 0);
}
