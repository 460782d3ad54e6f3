//! Backups of a database on a server: what they hold, what is refused, and the way back.

#[path = "cli/bench.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod bench;
#[path = "s3_server/mod.rs"]
#[expect(dead_code, reason = "the tests of all places use the rest of it")]
mod s3_server;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use age::secrecy::ExposeSecret;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::Value as Json;
use tempfile::TempDir;
use trivia_domain::StoreError;
use trivia_domain::model::{BackupInfo, BackupKind, Calendar, UserId};
use trivia_domain::ports::{BackupService, CheckOutcome, MaintenancePort, Repositories, Store};
use trivia_infrastructure::{
    BackupOptions, Database, DatabaseOptions, DatabaseUrl, PostgresBackups, S3Store, SqliteBackups, SystemClock,
    SystemRandom, schema,
};
use trivia_tests::postgres::{ScratchDatabase, Server};

use bench::{Bench, Ended};
use s3_server::S3Server;

/// How often a restore is killed.
const KILLS: u32 = 8;

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
    assert_eq!(listed, std::slice::from_ref(&made));
    let checked = home.backups().verify(&made.manifest.id).await.unwrap();
    assert!(checked.ok && checked.unopened.is_none(), "{checked:?}");
    // the digests are those of what comes out of the dump, so both are of one moment
    let tried = home.backups().drill(&made.manifest.id).await.unwrap();
    assert_eq!(tried.problems, Vec::<String>::new());
    assert!(home.backups().list().await.unwrap()[0].drill.unwrap().ok);
    assert_eq!(home.scratch_databases().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn l25_damage_anywhere_is_refused() {
    let Some(home) = Home::new().await else { return };
    home.add_players(1..5).await;
    let made = home.create().await;
    let id = &made.manifest.id;
    let whole = fs::read(&made.path).unwrap();
    for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&made.path, damaged).unwrap();
        let checked = home.backups().verify(id).await.unwrap();
        assert!(!checked.ok && checked.problems[0].contains("SHA-256"), "byte {at}: {checked:?}");
        let refused = home.backups().restore(id).await.unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "byte {at}: {refused}");
    }
    fs::write(&made.path, whole).unwrap();
    assert!(home.backups().verify(id).await.unwrap().ok);
    assert_eq!(home.backups().list().await.unwrap().len(), 1, "nothing was touched");
    assert_eq!(home.scratch_databases().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dumps_go_packed_and_encrypted_to_object_storage_and_back() {
    let Some(home) = Home::new().await else { return };
    home.add_players(1..5).await;
    let storage = S3Server::start();
    let identity = age::x25519::Identity::generate();
    let key = home.dir.path().join("identity");
    fs::write(&key, format!("{}\n", identity.to_string().expose_secret())).unwrap();
    // each of another machine, which has nothing but the key
    let machine = |name: &str| {
        let mut places = BackupOptions::from(home.dir.path().join(name));
        places.store = Some(Arc::new(S3Store::new(&storage.options("game/main")).unwrap()));
        places.compression = Some(3);
        places.encrypt_to = vec![identity.to_public().to_string().parse().unwrap()];
        places.identity_file = Some(key.clone());
        PostgresBackups::new(home.scratch.options(), places, Arc::new(SystemClock))
    };
    let made = machine("one").create(BackupKind::Manual, "").await.unwrap();
    assert_eq!(made.manifest.extension(), "dump.zst.age");
    home.add_players(5..9).await;
    let other = machine("other");
    assert_eq!(other.list().await.unwrap(), std::slice::from_ref(&made));
    assert!(other.verify(&made.manifest.id).await.unwrap().ok);
    assert!(other.drill(&made.manifest.id).await.unwrap().ok);
    let previous = other.restore(&made.manifest.id).await.unwrap().previous.unwrap();
    assert_eq!(home.players().await, 4);
    machine("one").restore(&previous.manifest.id).await.unwrap();
    assert_eq!(home.players().await, 8);
}

#[tokio::test]
async fn files_and_dumps_share_a_place() {
    let Some(home) = Home::new().await else { return };
    let made = home.create().await;
    let file = DatabaseUrl::of_file(home.dir.path().join("trivia.db"));
    let options = DatabaseOptions::new(file);
    schema::up(&options, None).await.unwrap();
    let of_file = SqliteBackups::new(options, home.place(), Arc::new(SystemClock));
    let file = of_file.create(BackupKind::Manual, "").await.unwrap();
    let services: [(&dyn BackupService, &BackupInfo); 2] = [(&home.backups(), &file), (&of_file, &made)];
    for (backups, foreign) in services {
        let id = &foreign.manifest.id;
        assert_eq!(backups.list().await.unwrap().len(), 2);
        let checked = backups.verify(id).await.unwrap();
        assert!(checked.ok && checked.unopened.is_some(), "{checked:?}");
        for refused in [backups.drill(id).await.map(drop), backups.restore(id).await.map(drop)] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, StoreError::Incompatible { .. }), "{refused}");
        }
    }
}

