//! Laws L5 and L28 for the write-ahead log: commits that go with a log that is lost, cut or damaged are missed, though
//! SQLite opens what is left without a word.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use trivia_domain::StoreError;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{BackupKind, IdempotencyKey, Points, RecoverySource, UserId};
use trivia_domain::ports::{
    AwardRequest, BackupService, CheckOutcome, Clock, HealthStatus, MaintenancePort, RecoveryService, Repositories,
};
use trivia_infrastructure::{
    Database, DatabaseOptions, DatabaseUrl, Durability, SqliteBackups, SqliteRecovery, schema,
};

/// Awards that are only in the log of the files of a [`Case`].
const AWARDS: u64 = 12;

fn user() -> UserId {
    UserId::new(7).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()))
}

fn award(number: u64) -> AwardRequest {
    let key = IdempotencyKey::generate(clock().now(), &SeededRandom::new(number));
    AwardRequest { key, user_id: user(), points: Points::small(5), reason: "a test".to_owned() }
}

/// The files of a process that was killed: a database, its log and the note of its last commit.
struct Case {
    dir: TempDir,
}

impl Case {
    async fn new() -> Self {
        let alive = tempfile::tempdir().unwrap();
        let options = DatabaseOptions::new(DatabaseUrl::of_file(alive.path().join("trivia.db")));
        schema::up(&options, None).await.unwrap();
        let database = Database::open(options, clock(), Arc::new(SeededRandom::new(1))).await.unwrap();
        database.users().get_or_create(user()).await.unwrap();
        for number in 0..AWARDS {
            database.play().award(award(number)).await.unwrap();
        }
        let case = Self { dir: tempfile::tempdir().unwrap() };
        for end in ["", "-wal", "-head"] {
            fs::copy(alive.path().join(format!("trivia.db{end}")), case.file(end)).unwrap();
        }
        database.close().await.unwrap();
        assert!(!alive.path().join("trivia.db-head").exists(), "without a log there is nothing to lose");
        case
    }

    fn file(&self, end: &str) -> PathBuf {
        self.dir.path().join(format!("trivia.db{end}"))
    }

    fn backups(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    fn options(&self) -> DatabaseOptions {
        DatabaseOptions::new(DatabaseUrl::of_file(self.file("")))
    }

    async fn open(&self) -> Database {
        Database::open(self.options(), clock(), Arc::new(SeededRandom::new(2))).await.unwrap()
    }

    /// The same files somewhere else.
    fn again(&self) -> Self {
        let copy = Self { dir: tempfile::tempdir().unwrap() };
        for end in ["", "-wal", "-head"] {
            fs::copy(self.file(end), copy.file(end)).unwrap();
        }
        copy
    }

    /// Whoever opens it is told, can read, and cannot write.
    async fn is_missed(&self, what: &str) {
        let database = self.open().await;
        database.users().find(user()).await.unwrap();
        let error = database.play().award(award(AWARDS)).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { reason, .. } if reason.contains("lacks its last")),
            "{what}: {error}"
        );
        assert!(error.hint().contains("trivia-db recover"), "{}", error.hint());
        assert_eq!(database.health().await.status, HealthStatus::Critical, "{what}");
        // a check does not make it forget
        assert!(matches!(database.check().await, CheckOutcome::Bad { .. }), "{what}");
        database.play().award(award(AWARDS)).await.unwrap_err();
        database.close().await.unwrap();
    }

    /// After a recovery it goes on with what is left; the awards that are there then.
    async fn recovers(&self) -> i64 {
        let recovery = SqliteRecovery::new(self.options(), self.backups(), clock());
        let looked = recovery.rehearse().await.unwrap();
        assert!(looked.problems.iter().any(|problem| problem.contains("lacks its last")), "{:?}", looked.problems);
        let report = recovery.recover().await.unwrap();
        assert_ne!(report.source, RecoverySource::Nothing);
        let database = self.open().await;
        let points = database.users().find(user()).await.unwrap().map_or(0, |profile| profile.total_points.get());
        database.users().get_or_create(user()).await.unwrap();
        database.play().award(award(AWARDS)).await.unwrap();
        assert_eq!(database.check().await, CheckOutcome::Ok);
        database.close().await.unwrap();
        points / 5
    }
}

fn flip(path: &Path, byte: usize) {
    let mut file = fs::read(path).unwrap();
    file[byte] ^= 1 << (byte % 8);
    fs::write(path, file).unwrap();
}

#[tokio::test]
async fn l5_a_log_that_is_whole_is_not_missed() {
    let case = Case::new().await;
    for _ in 0..2 {
        let database = case.open().await;
        let profile = database.users().get(user()).await.unwrap();
        assert_eq!(profile.total_points.get(), 5 * i64::try_from(AWARDS).unwrap());
        database.users().set_time_zone(user(), "UTC".parse().unwrap()).await.unwrap();
        assert_eq!(database.check().await, CheckOutcome::Ok);
        database.close().await.unwrap();
    }
}

