//! Laws L24 to L28 on SQLite files: what a backup is, and the way back from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{ConnectOptions, Connection, Executor};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, Statement};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use trivia_domain::memory::ManualClock;
use trivia_domain::model::{
    BackupId, BackupInfo, BackupKind, BackupManifest, IdempotencyKey, Packed, Points, RetentionPolicy, UserId,
};
use trivia_domain::ports::{AwardRequest, BackupService, CheckOutcome, Clock, MaintenancePort, Repositories};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, SqliteBackups, SystemClock, SystemRandom, schema};
use uuid::Uuid;

/// Tells a child process which database to hold open.
const HOLD: &str = "TRIVIA_TEST_HOLD";
const PLAYERS: i64 = 8;

struct Home {
    dir: TempDir,
    clock: Arc<ManualClock>,
}

impl Home {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-22T15:04:05Z".parse().unwrap()));
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    async fn migrated() -> Self {
        let home = Self::new();
        schema::up(&home.options(), None).await.unwrap();
        home
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("trivia.db")
    }

    fn options(&self) -> DatabaseOptions {
        let mut options = DatabaseOptions::new(DatabaseUrl::of_file(self.path()));
        options.busy_timeout = Duration::from_millis(200);
        options
    }

    fn backup_dir(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    fn detached(&self) -> SqliteBackups {
        SqliteBackups::new(self.options(), self.backup_dir(), Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn attached(&self, database: &Database) -> SqliteBackups {
        SqliteBackups::attached(database, self.backup_dir())
    }

    async fn open(&self) -> Database {
        let database =
            Database::open(self.options(), Arc::clone(&self.clock) as Arc<dyn Clock>, Arc::new(SystemRandom)).await;
        let database = database.unwrap();
        for id in 1..=PLAYERS {
            database.users().get_or_create(UserId::new(id).unwrap()).await.unwrap();
        }
        database
    }

    /// A database with some facts that nobody has open.
    async fn with_points(points: u32) -> Self {
        let home = Self::migrated().await;
        let database = home.open().await;
        award(&database, 1, points).await.unwrap();
        database.close().await.unwrap();
        home
    }

    async fn points(&self) -> i64 {
        let database = self.open().await;
        let points = points(&database, 1).await;
        database.close().await.unwrap();
        points
    }

    fn file(&self, id: &BackupId, extension: &str) -> PathBuf {
        self.backup_dir().join(format!("{id}.{extension}"))
    }

    fn names(&self, dir: &Path) -> BTreeSet<String> {
        match fs::read_dir(dir) {
            Ok(entries) => entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect(),
            Err(_) => BTreeSet::new(),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            trivia_tests::assert_verified(&self.path());
        }
    }
}

async fn award(database: &Database, user: i64, points: u32) -> StoreResult<()> {
    let request = AwardRequest {
        key: IdempotencyKey::new(Uuid::now_v7()),
        user_id: UserId::new(user).unwrap(),
        points: Points::small(points),
        reason: "test".to_owned(),
    };
    database.play().award(request).await.map(drop)
}

async fn points(database: &Database, user: i64) -> i64 {
    database.users().get(UserId::new(user).unwrap()).await.unwrap().total_points.get()
}

/// Opens a file that nobody writes to.
async fn look_into(path: impl AsRef<Path>) -> DatabaseConnection {
    let url = format!("sqlite:{}?immutable=true&mode=ro", path.as_ref().display());
    sea_orm::Database::connect(url).await.unwrap()
}

async fn number(connection: &DatabaseConnection, sql: &str) -> i64 {
    let row = connection.query_one_raw(Statement::from_string(DatabaseBackend::Sqlite, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn run(path: &Path, sql: &str) {
    let connection = sea_orm::Database::connect(format!("sqlite:{}", path.display())).await.unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}

fn id(text: &str) -> BackupId {
    BackupId::new(text).unwrap()
}

fn flip(path: &Path, offset: usize, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Writers that award one point each time, until they are told to stop; returns what was acknowledged.
fn writers(database: &Database, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<u64>> {
    (0..4)
        .map(|writer| {
            let (database, stop) = (database.clone(), Arc::clone(stop));
            tokio::spawn(async move {
                let mut acknowledged = 0;
                for step in 0_i64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    award(&database, 1 + (writer + step) % PLAYERS, 1).await.unwrap();
                    acknowledged += 1;
                }
                acknowledged
            })
        })
        .collect()
}

/// Waits until the writers have got some way beyond a number of facts.
async fn facts_beyond(database: &Database, facts: u64) {
    while database.stats().await.unwrap().ledger_count < facts + 20 {
        tokio::task::yield_now().await;
    }
}

async fn sum(tasks: Vec<tokio::task::JoinHandle<u64>>) -> u64 {
    let mut total = 0;
    for task in tasks {
        total += task.await.unwrap();
    }
    total
}

// --- L24: creating -------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_private_complete_and_checkable_by_hand() {
    let home = Home::with_points(7).await;
    let backup = home.detached().create(BackupKind::Manual, "before lunch").await.unwrap();
    assert_eq!(backup.manifest.id.as_str(), "trivia_manual_20261122t150405z_000001");
    assert_eq!(backup.manifest.reason, "before lunch");
    assert!(backup.verified);
    assert_eq!(backup.manifest.rows["users"], 8);
    assert_eq!(backup.manifest.bytes, fs::metadata(&backup.path).unwrap().len());
    let names = [".db", ".json", ".sha256"].map(|end| format!("{}{end}", backup.manifest.id));
    assert_eq!(home.names(&home.backup_dir()), BTreeSet::from(names.clone()));
    assert_eq!(mode(home.backup_dir()), 0o700);
    for name in &names {
        assert_eq!(mode(home.backup_dir().join(name)), 0o600, "{name}");
    }
    let listed = home.detached().list().await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&backup));
    let verification = home.detached().verify(&backup.manifest.id).await.unwrap();
    assert!(verification.ok, "{verification:?}");
    assert_eq!(home.names(&home.backup_dir()).len(), 3, "verification leaves nothing");

    let check = Command::new("sha256sum").arg("-c").arg(&names[2]).current_dir(home.backup_dir()).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    assert_eq!(String::from_utf8(check.stdout).unwrap().lines().filter(|line| line.ends_with(": OK")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn l24_backups_under_four_writers_are_consistent_and_hold_up_nobody() {
    let home = Home::migrated().await;
    let database = home.open().await;
    let backups = home.attached(&database);
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = writers(&database, &stop);
    let mut facts = Vec::new();
    for _ in 0..10 {
        let backup = backups.create(BackupKind::Manual, "").await.unwrap();
        let copy = look_into(&backup.path).await;
        let total = number(&copy, "SELECT COALESCE(SUM(total_points), 0) FROM users").await;
        let shown =
            "SELECT COALESCE(SUM(l.points), 0) FROM ledger l JOIN users u USING (user_id) WHERE l.seq <= u.last_seq";
        assert_eq!(total, number(&copy, shown).await);
        let unlisted = "SELECT COUNT(*) FROM ledger l JOIN users u USING (user_id) WHERE l.seq > u.last_seq \
                        AND user_id NOT IN (SELECT user_id FROM unprojected)";
        assert_eq!(number(&copy, unlisted).await, 0, "facts that wait are listed");
        let rows = number(&copy, "SELECT COUNT(*) FROM ledger").await;
        assert_eq!(backup.manifest.rows["ledger"], u64::try_from(rows).unwrap());
        facts.push(rows);
        copy.close().await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged = sum(tasks).await;
    assert!(facts.is_sorted() && facts[0] < facts[9], "writers went on: {facts:?} of {acknowledged}");
    assert_eq!(database.check().await, CheckOutcome::Ok);
    let last = backups.create(BackupKind::Manual, "").await.unwrap();
    assert_eq!(last.manifest.rows["ledger"], acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn l24_s21_eight_backups_at_once_in_one_second_get_eight_names() {
    let home = Home::with_points(7).await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let kind = BackupKind::ALL[[0, 3, 4, 5][number % 4]];
            // a service each, as if each were a process
            let backups = home.detached();
            tokio::spawn(async move { backups.create(kind, "").await.unwrap() })
        })
        .collect();
    let mut made = Vec::new();
    for task in tasks {
        made.push(task.await.unwrap().manifest);
    }
    let sequences: BTreeSet<u64> = made.iter().map(|manifest| manifest.sequence).collect();
    assert_eq!(sequences.len(), 8, "{sequences:?}");
    let listed = home.detached().list().await.unwrap();
    assert_eq!(listed.len(), 8);
    assert!(listed.is_sorted_by(|a, b| a.manifest.sequence > b.manifest.sequence), "newest first");
    assert_eq!(home.names(&home.backup_dir()).len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_refused_by_name_and_leaves_nothing() {
    let home = Home::new();
    let create = || async { home.detached().create(BackupKind::Manual, "").await.unwrap_err() };
    assert!(matches!(create().await, StoreError::Missing { entity: "database", .. }));
    for content in [&b""[..], &[7; 5000], b"SQLite format 3\0 and nothing else"] {
        fs::write(home.path(), content).unwrap();
        let error = create().await;
        assert!(matches!(&error, StoreError::Corrupt { what, .. } if what.contains("trivia.db")), "{error}");
        assert_eq!(fs::read(home.path()).unwrap(), content, "the source is untouched");
    }
    fs::remove_file(home.path()).unwrap();
    run_new(&home.path(), "PRAGMA user_version = 1").await;
    assert!(matches!(create().await, StoreError::Corrupt { .. }), "a database without tables");
    run(
        &home.path(),
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id)); \
         PRAGMA foreign_keys = OFF; INSERT INTO c VALUES (5)",
    )
    .await;
    let error = create().await;
    assert!(error.to_string().contains("row 1 of c refers to a row of p"), "{error}");
    assert_eq!(home.names(&home.backup_dir()), BTreeSet::new());
    assert!(home.detached().list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_that_of_its_table_is_no_backup() {
    let home = Home::new();
    // the change of the row passes the index by: both have one entry, only a full check compares them
    let sql = "CREATE TABLE t(a); CREATE INDEX i ON t(a); CREATE TABLE other(a); INSERT INTO t VALUES (1); \
               CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'i'; PRAGMA writable_schema = ON; \
               DELETE FROM sqlite_schema WHERE name = 'i'; PRAGMA writable_schema = RESET; UPDATE t SET a = 2; \
               PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept; \
               PRAGMA writable_schema = RESET";
    run_new(&home.path(), sql).await;
    let error = home.detached().create(BackupKind::Manual, "").await.unwrap_err();
    assert!(error.to_string().contains("row 1 missing from index i"), "{error}");
    assert_eq!(home.names(&home.backup_dir()), BTreeSet::new());
}

async fn run_new(path: &Path, sql: &str) {
    fs::write(path, "").unwrap();
    run(path, sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_written_is_named() {
    let home = Home::with_points(7).await;
    let in_the_way = home.dir.path().join("file");
    fs::write(&in_the_way, "mine").unwrap();
    for dir in [in_the_way.clone(), in_the_way.join("backups")] {
        let backups = SqliteBackups::new(home.options(), dir.clone(), Arc::new(SystemClock));
        for kind in [BackupKind::Manual, BackupKind::Daily] {
            let error = backups.create(kind, "").await.unwrap_err();
            let named = dir.display().to_string();
            assert!(matches!(&error, StoreError::ReadOnly { what, .. } if *what == named), "{error}");
        }
    }
    assert_eq!(fs::read(&in_the_way).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn l24_s21_a_full_disk_is_named_and_leaves_nothing_and_harms_no_earlier_backup() {
    let home = Home::with_points(7).await;
    let mount = home.backup_dir();
    let one = home.detached().create(BackupKind::Manual, "to measure it").await.unwrap().manifest.bytes;
    fs::remove_dir_all(&mount).unwrap();
    fs::create_dir(&mount).unwrap();
    let options = format!("size={}", one / 2 * 3);
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(&mount).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no permission to mount a small file system");
        return;
    }
    let first = home.detached().create(BackupKind::Manual, "fits").await;
    let second = home.detached().create(BackupKind::Manual, "does not").await;
    let names = home.names(&mount);
    let verification = home.detached().verify(&id("trivia_manual_20261122t150405z_000001")).await;
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    first.unwrap();
    let error = second.unwrap_err();
    assert!(
        matches!(&error, StoreError::DiskFull { what, reason } if what.contains("backups") && reason.contains("bytes are free")),
        "{error}"
    );
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(verification.unwrap().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_dead_attempts_go_and_nothing_else_does() {
    let home = Home::with_points(7).await;
    let dir = home.backup_dir();
    let old = fs::metadata(home.path()).unwrap().modified().unwrap() - Duration::from_secs(25 * 3600);
    for (name, is_old) in
        [(".tmp-000041", true), (".tmp-000050", false), (".tmp-mine", true), ("tmp", true), (".tmp-000060x", true)]
    {
        fs::create_dir_all(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("db"), "half").unwrap();
        if is_old {
            fs::File::open(dir.join(name)).unwrap().set_modified(old).unwrap();
        }
    }
    fs::write(dir.join("trivia_daily_20200101t000000z_000070.db"), "an orphan").unwrap();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    let backup = home.detached().create(BackupKind::Manual, "").await.unwrap();
    assert_eq!(backup.manifest.sequence, 71, "one more than the highest that was ever begun");
    let names = home.names(&dir);
    assert!(!names.contains(".tmp-000041"));
    for kept in [".tmp-000050", ".tmp-mine", "tmp", ".tmp-000060x", "notes.txt"] {
        assert!(names.contains(kept), "{kept}");
    }
    assert_eq!(home.detached().list().await.unwrap(), [backup]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlong_reason_is_refused() {
    let home = Home::with_points(7).await;
    let error = home.detached().create(BackupKind::Manual, &"x".repeat(1001)).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }));
}

// --- L26: when, and how long ---------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn l26_daily_and_weekly_backups_are_made_once() {
    let home = Home::with_points(7).await;
    let backups = home.detached();
    let make = async |kind| backups.create(kind, "").await.unwrap().manifest.sequence;
    // a Sunday evening
    home.clock.set("2026-11-22T23:59:59Z".parse().unwrap());
    assert_eq!((make(BackupKind::Daily).await, make(BackupKind::Weekly).await), (1, 2));
    assert_eq!((make(BackupKind::Daily).await, make(BackupKind::Weekly).await), (1, 2));
    assert_eq!(make(BackupKind::Manual).await, 3);
    // Monday
    home.clock.advance(TimeDelta::seconds(1));
    assert_eq!((make(BackupKind::Daily).await, make(BackupKind::Weekly).await), (4, 5));
    // the Sunday after it
    home.clock.advance(TimeDelta::days(6));
    assert_eq!((make(BackupKind::Daily).await, make(BackupKind::Weekly).await), (6, 5));
    // a damaged one does not count
    flip(&home.file(&id("trivia_daily_20261129t000000z_000006"), "json"), 30, 1);
    assert_eq!((make(BackupKind::Daily).await, make(BackupKind::Daily).await), (7, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn l26_daily_backups_at_once_are_one() {
    let home = Home::with_points(7).await;
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let backups = home.detached();
            tokio::spawn(async move { backups.create(BackupKind::Daily, "").await.unwrap().manifest.id })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(home.detached().list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn l26_the_newest_thirty_stay_whatever_the_clock_says() {
    let home = Home::with_points(7).await;
    let backups = home.detached();
    for number in 0..33 {
        // ten years forth and back
        home.clock.advance(TimeDelta::days(if number % 2 == 0 { 3653 } else { -3653 }));
        backups.create(BackupKind::Manual, "").await.unwrap();
    }
    fs::write(home.backup_dir().join("trivia_notes.json"), "{}").unwrap();
    let all: Vec<BackupId> = backups.list().await.unwrap().into_iter().map(|backup| backup.manifest.id).collect();
    let deleted = backups.prune(&RetentionPolicy::default()).await.unwrap();
    assert_eq!(deleted, all[30..].iter().rev().cloned().collect::<Vec<_>>(), "the oldest three, oldest first");
    let left: Vec<BackupId> = backups.list().await.unwrap().into_iter().map(|backup| backup.manifest.id).collect();
    assert_eq!(left, all[..30]);
    assert_eq!(home.names(&home.backup_dir()).len(), 91, "three files each and the note");
    assert!(backups.prune(&RetentionPolicy::default()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn l26_the_last_good_backup_stays_even_when_newer_ones_have_rotted() {
    let home = Home::with_points(7).await;
    let backups = home.detached();
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(backups.create(BackupKind::Manual, "").await.unwrap().manifest.id);
    }
    for rotten in &made[2..] {
        // the manifest still looks right: only reading the copy finds it
        flip(&home.file(rotten, "db"), 5000, 3);
    }
    let deleted = backups.prune(&RetentionPolicy { keep: 1, per_kind: BTreeMap::new() }).await.unwrap();
    assert_eq!(deleted, [made[0].clone(), made[2].clone()]);
    assert!(backups.verify(&made[1]).await.unwrap().ok);
}

#[test]
fn l26_the_policy_counts_kinds_apart_and_goes_by_sequence() {
    let backup = |sequence: u64, kind: BackupKind, verified: bool| {
        let created_at: DateTime<Utc> = "2026-11-22T15:04:05Z".parse().unwrap();
        let manifest = BackupManifest {
            format: 1,
            id: id(&format!("b{sequence}")),
            kind,
            reason: String::new(),
            sequence,
            // the clock went backwards
            created_at: created_at - TimeDelta::days(i64::try_from(sequence).unwrap()),
            tool: String::new(),
            schema_version: String::new(),
            dump: None,
            bytes: 0,
            sha256: String::new(),
            packed: None,
            rows: BTreeMap::new(),
            content: BTreeMap::new(),
            ledger: None,
        };
        BackupInfo { manifest, path: String::new(), verified, drill: None }
    };
    let ids = |expired: Vec<BackupId>| expired.iter().map(|id| id.to_string()).collect::<Vec<_>>();
    let (manual, daily) = (BackupKind::Manual, BackupKind::Daily);
    let backups = [
        backup(2, daily, true),
        backup(5, manual, true),
        backup(1, daily, true),
        backup(4, daily, true),
        backup(3, manual, true),
    ];
    let policy =
        |keep, per_kind: &[(BackupKind, usize)]| RetentionPolicy { keep, per_kind: per_kind.iter().copied().collect() };
    assert_eq!(ids(policy(1, &[(daily, 2)]).expired(&backups)), ["b1", "b3"]);
    assert_eq!(ids(policy(2, &[]).expired(&backups)), ["b1", "b2", "b3"]);
    assert_eq!(ids(policy(0, &[]).expired(&backups)), ["b1", "b2", "b3", "b4"]);
    let only_old_is_good = [backup(1, manual, true), backup(2, manual, false), backup(3, manual, false)];
    assert_eq!(ids(policy(1, &[]).expired(&only_old_is_good)), ["b2"]);
}

// --- L25: damage ---------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn l25_every_flipped_bit_and_every_cut_is_detected_and_refused() {
    let home = Home::with_points(7).await;
    let backups = home.detached();
    let backup = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let live = fs::read(home.path()).unwrap();
    for (extension, step) in [("db", 1021), ("json", 1), ("sha256", 1)] {
        let path = home.file(&backup, extension);
        let good = fs::read(&path).unwrap();
        for offset in (0..good.len()).step_by(step) {
            flip(&path, offset, (offset % 8) as u8);
            let verification = backups.verify(&backup).await.unwrap();
            assert!(!verification.ok && !verification.problems.is_empty(), "{extension} at {offset}");
            if offset % 50 == 0 {
                let error = backups.restore(&backup).await.unwrap_err();
                assert!(matches!(error, StoreError::Corrupt { .. }), "{extension} at {offset}: {error}");
            }
            fs::write(&path, &good).unwrap();
        }
        for content in [&[][..], &good[..good.len() / 2], &good[..good.len() - 1], &[&good[..], b"x"].concat()] {
            fs::write(&path, content).unwrap();
            assert!(!backups.verify(&backup).await.unwrap().ok, "{extension} with {} bytes", content.len());
            assert!(backups.list().await.unwrap().iter().all(|backup| !backup.verified), "{extension}");
        }
        fs::write(&path, &good).unwrap();
        let moved = home.dir.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        if extension == "json" {
            assert!(matches!(backups.verify(&backup).await, Err(StoreError::Missing { entity: "backup", .. })));
        } else {
            assert!(!backups.verify(&backup).await.unwrap().ok);
        }
        symlink(&moved, &path).unwrap();
        let verification = backups.verify(&backup).await.unwrap();
        assert!(!verification.ok, "a link is refused");
        fs::remove_file(&path).unwrap();
        fs::rename(&moved, &path).unwrap();
    }
    assert!(backups.verify(&backup).await.unwrap().ok);
    assert_eq!(fs::read(home.path()).unwrap(), live);
    assert_eq!(
        home.names(home.dir.path()),
        BTreeSet::from(["backups", "trivia.db", "trivia.db.migrate.lock"].map(str::to_owned))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn l26_foreign_files_are_skipped() {
    let home = Home::with_points(7).await;
    let backups = home.detached();
    let backup = backups.create(BackupKind::Manual, "").await.unwrap();
    let dir = home.backup_dir();
    let manifest = fs::read(home.file(&backup.manifest.id, "json")).unwrap();
    let other = |sequence: u32| dir.join(format!("trivia_manual_20261122t150405z_{sequence:06}.json"));
    fs::write(other(2), &manifest).unwrap();
    fs::write(other(3), vec![b' '; 2 << 20]).unwrap();
    symlink("/etc/passwd", other(4)).unwrap();
    fs::create_dir(other(5)).unwrap();
    assert!(Command::new("mkfifo").arg(other(6)).status().unwrap().success());
    fs::write(dir.join("trivia_MANUAL_20261122t150405z_000007.json"), &manifest).unwrap();
    assert_eq!(backups.list().await.unwrap(), [backup]);
    for sequence in 2..=6 {
        let verification = backups.verify(&id(&format!("trivia_manual_20261122t150405z_{sequence:06}"))).await;
        assert!(!verification.unwrap().ok, "{sequence}");
    }
    let missing = backups.verify(&id("trivia_manual_20261122t150405z_000099")).await;
    assert!(matches!(missing, Err(StoreError::Missing { entity: "backup", .. })));
    assert!(matches!(backups.restore(&id("nothing")).await, Err(StoreError::Missing { .. })));
}

// --- L25: the way back ---------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn l25_a_restore_under_load_loses_no_acknowledged_write() {
    let home = Home::migrated().await;
    let database = home.open().await;
    let backups = home.attached(&database);
    award(&database, 1, 500).await.unwrap();
    let backup = backups.create(BackupKind::Manual, "").await.unwrap().manifest;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = writers(&database, &stop);
    let longest = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (database, stop, longest) = (database.clone(), Arc::clone(&stop), Arc::clone(&longest));
            tokio::spawn(async move {
                let mut reads = 0;
                while !stop.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    assert!(points(&database, 1).await >= 500);
                    longest.fetch_max(started.elapsed().as_millis() as u64, Ordering::Relaxed);
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    facts_beyond(&database, backup.rows["ledger"]).await;
    let started = Instant::now();
    let report = backups.restore(&backup.id).await.unwrap();
    eprintln!("restore under load: {:?}", started.elapsed());
    facts_beyond(&database, backup.rows["ledger"]).await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged = sum(tasks).await;
    assert!(sum(readers).await > 0);
    eprintln!("longest read {} ms", longest.load(Ordering::Relaxed));

    assert_eq!(report.restored.manifest, backup);
    let previous = report.previous.unwrap();
    assert_eq!(previous.manifest.kind, BackupKind::PreRestore);
    assert!(backups.verify(&previous.manifest.id).await.unwrap().ok);
    let base = backup.rows["ledger"];
    let live = database.stats().await.unwrap().ledger_count;
    assert!(previous.manifest.rows["ledger"] > base && live > base, "writes before and after");
    // every acknowledged write is in the state before or in the state after
    assert_eq!(previous.manifest.rows["ledger"] - base + live - base, acknowledged);
    assert_eq!(database.check().await, CheckOutcome::Ok);
    assert_eq!(mode(home.path()), 0o600);

    // and back again
    let back = backups.restore(&previous.manifest.id).await.unwrap();
    assert_eq!(database.stats().await.unwrap().ledger_count, previous.manifest.rows["ledger"]);
    assert_eq!(back.previous.unwrap().manifest.rows["ledger"], live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_leaves_the_database_open() {
    let home = Home::migrated().await;
    let database = home.open().await;
    let backups = home.attached(&database);
    award(&database, 1, 10).await.unwrap();
    let backup = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    for wait in [0, 1, 5, 20, 50] {
        award(&database, 1, 10).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(wait), backups.restore(&backup)).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while points(&database, 1).await != 10 {
            assert!(Instant::now() < deadline, "the restore goes on to its end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(database.check().await, CheckOutcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_database_stays_closed_and_is_restored() {
    let home = Home::migrated().await;
    let database = home.open().await;
    let backups = home.attached(&database);
    award(&database, 1, 10).await.unwrap();
    let backup = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    award(&database, 1, 10).await.unwrap();
    database.close().await.unwrap();
    backups.restore(&backup).await.unwrap();
    assert!(database.users().get(UserId::new(1).unwrap()).await.is_err());
    assert_eq!(home.points().await, 10);
}

/// Not a test of its own: the process that the tests below start and stop.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by other tests"]
async fn hold_a_database_open() {
    let Ok(path) = std::env::var(HOLD) else { return };
    let options = DatabaseOptions::new(DatabaseUrl::of_file(path));
    let database = Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
    award(&database, 1, 300).await.unwrap();
    println!("\nready");
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
    database.close().await.unwrap();
}

/// Another process that has the database open and has written 300 points to it.
fn other_process(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_database_open", "--ignored", "--nocapture"])
        .env(HOLD, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    // keeps the pipe open
    std::thread::spawn(move || lines.count());
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_another_process_has_open_is_left_alone() {
    let home = Home::migrated().await;
    let database = home.open().await;
    award(&database, 1, 10).await.unwrap();
    let backup = home.attached(&database).create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let mut other = other_process(&home.path());
    let files = home.names(home.dir.path());
    let error = home.attached(&database).restore(&backup).await.unwrap_err();
    assert!(matches!(&error, StoreError::Busy { what } if what.contains("trivia.db")), "{error}");
    award(&database, 1, 10).await.unwrap();
    database.close().await.unwrap();
    let error = home.detached().restore(&backup).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    assert_eq!(home.names(home.dir.path()), files, "nothing new, nothing gone");
    assert_eq!(home.detached().list().await.unwrap().len(), 1);

    // even one whose head is so broken that SQLite cannot lock it
    let good = fs::read(home.path()).unwrap();
    overwrite(&home.path(), 0, &[0xaa; 100]);
    let error = home.detached().restore(&backup).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    overwrite(&home.path(), 0, &good[..100]);

    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    assert_eq!(home.points().await, 320);
    home.detached().restore(&backup).await.unwrap();
    assert_eq!(home.points().await, 10);
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn l25_s15_the_log_of_a_killed_process_is_saved_and_never_leaks() {
    let home = Home::with_points(10).await;
    let backup = home.detached().create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let mut other = other_process(&home.path());
    other.kill().unwrap();
    other.wait().unwrap();
    let wal = home.dir.path().join("trivia.db-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 0, "the points are in the log only");
    let report = home.detached().restore(&backup).await.unwrap();
    assert!(!wal.exists());
    assert_eq!(home.points().await, 10);
    home.detached().restore(&report.previous.unwrap().manifest.id).await.unwrap();
    assert_eq!(home.points().await, 310, "what the killed process had acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_database_that_is_gone_or_emptied_is_set_aside() {
    for emptied in [false, true] {
        let home = Home::with_points(10).await;
        let backup = home.detached().create(BackupKind::Manual, "").await.unwrap().manifest.id;
        let mut other = other_process(&home.path());
        other.kill().unwrap();
        other.wait().unwrap();
        let wal = fs::read(home.dir.path().join("trivia.db-wal")).unwrap();
        if emptied {
            fs::write(home.path(), "").unwrap();
        } else {
            fs::remove_file(home.path()).unwrap();
        }
        let report = home.detached().restore(&backup).await.unwrap();
        assert_eq!(report.previous, None);
        assert!(!home.dir.path().join("trivia.db-wal").exists());
        let aside = home.dir.path().join("trivia.db.damaged-20261122t150405z-wal");
        assert_eq!(fs::read(aside).unwrap(), wal, "nothing is deleted");
        assert_eq!(home.points().await, 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l27_a_damaged_database_is_set_aside_and_replaced() {
    let home = Home::with_points(10).await;
    let backups = home.detached();
    let backup = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let good = fs::read(home.path()).unwrap();
    let mut no_schema = good.clone();
    no_schema[100..4096].fill(0x55);
    let damages = [
        ("garbage", vec![0xaa; 10_000]),
        ("empty", Vec::new()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("cut in a page", good[..good.len() / 2 + 77].to_vec()),
        ("no schema", no_schema),
    ];
    for (number, (damage, content)) in damages.into_iter().enumerate() {
        fs::write(home.path(), &content).unwrap();
        let report = backups.restore(&backup).await.unwrap_or_else(|error| panic!("{damage}: {error}"));
        assert_eq!(report.previous, None, "{damage}");
        let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
        let aside = home.dir.path().join(format!("trivia.db.damaged-20261122t150405z{suffix}"));
        assert_eq!(fs::read(&aside).unwrap().len(), content.len(), "{damage}");
        if damage != "no schema" {
            assert_eq!(fs::read(&aside).unwrap(), content, "{damage}");
        }
        assert_eq!(home.points().await, 10, "{damage}");
    }
    assert_eq!(backups.list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn l25_s15_a_process_that_opened_the_old_file_cannot_write_to_the_new_one() {
    let home = Home::with_points(10).await;
    let backup = home.detached().create(BackupKind::Manual, "").await.unwrap().manifest.id;
    // a connection that has opened the file and not looked at it yet: nobody can see it
    let mut late = SqliteConnectOptions::new().filename(home.path()).connect().await.unwrap();
    home.detached().restore(&backup).await.unwrap();
    for sql in ["UPDATE users SET total_points = 77", "PRAGMA journal_mode = WAL"] {
        let written = late.execute(sql).await;
        eprintln!("{sql}: {}", written.as_ref().unwrap_err());
        assert!(written.is_err(), "{sql}");
    }
    assert_eq!(home.names(home.dir.path()).iter().filter(|name| name.starts_with("trivia.db-")).count(), 0);
    late.close().await.unwrap();
    assert_eq!(home.points().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_and_directory_are_made() {
    let home = Home::with_points(10).await;
    let backup = home.detached().create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let path = home.dir.path().join("new/place/trivia.db");
    let options = DatabaseOptions::new(DatabaseUrl::of_file(&path));
    let report = SqliteBackups::new(options, home.backup_dir(), Arc::new(SystemClock)).restore(&backup).await.unwrap();
    assert_eq!(report.previous, None);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let restored = look_into(&path).await;
    assert_eq!(number(&restored, "SELECT total_points FROM users WHERE user_id = 1").await, 10);
    assert_eq!(home.names(path.parent().unwrap()), BTreeSet::from(["trivia.db".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_the_database_stays_a_link() {
    let home = Home::with_points(10).await;
    let place = home.dir.path().join("elsewhere");
    fs::create_dir(&place).unwrap();
    fs::rename(home.path(), place.join("real.db")).unwrap();
    symlink(place.join("real.db"), home.path()).unwrap();
    let backup = home.detached().create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let database = home.open().await;
    award(&database, 1, 5).await.unwrap();
    home.attached(&database).restore(&backup).await.unwrap();
    assert_eq!(points(&database, 1).await, 10);
    assert!(fs::symlink_metadata(home.path()).unwrap().is_symlink());
}

#[tokio::test(flavor = "multi_thread")]
async fn l25_a_restore_that_fails_changes_nothing() {
    let home = Home::migrated().await;
    let database = home.open().await;
    award(&database, 1, 10).await.unwrap();
    let backup = home.attached(&database).create(BackupKind::Manual, "").await.unwrap().manifest.id;
    award(&database, 1, 10).await.unwrap();
    // the state before cannot be backed up: something is in the way of the next attempt
    let options = database.options().clone();
    let blocked = home.dir.path().join("blocked");
    fs::create_dir(&blocked).unwrap();
    for extension in ["db", "json", "sha256"] {
        let name = format!("{backup}.{extension}");
        fs::copy(home.backup_dir().join(&name), blocked.join(&name)).unwrap();
    }
    let immutable = Command::new("chattr").arg("+i").arg(&blocked).status();
    if !immutable.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no permission to make a directory immutable");
        return;
    }
    let restored = SqliteBackups::attached(&database, blocked.clone()).restore(&backup).await;
    assert!(Command::new("chattr").arg("-i").arg(&blocked).status().unwrap().success());
    let error = restored.unwrap_err();
    assert!(matches!(&error, StoreError::ReadOnly { what, .. } if what.contains("blocked")), "{error}");
    assert_eq!(points(&database, 1).await, 20);
    award(&database, 1, 10).await.unwrap();
    assert_eq!(points(&database, 1).await, 30);
    let names = home.names(options.url.path().parent().unwrap());
    assert!(names.iter().all(|name| !name.contains("damaged") && !name.contains("restore")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_verified_but_not_restored() {
    let home = Home::with_points(10).await;
    let backup = home.detached().create(BackupKind::Manual, "").await.unwrap().manifest.id;
    run(&home.path(), "INSERT INTO schema_version VALUES ('m29990101_000001_future', 0)").await;
    let newer = home.detached().create(BackupKind::Manual, "").await.unwrap().manifest;
    assert_eq!(newer.schema_version, "m29990101_000001_future");
    assert!(home.detached().verify(&newer.id).await.unwrap().ok);
    // the way back from a newer program works
    home.detached().restore(&backup).await.unwrap();
    let error = home.detached().restore(&newer.id).await.unwrap_err();
    assert!(matches!(&error, StoreError::Incompatible { reason, .. } if reason.contains("m29990101")), "{error}");
    assert_eq!(home.points().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_schema_is_migrated_for_a_running_process_and_left_to_the_caller_otherwise() {
    let home = Home::new();
    schema::up(&home.options(), Some(2)).await.unwrap();
    let older = home.detached().create(BackupKind::PreMigration, "").await.unwrap().manifest;
    schema::up(&home.options(), None).await.unwrap();
    let database = home.open().await;
    let report = home.attached(&database).restore(&older.id).await.unwrap();
    assert_eq!(database.stats().await.unwrap().users_count, 0);
    award_new(&database).await;
    assert!(schema::status(&home.options()).await.unwrap().pending.is_empty());
    assert_eq!(report.previous.unwrap().manifest.rows["users"], 8);
    database.close().await.unwrap();
    home.detached().restore(&older.id).await.unwrap();
    assert!(!schema::status(&home.options()).await.unwrap().pending.is_empty());
    let names = home.names(home.dir.path());
    assert!(names.iter().all(|name| !name.contains("restore")), "{names:?}");
}

async fn award_new(database: &Database) {
    database.users().get_or_create(UserId::new(1).unwrap()).await.unwrap();
    award(database, 1, 1).await.unwrap();
}

/// Makes the copy, the manifest and the checksums of a backup agree again after its copy was changed.
fn forge(home: &Home, id: &BackupId) {
    let copy = fs::read(home.file(id, "db")).unwrap();
    let mut manifest: BackupManifest = serde_json::from_slice(&fs::read(home.file(id, "json")).unwrap()).unwrap();
    manifest.bytes = copy.len() as u64;
    manifest.sha256 = sha256(&copy);
    manifest.packed = Some(Packed { bytes: manifest.bytes, sha256: manifest.sha256.clone(), ..manifest.stored() });
    let json = serde_json::to_vec_pretty(&manifest).unwrap();
    let checksums = format!("{}  {id}.db\n{}  {id}.json\n", manifest.sha256, sha256(&json));
    fs::write(home.file(id, "json"), json).unwrap();
    fs::write(home.file(id, "sha256"), checksums).unwrap();
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn l24_a_value_that_was_changed_together_with_its_digest_is_named_by_its_table() {
    let home = Home::with_points(5).await;
    let backups = home.detached();
    let id = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    run(&home.file(&id, "db"), "UPDATE users SET time_zone = 'Asia/Tokyo' WHERE user_id = 1").await;
    forge(&home, &id);
    let found = backups.verify(&id).await.unwrap();
    assert!(
        !found.ok && found.problems.iter().all(|problem| problem.contains("table users has other rows")),
        "{found:?}"
    );
    assert!(matches!(backups.restore(&id).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn l24_the_manifest_says_what_each_table_holds_and_how_far_the_ledger_goes() {
    let home = Home::with_points(5).await;
    let backups = home.detached();
    let first = backups.create(BackupKind::Manual, "").await.unwrap().manifest;
    // the same rows at other places of the file
    run(&home.path(), "VACUUM").await;
    let second = backups.create(BackupKind::Manual, "").await.unwrap().manifest;
    assert_eq!((&first.rows, &first.content, first.ledger), (&second.rows, &second.content, second.ledger));
    assert!(first.rows.keys().eq(first.content.keys()));
    let ledger = first.ledger.unwrap();
    assert_eq!((ledger.facts, ledger.newest), (1, Some(home.clock.now())));
    let database = home.open().await;
    award_new(&database).await;
    database.close().await.unwrap();
    let third = backups.create(BackupKind::Manual, "").await.unwrap().manifest;
    let changed: Vec<_> = third.content.iter().filter(|(table, digest)| first.content[*table] != **digest).collect();
    let changed: Vec<_> = changed.into_iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(changed, ["commit_count", "ledger", "rankings", "score_counts", "users"]);
}

#[tokio::test]
async fn a_drill_restores_elsewhere_and_is_noted() {
    let home = Home::with_points(5).await;
    let backups = home.detached();
    let id = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    assert_eq!(backups.list().await.unwrap()[0].drill, None);
    let before = (fs::read(home.path()).unwrap(), fs::read(home.file(&id, "db")).unwrap());
    assert!(backups.drill(&id).await.unwrap().ok);
    let drill = backups.list().await.unwrap()[0].drill.unwrap();
    assert_eq!((drill.at, drill.ok), (home.clock.now(), true));
    assert_eq!((fs::read(home.path()).unwrap(), fs::read(home.file(&id, "db")).unwrap()), before);
    assert!(home.names(&home.backup_dir()).iter().all(|name| !name.starts_with(".drill")), "the place is gone");
    assert!(matches!(backups.drill(&id_of_nobody()).await, Err(StoreError::Missing { .. })));
    backups.prune(&RetentionPolicy { keep: 0, per_kind: BTreeMap::new() }).await.unwrap();
    assert!(home.file(&id, "drill").exists(), "the last good one stays with its note");
}

#[tokio::test]
async fn a_drill_finds_what_no_digest_shows() {
    let home = Home::with_points(5).await;
    // wrong when it was copied: the file is whole, but the points do not follow from the ledger
    run(&home.path(), "UPDATE users SET total_points = 6 WHERE user_id = 1").await;
    let backups = home.detached();
    let id = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    assert!(backups.verify(&id).await.unwrap().ok);
    let found = backups.drill(&id).await.unwrap();
    assert!(!found.ok && found.problems.iter().any(|problem| problem.contains("total_points")), "{found:?}");
    assert!(!backups.list().await.unwrap()[0].drill.unwrap().ok);
    run(&home.path(), "UPDATE users SET total_points = 5 WHERE user_id = 1").await;
}

#[tokio::test]
async fn a_backup_of_the_first_form_is_still_good() {
    let home = Home::with_points(5).await;
    let backups = home.detached();
    let id = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(home.file(&id, "json")).unwrap()).unwrap();
    manifest["format"] = 1.into();
    for new in ["content", "ledger", "packed"] {
        manifest.as_object_mut().unwrap().remove(new).unwrap();
    }
    let json = serde_json::to_vec_pretty(&manifest).unwrap();
    let checksums = format!("{}  {id}.db\n{}  {id}.json\n", manifest["sha256"].as_str().unwrap(), sha256(&json));
    fs::write(home.file(&id, "json"), json).unwrap();
    fs::write(home.file(&id, "sha256"), checksums).unwrap();
    assert!(backups.verify(&id).await.unwrap().ok);
    backups.restore(&id).await.unwrap();
    assert_eq!(home.points().await, 5);
}

fn id_of_nobody() -> BackupId {
    id("trivia_manual_20260101t000000z_000099")
}