// ---- the way back

/// What tables have, but for what only says when something was done.
async fn rows(db: &DatabaseConnection) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for table in ["ledger", "users", "game_sessions", "questions", "question_counters", "score_counts", "rankings"] {
        let sql = format!("SELECT to_jsonb({table})::text FROM {table} ORDER BY 1");
        let found = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        all.push((table.to_owned(), found.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn l25_a_restore_while_others_play_is_the_backup_and_the_way_back_is_all_that_they_were_told() {
    let Some(home) = Home::new().await else { return };
    home.add_players(1..200).await;
    let db = home.scratch.connect().await;
    let then = rows(&db).await;
    let made = home.create().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=4)
        .map(|writer| {
            let (options, stop) = (home.scratch.options(), Arc::clone(&stop));
            tokio::spawn(async move {
                // a host of its own
                let host = Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
                let mut told = Vec::new();
                for id in (writer * 100_000).. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    match host.users().get_or_create(user(id)).await {
                        Ok(_) => told.push(id),
                        Err(StoreError::Busy { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    // whoever reads sees the old database or the new one
                    let seen = host.users().find(user(1)).await.unwrap();
                    assert!(seen.is_some(), "player 1 is in both");
                }
                host.close().await.unwrap();
                told
            })
        })
        .collect();
    let report = home.backups().restore(&made.manifest.id).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    let previous = report.previous.unwrap();
    assert_eq!(previous.manifest.kind, BackupKind::PreRestore);
    let now: BTreeSet<i64> = ids(&db).await;
    assert!((1..200).all(|id| now.contains(&id)));
    // whom they were told of is in the database or in what was kept of it: nobody is in neither
    home.backups().restore(&previous.manifest.id).await.unwrap();
    let before = ids(&db).await;
    let lost: Vec<_> = told.iter().filter(|id| !now.contains(id) && !before.contains(id)).collect();
    assert_eq!(lost, Vec::<&i64>::new());
    assert!(before.len() > 199, "they did not play before the restore");
    home.backups().restore(&made.manifest.id).await.unwrap();
    assert_eq!(rows(&db).await, then);
    assert_eq!(home.database.check().await, CheckOutcome::Ok);
    assert_eq!(home.scratch_databases().await, 0);
}

async fn ids(db: &DatabaseConnection) -> BTreeSet<i64> {
    let found = Statement::from_string(DbBackend::Postgres, "SELECT user_id FROM users");
    db.query_all_raw(found).await.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn l23_a_restore_brings_no_erased_person_back() {
    let Some(home) = Home::new().await else { return };
    home.add_players(1..6).await;
    let made = home.create().await;
    home.database.people().erase(user(2)).await.unwrap();
    home.create().await;
    home.database.people().erase(user(3)).await.unwrap();
    home.backups().restore(&made.manifest.id).await.unwrap();
    assert_eq!(ids(&home.scratch.connect().await).await, [1, 4, 5].into());
    // the database that knew is gone: the backups know those of their time
    schema::fresh(&home.scratch.options()).await.unwrap();
    home.backups().restore(&made.manifest.id).await.unwrap();
    let now = ids(&home.scratch.connect().await).await;
    assert_eq!(now, [1, 4, 5].into(), "the backup before the first restore knows both");
}

#[tokio::test]
async fn a_restore_makes_tables_that_are_gone_anew() {
    let Some(home) = Home::new().await else { return };
    home.add_players(1..6).await;
    let made = home.create().await;
    let db = home.scratch.connect().await;
    let then = rows(&db).await;
    db.execute_unprepared("DROP TABLE rankings, score_counts CASCADE").await.unwrap();
    home.backups().restore(&made.manifest.id).await.unwrap();
    assert_eq!(rows(&db).await, then);
    home.add_players(6..8).await;
    assert_eq!(home.database.check().await, CheckOutcome::Ok);
    // into a database that has nothing
    let empty = Server::shared().unwrap().empty_database().await;
    let backups = PostgresBackups::new(empty.options(), home.place(), Arc::new(SystemClock));
    let report = backups.restore(&made.manifest.id).await.unwrap();
    assert_eq!(report.previous, None);
    assert_eq!(rows(&empty.connect().await).await, then);
    // keys go on where they were: nothing is given twice
    let key = "SELECT nextval(pg_get_serial_sequence('questions', 'id'))";
    assert!(number(&empty.connect().await, key).await >= number(&db, key).await - 1);
}

#[tokio::test]
async fn l25_what_is_damaged_is_set_aside_by_a_restore() {
    let Some(home) = Home::new().await else { return };
    home.add_players(1..6).await;
    let made = home.create().await;
    let db = home.scratch.connect().await;
    let then = rows(&db).await;
    // a page that is none
    let file = "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('ledger')";
    let file = db.query_one_raw(Statement::from_string(DbBackend::Postgres, file)).await.unwrap().unwrap();
    let file: String = file.try_get_by_index(0).unwrap();
    fs::OpenOptions::new().append(true).open(file).unwrap().write_all(&[0x55; 8192]).unwrap();
    let checked = home.database.check().await;
    let CheckOutcome::Bad { problems } = checked else { panic!("{checked:?}") };
    assert!(problems[0].starts_with("pages: table ledger cannot be read: "), "{problems:?}");
    let refused = home.database.users().get_or_create(user(6)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "nobody builds on what is damaged: {refused}");
    let refused = home.backups().create(BackupKind::Manual, "").await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");

    let report = home.backups().restore(&made.manifest.id).await.unwrap();
    assert_eq!(report.previous, None);
    assert_eq!(rows(&db).await, then);
    let aside = "SELECT count(*) FROM pg_tables WHERE schemaname LIKE 'public_damaged_%' AND tablename = 'ledger'";
    assert_eq!(number(&db, aside).await, 1, "nothing is thrown away");
    assert_eq!(home.database.check().await, CheckOutcome::Ok);
    home.add_players(6..8).await;
    home.create().await;
}

#[tokio::test]
async fn rules_of_a_backup_reach_hosts_that_have_read_others() {
    let Some(home) = Home::new().await else { return };
    let made = home.create().await;
    let zone = || async { home.database.rules().rules().await.unwrap().calendar.zone };
    let before = zone().await;
    let calendar = Calendar { zone: "Asia/Tokyo".parse().unwrap(), ..Calendar::default() };
    home.database.rules().set_calendar(calendar).await.unwrap();
    assert_ne!(zone().await, before);
    home.backups().restore(&made.manifest.id).await.unwrap();
    assert_eq!(zone().await, before);
}

#[test]
fn l25_a_restore_that_is_killed_leaves_the_old_rows_or_the_new_ones() {
    let Some(server) = Server::shared() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scratch = runtime.block_on(server.empty_database());
    let bench = Bench::empty();
    let command = |arguments: &[&str]| {
        let mut command = bench::program(bench.dir.path());
        command.args(arguments).env("DATABASE_URL", scratch.url());
        command
    };
    let json = |arguments: &[&str]| {
        let ended = Ended(command(&[arguments, &["--json"]].concat()).output().unwrap());
        ended.expect(0);
        ended.document()
    };
    json(&["init"]);
    json(&["simulate", "--players", "20", "--answers", "300", "--seed", "1"]);
    let old = json(&["stats"])["ledger_count"].as_u64().unwrap();
    let made = json(&["backup", "create"])["id"].as_str().unwrap().to_owned();
    json(&["simulate", "--players", "20", "--answers", "300", "--seed", "2"]);
    let new = json(&["stats"])["ledger_count"].as_u64().unwrap();
    assert!(new > old);
    let began = Instant::now();
    json(&["backup", "restore", &made]);
    let whole = began.elapsed();
    for round in 0..KILLS {
        let latest = json(&["backup", "list"]);
        let latest = latest.as_array().unwrap().iter().find(|backup| backup["kind"] == "pre_restore").unwrap();
        // there and back again
        let target = if json(&["stats"])["ledger_count"] == old { latest["id"].as_str().unwrap() } else { &made };
        let mut child = command(&["backup", "restore", target]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.as_mut().unwrap();
        // somewhere between the beginning and the end
        std::thread::sleep(whole * (round + 1) / (KILLS + 1));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = json(&["stats"])["ledger_count"].as_u64().unwrap();
        assert!(now == old || now == new, "{now} facts, neither {old} nor {new}");
        assert_eq!(json(&["verify"])["drift"], Json::Array(Vec::new()));
    }
    // what was left is gone with the next attempt
    json(&["backup", "verify", &made, "--drill"]);
    let db = runtime.block_on(scratch.connect());
    let left = "SELECT COUNT(*) FROM pg_database WHERE starts_with(datname, 'trivia_scratch_' || \
                (SELECT oid FROM pg_database WHERE datname = current_database()))";
    assert_eq!(runtime.block_on(number(&db, left)), 0);
}

// ---- programs that are not there

#[test]
fn l28_programs_that_are_too_old_are_passed_over() {
    let Some(server) = Server::shared() else { return };
    let scratch = tokio::runtime::Runtime::new().unwrap().block_on(server.database());
    let bench = Bench::empty();
    for name in ["pg_dump", "pg_restore"] {
        let old = bench.write(&format!("old/{name}"), "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n");
        fs::set_permissions(old, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = bench.command(["backup", "create"]);
    command.env("DATABASE_URL", scratch.url()).env("PATH", bench.path("old"));
    let ended = Ended(command.output().unwrap());
    if Path::new("/usr/lib/postgresql").exists() {
        ended.expect(0);
    } else {
        ended.expect_error(1, &["pg_dump is 9.6.24", "postgresql-client"]);
    }
}
