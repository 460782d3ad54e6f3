//! Connections: how they are opened, and what is told about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use trivia_domain::StoreError;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{BackupKind, RecoverySource, Task, TaskRecord, UserId};
use trivia_domain::ports::{
    BackupService, Clock, HealthCheck, HealthStatus, MaintenancePort, RecoveryService, Repositories,
};
use trivia_infrastructure::{
    Database, DatabaseOptions, DatabaseUrl, Durability, SchedulerLock, SqliteBackups, SqliteRecovery, schema,
};

/// The directory of a database, whose numbers must follow from its ledger in the end.
struct Home(TempDir);

impl Home {
    fn path(&self) -> PathBuf {
        self.0.path().join("data/trivia.db")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            trivia_tests::assert_verified(&self.path());
        }
    }
}

/// An open database, its clock and its home.
async fn open(change: impl FnOnce(&mut DatabaseOptions)) -> (Database, Arc<ManualClock>, Home) {
    let home = Home(tempfile::tempdir().unwrap());
    let mut options = DatabaseOptions::new(DatabaseUrl::of_file(home.path()));
    change(&mut options);
    schema::up(&options, None).await.unwrap();
    let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
    let database = Database::open(options, clock.clone(), Arc::new(SeededRandom::new(1))).await.unwrap();
    (database, clock, home)
}