#[tokio::test]
async fn l28_a_log_that_is_gone_or_empty_is_missed() {
    let case = Case::new().await;
    let gone = case.again();
    fs::remove_file(gone.file("-wal")).unwrap();
    gone.is_missed("gone").await;
    gone.recovers().await;
    fs::write(case.file("-wal"), b"").unwrap();
    case.is_missed("empty").await;
}

#[tokio::test]
async fn l28_a_log_that_is_cut_is_missed() {
    let case = Case::new().await;
    let log = fs::read(case.file("-wal")).unwrap();
    let mut left = Vec::new();
    for part in 1..8 {
        let cut = case.again();
        fs::write(cut.file("-wal"), &log[..log.len() * part / 8]).unwrap();
        cut.is_missed(&format!("{part} of 8")).await;
        left.push(cut.recovers().await);
    }
    assert!(left.is_sorted() && left.last() > left.first(), "{left:?}");
}

#[tokio::test]
async fn l28_a_flipped_bit_in_a_log_is_missed_and_costs_one_frame() {
    let case = Case::new().await;
    let length = fs::read(case.file("-wal")).unwrap().len();
    let (mut left, awards) = (Vec::new(), i64::try_from(AWARDS).unwrap());
    // one in the header and one in every sixth frame, each time at another place of it
    let frame = 24 + 4096;
    let places =
        std::iter::once(9).chain((0..(length - 32) / frame).step_by(6).map(|at| 32 + at * frame + (at * 701) % frame));
    for place in places {
        let flipped = case.again();
        flip(&flipped.file("-wal"), place);
        flipped.is_missed(&format!("byte {place} of {length}")).await;
        left.push(flipped.recovers().await);
    }
    // without its header nothing in the log can be told; else the frames behind the broken one are still there
    let (header, frames) = left.split_first().unwrap();
    assert!(header < &awards, "{left:?}");
    assert!(frames.iter().all(|left| *left >= awards - 1), "{left:?}");
    assert!(frames.iter().filter(|left| **left == awards).count() > frames.len() / 2, "{left:?}");
}

#[tokio::test]
async fn l28_a_stale_index_of_the_log_changes_nothing() {
    let case = Case::new().await;
    for index in [vec![0; 32_768], vec![0xa5; 32_768], Vec::new()] {
        let stale = case.again();
        fs::write(stale.file("-shm"), index).unwrap();
        let database = stale.open().await;
        database.play().award(award(AWARDS)).await.unwrap();
        assert_eq!(database.check().await, CheckOutcome::Ok);
        database.close().await.unwrap();
    }
}

#[tokio::test]
async fn l28_a_damaged_note_or_none_says_nothing() {
    let case = Case::new().await;
    let length = fs::read(case.file("-head")).unwrap().len();
    for place in 0..length {
        let flipped = case.again();
        flip(&flipped.file("-head"), place);
        fs::remove_file(flipped.file("-wal")).unwrap();
        // what matters is that nobody is accused by a wrong note: this one only cannot tell any more
        let database = flipped.open().await;
        let _ = database.check().await;
        database.close().await.unwrap();
    }
    let without = case.again();
    fs::remove_file(without.file("-head")).unwrap();
    let database = without.open().await;
    database.play().award(award(AWARDS)).await.unwrap();
    assert!(without.file("-head").exists());
    database.close().await.unwrap();
}

#[tokio::test]
async fn l28_without_full_durability_the_last_commits_may_go() {
    let case = Case::new().await;
    fs::remove_file(case.file("-wal")).unwrap();
    let options = DatabaseOptions { durability: Durability::Normal, ..case.options() };
    let database = Database::open(options, clock(), Arc::new(SeededRandom::new(2))).await.unwrap();
    database.users().get_or_create(user()).await.unwrap();
    database.play().award(award(AWARDS)).await.unwrap();
    assert_eq!(database.check().await, CheckOutcome::Ok);
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn l28_several_processes_and_restores_are_no_loss() {
    let case = Case::new().await;
    let (first, second) = (case.open().await, case.open().await);
    let backup = SqliteBackups::attached(&first, case.backups()).create(BackupKind::Manual, "").await.unwrap();
    for number in 0..6 {
        let database = if number % 2 == 0 { &first } else { &second };
        database.play().award(award(AWARDS + number)).await.unwrap();
    }
    for database in [&first, &second] {
        assert_eq!(database.check().await, CheckOutcome::Ok);
    }
    second.close().await.unwrap();
    // an older state has fewer commits, and that is what was asked for
    SqliteBackups::attached(&first, case.backups()).restore(&backup.manifest.id).await.unwrap();
    first.play().award(award(AWARDS)).await.unwrap();
    assert_eq!(first.check().await, CheckOutcome::Ok);
    first.close().await.unwrap();
    // so has one that somebody put there by hand beside the note of a newer one
    let database = case.open().await;
    database.play().award(award(AWARDS + 9)).await.unwrap();
    let note = fs::read(case.file("-head")).unwrap();
    database.close().await.unwrap();
    fs::write(case.file("-head"), note).unwrap();
    fs::copy(&backup.path, case.file("")).unwrap();
    case.is_missed("an older copy").await;
}