fn user(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

#[tokio::test]
async fn files_and_directories_are_private() {
    let (database, _, home) = open(|_| {}).await;
    database.users().get_or_create(user(1)).await.unwrap();
    let mode = |path: &str| fs::metadata(home.0.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for file in ["trivia.db", "trivia.db-wal", "trivia.db-shm", "trivia.db.migrate.lock"] {
        assert_eq!(mode(&format!("data/{file}")), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_schema_that_is_no_text_is_damage() {
    let (database, clock, home) = open(|_| {}).await;
    let options = database.options().clone();
    let backups = SqliteBackups::new(options.clone(), home.0.path().join("backups"), clock.clone());
    let good = backups.create(BackupKind::Manual, "").await.unwrap();
    database.close().await.unwrap();
    let connection = sea_orm::Database::connect(format!("sqlite://{}", home.path().display())).await.unwrap();
    let garble = "PRAGMA writable_schema = ON; \
                  UPDATE sqlite_schema SET sql = replace(sql, 'created_at', 'created_' || CAST(x'ff' AS TEXT))";
    connection.execute_unprepared(garble).await.unwrap();
    connection.close().await.unwrap();
    let random = Arc::new(SeededRandom::new(1));
    let error = Database::open(options.clone(), clock.clone(), random.clone()).await.err().unwrap();
    assert!(matches!(&error, StoreError::Corrupt { reason, .. } if reason.contains("no text")), "{error}");
    let error = backups.create(BackupKind::Manual, "").await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    // and both ways back lead on
    let rehearsed = SqliteRecovery::new(options.clone(), home.0.path().join("backups"), clock.clone()).rehearse().await;
    assert_eq!(rehearsed.unwrap().source, RecoverySource::Backup);
    backups.restore(&good.manifest.id).await.unwrap();
    Database::open(options, clock, random).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn durability_is_what_was_asked_for() {
    for (durability, synchronous) in [(Durability::Full, 2), (Durability::Normal, 1)] {
        let (database, _, _home) = open(|options| options.durability = durability).await;
        let stats = database.stats().await.unwrap();
        assert_eq!((stats.journal_mode.as_str(), stats.synchronous_mode), ("wal", synchronous));
    }
}

#[tokio::test]
async fn a_backup_directory_that_cannot_be_read_hides_no_figures() {
    let (database, _, home) = open(|options| options.backups = Some(options.url.path().join("below").into())).await;
    let stats = database.stats().await.unwrap();
    assert_eq!((stats.last_backup, stats.users_count), (None, 0));
    assert_eq!(check(&database, "backups").await.unwrap().status, HealthStatus::Warning);
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn s22_three_hundred_callers_share_five_connections() {
    let (database, _, home) = open(|_| {}).await;
    let callers: Vec<_> = (0..300)
        .map(|id| {
            let database = database.clone();
            tokio::spawn(async move { database.users().get_or_create(user(id)).await.unwrap() })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let stats = database.stats().await.unwrap();
    assert_eq!((stats.users_count, stats.max_pool_size, stats.error_count), (300, 5, 0));
    let path = home.path().canonicalize().unwrap();
    let open_files = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter(|entry| fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|target| target == path));
    assert_eq!(open_files.count(), 5);
}

#[tokio::test]
async fn operations_above_the_threshold_are_counted_as_slow() {
    for (slow_after, is_slow) in [(Duration::ZERO, true), (Duration::from_secs(3_600), false)] {
        let (database, _, _home) = open(|options| options.slow_after = slow_after).await;
        database.users().get_or_create(user(1)).await.unwrap();
        assert_eq!(database.stats().await.unwrap().pool.slow_operations > 0, is_slow);
    }
}

#[tokio::test]
async fn a_busy_database_is_tried_again_then_reported_and_heals_by_itself() {
    let (database, clock, home) = open(|options| options.busy_timeout = Duration::from_millis(20)).await;
    let url = format!("sqlite://{}", home.path().display());
    let other = sea_orm::Database::connect(url).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let refused = database.users().get_or_create(user(1)).await;
    assert!(matches!(&refused, Err(StoreError::Busy { what }) if what.contains("trivia.db")), "{refused:?}");
    assert_eq!(database.users().find(user(1)).await.unwrap(), None, "reads go on");
    let stats = database.stats().await.unwrap();
    assert_eq!((stats.pool.busy_retries, stats.error_count), (4, 1));
    assert_eq!((stats.errors_by_kind["busy"], stats.errors_by_kind.values().sum()), (1, 1));
    assert_eq!(errors(&database).await.reason, "1 without an hour of rest");
    // S27: old errors do not count for ever
    clock.advance(TimeDelta::hours(2));
    assert_eq!(errors(&database).await.reason, "none in the last hour");
    other.execute_unprepared("ROLLBACK").await.unwrap();
    database.users().get_or_create(user(1)).await.unwrap();
    // a mistake of the caller is neither tried again nor counted
    assert!(matches!(database.users().get(user(2)).await, Err(StoreError::Missing { .. })));
    let stats = database.stats().await.unwrap();
    assert_eq!((stats.pool.busy_retries, stats.error_count), (4, 1));
}

async fn errors(database: &Database) -> HealthCheck {
    check(database, "errors").await.unwrap()
}

async fn check(database: &Database, name: &str) -> Option<HealthCheck> {
    database.health().await.checks.into_iter().find(|check| check.name == name)
}

#[tokio::test]
async fn what_came_of_tasks_is_remembered() {
    let (database, clock, home) = open(|_| {}).await;
    let mut expected = Task::ALL.map(TaskRecord::new);
    assert_eq!(database.tasks().await.unwrap(), expected);
    let attempts = [
        (Task::DailyBackup, Ok("one")),
        (Task::Scrub, Err("no")),
        (Task::Scrub, Err("still no")),
        (Task::DailyBackup, Err("full")),
        (Task::Scrub, Ok("well again")),
        (Task::DailyBackup, Err("read-only")),
        (Task::ForgetSessions, Ok("")),
        (Task::ForgetSessions, Ok("nothing")),
    ];
    for (task, outcome) in attempts {
        clock.advance(TimeDelta::minutes(1));
        let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
        database.note_task(task, clock.now(), outcome.clone()).await.unwrap();
        // the same as in memory
        expected.iter_mut().find(|record| record.task == task).unwrap().note(clock.now(), outcome);
        assert_eq!(database.tasks().await.unwrap(), expected);
    }
    assert!(expected.iter().any(|record| record.failing.is_some()), "there is nothing to keep");
    database.close().await.unwrap();
    let options = DatabaseOptions::new(DatabaseUrl::of_file(home.path()));
    let database = Database::open(options, clock, Arc::new(SeededRandom::new(1))).await.unwrap();
    assert_eq!(database.tasks().await.unwrap(), expected);
}

#[tokio::test]
async fn health_tells_which_tasks_fail_and_since_when() {
    let (database, clock, _home) = open(|_| {}).await;
    let healthy = check(&database, "tasks").await.unwrap();
    assert_eq!((healthy.status, healthy.reason.as_str()), (HealthStatus::Healthy, "none fails; no server is running"));
    for (minutes, reason) in [(5, "no space"), (60, "no space left")] {
        clock.advance(TimeDelta::minutes(minutes));
        database.note_task(Task::WeeklyBackup, clock.now(), Err(reason.to_owned())).await.unwrap();
    }
    let failing = check(&database, "weekly_backup").await.unwrap();
    assert_eq!(failing.status, HealthStatus::Warning);
    assert_eq!(failing.reason, "it fails since 2026-03-04 12:05:00 UTC: no space left");
    assert!(failing.recommendation.contains("backup create"), "{failing:?}");
    assert_eq!(check(&database, "tasks").await, None);
    database.note_task(Task::WeeklyBackup, clock.now(), Ok(String::new())).await.unwrap();
    assert_eq!(check(&database, "tasks").await.unwrap(), healthy);
}

#[tokio::test]
async fn health_tells_what_is_late_only_while_a_server_should_do_it() {
    let (database, clock, _home) = open(|_| {}).await;
    let late = async || {
        let checks = database.health().await.checks.into_iter();
        let late = checks.filter(|check| check.reason.starts_with("it is due since"));
        late.map(|check| (check.name, check.reason)).collect::<Vec<_>>()
    };
    for task in Task::ALL {
        database.note_task(task, clock.now(), Ok(String::new())).await.unwrap();
    }
    clock.advance(TimeDelta::hours(2));
    assert_eq!(late().await, [], "nobody promised to do it");
    let lock = SchedulerLock::take(&database.options().url, clock.now()).await.unwrap();
    clock.advance(TimeDelta::hours(1));
    assert_eq!(late().await, [], "it has just started");
    clock.advance(TimeDelta::microseconds(1));
    let since = "it is due since 2026-03-04 14:00:00 UTC".to_owned();
    assert_eq!(late().await, [("expire_sessions".to_owned(), since)]);
    clock.advance(TimeDelta::hours(12));
    let names: Vec<_> = late().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["daily_backup", "retention", "scrub", "expire_sessions", "forget_sessions"]);
    drop(lock);
    assert_eq!(late().await, []);
}

#[tokio::test]
async fn a_closed_database_leaves_one_file_and_says_that_it_is_closed() {
    let (database, _, home) = open(|_| {}).await;
    database.users().get_or_create(user(1)).await.unwrap();
    database.close().await.unwrap();
    database.close().await.unwrap();
    assert!(!home.0.path().join("data/trivia.db-wal").exists(), "the log is folded in");
    let error = database.users().find(user(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error}");
}

#[tokio::test]
async fn unused_space_is_given_back() {
    let (database, _, home) = open(|_| {}).await;
    database.users().get_or_create(user(1)).await.unwrap();
    let other = sea_orm::Database::connect(format!("sqlite://{}", home.path().display())).await.unwrap();
    other.execute_unprepared("CREATE TABLE ballast AS SELECT randomblob(1000000) AS bytes").await.unwrap();
    other.execute_unprepared("DROP TABLE ballast").await.unwrap();
    other.close().await.unwrap();
    let compacted = database.compact().await.unwrap();
    assert!(compacted.bytes_before > compacted.bytes_after + 900_000, "{compacted:?}");
    assert_eq!(fs::metadata(home.path()).unwrap().len(), compacted.bytes_after);
    database.users().get(user(1)).await.unwrap();
    // the machine of the test has some space
    assert!(check(&database, "space").await.unwrap().reason.contains("are left in"));
}
