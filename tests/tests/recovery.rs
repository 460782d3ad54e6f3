//! Laws L27 and L28 for damaged files: what `recover` rescues, what it never touches, and when it does nothing.
//!
//! The kinds of damage, and the share of rows that a walk over the pages rescues from each, were measured before
//! (docs/adr/0019). Chance comes from seeds that are printed.

#[path = "cli/bench.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use tempfile::TempDir;
use trivia_domain::StoreError;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    BackupKind, Category, ChannelId, Difficulty, Given, IdempotencyKey, Labels, Language, Pack, PackName, PackPart,
    Page, Points, QuestionBody, QuestionContent, QuestionId, RecoveryReport, RecoverySource, ReportNote, ReportOutcome,
    ReportReason, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, AwardRequest, BackupService, CheckOutcome, Clock, FileReport, HealthStatus,
    ListedPack, MaintenancePort, PickRequest, QuestionFilter, RandomSource, RecoveryService, ReportFilter,
    Repositories, StartSession, Store,
};
use trivia_infrastructure::{
    Database, DatabaseOptions, DatabaseUrl, Durability, SqliteBackups, SqliteRecovery, SystemRandom, schema,
};

const PLAYERS: i64 = 60;
const QUESTIONS: usize = 200;
/// Sessions before the backup and after it.
const SESSIONS: [i64; 2] = [12, 12];
/// Questions of a session.
const ASKED: usize = 5;
const PAGE: usize = 4_096;

/// What a row is, whatever follows from other rows left out.
const TRUTHS: [(&str, &str); 8] = [
    (
        "ledger",
        "SELECT user_id || '/' || seq AS k, hex(key) || kind || at || points || '/' || total_points || '/' || streak || \
         COALESCE(hex(session_id) || question_id || given || correct, reason) AS v FROM ledger",
    ),
    (
        "users",
        "SELECT user_id AS k, time_zone || total_points || '/' || questions_answered || '/' || best_streak AS v FROM users",
    ),
    ("questions", "SELECT id AS k, version || hex(content_key) || question_text || correct_answer AS v FROM questions"),
    (
        "game_sessions",
        "SELECT hex(id) AS k, channel_id || host_id || status || position || started_at AS v FROM game_sessions",
    ),
    (
        "session_questions",
        "SELECT hex(session_id) || position AS k, question_id || '/' || version || opened_at AS v FROM session_questions",
    ),
    (
        "user_tallies",
        "SELECT user_id || dimension || name AS k, answered || '/' || correct || '/' || points AS v FROM user_tallies",
    ),
    (
        "rankings",
        "SELECT user_id || period || starts_on AS k, points || '/' || answered || '/' || correct AS v FROM rankings",
    ),
    ("user_achievements", "SELECT user_id || achievement_id AS k, bonus AS v FROM user_achievements"),
];

type Rows = BTreeMap<(&'static str, String), String>;

/// A database that was made through the ports, the same for all tests.
struct Model {
    _dir: TempDir,
    /// The file, closed properly.
    file: Vec<u8>,
    /// The directory of the backup from the middle of its life.
    backups: PathBuf,
    /// All rows in the end, and those at the time of the backup.
    rows: Rows,
    before_backup: Rows,
}

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    // a thread of its own: tests run inside of a runtime
    let make = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(Model::make());
    std::thread::scope(|scope| scope.spawn(make).join().unwrap())
});

fn options(path: &Path) -> DatabaseOptions {
    let mut options = DatabaseOptions::new(DatabaseUrl::of_file(path));
    options.busy_timeout = Duration::from_millis(300);
    options.durability = Durability::Normal;
    options
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()))
}

/// After the whole life of the model.
fn later() -> Arc<ManualClock> {
    Arc::new(ManualClock::new("2026-03-05T12:00:00Z".parse().unwrap()))
}

fn user(id: i64) -> UserId {
    // as large as those of a chat system
    UserId::new(80_351_110_224_678_912 + id * 7_919).unwrap()
}

impl Model {
    async fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (path, backups) = (dir.path().join("trivia.db"), dir.path().join("backups"));
        schema::up(&options(&path), None).await.unwrap();
        let (clock, random) = (clock(), Arc::new(SeededRandom::new(11)));
        let database = Database::open(options(&path), Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&random) as _)
            .await
            .unwrap();
        let questions = questions(&database).await;
        for id in 0..PLAYERS {
            database.users().get_or_create(user(id)).await.unwrap();
            if id % 3 == 0 {
                database.users().set_time_zone(user(id), "Atlantic/Reykjavik".parse().unwrap()).await.unwrap();
            }
        }
        play(&database, &clock, &random, &questions, SESSIONS[0]).await;
        // closed once, so that everything that follows from facts is stored
        database.close().await.unwrap();
        let before_backup = rows(&path).await;
        let database = Database::open(options(&path), Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&random) as _)
            .await
            .unwrap();
        SqliteBackups::attached(&database, backups.clone()).create(BackupKind::Manual, "the middle").await.unwrap();
        for id in PLAYERS..PLAYERS + 5 {
            database.users().get_or_create(user(id)).await.unwrap();
        }
        play(&database, &clock, &random, &questions, SESSIONS[1]).await;
        database.close().await.unwrap();
        let rows = rows(&path).await;
        Self { file: fs::read(&path).unwrap(), backups, rows, before_backup, _dir: dir }
    }
}

async fn questions(store: &dyn Store) -> Vec<QuestionId> {
    let content = |number: usize| {
        let body = QuestionBody::MultipleChoice {
            options: (0..4).map(|option| format!("Answer {option} of number {number}")).collect(),
            correct: number % 4,
        };
        let category = Category::new(["History", "Space", "Music"][number % 3]).unwrap();
        let difficulty = [Difficulty::Easy, Difficulty::Medium, Difficulty::Hard][number % 3];
        QuestionContent::new(body, &format!("What is asked by number {number}?"), category, difficulty).unwrap()
    };
    let added = store.questions().add((0..QUESTIONS).map(content).collect()).await.unwrap();
    let id = |outcome: AddOutcome| match outcome {
        AddOutcome::Added { id } => id,
        other => panic!("{other:?}"),
    };
    added.into_iter().map(id).collect()
}

async fn play(
    database: &Database,
    clock: &ManualClock,
    random: &SeededRandom,
    questions: &[QuestionId],
    sessions: i64,
) {
    for session in 0..sessions {
        let first = usize::try_from(random.next_u64() % (QUESTIONS - ASKED) as u64).unwrap();
        let asked = &questions[first..first + ASKED];
        let request = StartSession {
            channel_id: ChannelId::new(1_000 + session).unwrap(),
            host: user(session % PLAYERS),
            questions: asked.to_vec(),
            time_limit: TimeLimit::new(Duration::from_secs(600)).unwrap(),
        };
        let started = database.play().start_session(request).await.unwrap();
        for (position, question_id) in asked.iter().copied().enumerate() {
            clock.advance(chrono::TimeDelta::seconds(7));
            let mut answers = tokio::task::JoinSet::new();
            for id in 0..PLAYERS {
                let submission = AnswerSubmission {
                    key: IdempotencyKey::generate(clock.now(), random),
                    user_id: user(id),
                    session_id: started.id,
                    question_id,
                    given: Given::Choice(usize::try_from(random.next_u64() % 4).unwrap()),
                };
                let database = database.clone();
                answers.spawn(async move { database.play().submit_answer(submission).await.unwrap() });
            }
            answers.join_all().await;
            database.play().advance(started.id, position).await.unwrap();
        }
    }
}

/// What is in a file that nobody writes to.
async fn rows(path: &Path) -> Rows {
    let url = format!("sqlite:{}?mode=ro", path.display());
    let connection = sea_orm::Database::connect(url).await.unwrap();
    let mut rows = Rows::new();
    for (table, sql) in TRUTHS {
        let sql = format!("SELECT CAST(k AS TEXT) AS k, CAST(COALESCE(v, '-') AS TEXT) AS v FROM ({sql})");
        for row in connection.query_all_raw(Statement::from_string(DatabaseBackend::Sqlite, sql)).await.unwrap() {
            rows.insert((table, row.try_get("", "k").unwrap()), row.try_get("", "v").unwrap());
        }
    }
    connection.close().await.unwrap();
    rows
}

/// A database that is damaged on purpose.
struct Case {
    dir: TempDir,
}

impl Case {
    fn new(file: &[u8], with_backup: bool) -> Self {
        let case = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(case.path(), file).unwrap();
        if with_backup {
            fs::create_dir(case.backups()).unwrap();
            for entry in fs::read_dir(&MODEL.backups).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), case.backups().join(entry.file_name())).unwrap();
                }
            }
        }
        case
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("trivia.db")
    }

    fn backups(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    fn recovery(&self) -> SqliteRecovery {
        SqliteRecovery::new(options(&self.path()), self.backups(), later())
    }

    async fn open(&self) -> Database {
        Database::open(options(&self.path()), later(), Arc::new(SystemRandom)).await.unwrap()
    }

    /// Recovers, and proves what must hold after every recovery.
    async fn recover(&self) -> (RecoveryReport, Rows) {
        self.recover_from(fs::read(format!("{}-wal", self.path().display())).ok()).await
    }

    async fn recover_from(&self, log: Option<Vec<u8>>) -> (RecoveryReport, Rows) {
        let damaged = [fs::read(self.path()).ok(), log];
        let report = self.recovery().recover().await.unwrap();
        let database = self.open().await;
        assert_eq!(database.verify().await.unwrap(), []);
        assert_eq!(database.check().await, CheckOutcome::Ok);
        assert_eq!(database.health().await.status.min(HealthStatus::Warning), database.health().await.status);
        database.close().await.unwrap();
        // the evidence is there, and it is what was found
        let forensics = PathBuf::from(report.forensics.as_ref().unwrap());
        for (end, bytes) in ["", "-wal"].iter().zip(damaged) {
            assert_eq!(fs::read(forensics.join(format!("trivia.db{end}"))).ok(), bytes, "{end}");
        }
        let sums = std::process::Command::new("sha256sum").arg("-c").arg("SHA256SUMS").current_dir(&forensics).output();
        assert!(sums.unwrap().status.success());
        assert!(Path::new(report.set_aside.as_ref().unwrap()).exists());
        let refused = report.quarantine.as_ref().map_or(0, |path| fs::read_to_string(path).unwrap().lines().count());
        assert_eq!(refused as u64, report.quarantined);
        let backup = report.new_backup.as_ref().expect("a first backup");
        let backups = SqliteBackups::new(options(&self.path()), self.backups(), later());
        assert!(backups.verify(&backup.manifest.id).await.unwrap().ok);
        let rows = rows(&self.path()).await;
        (report, rows)
    }
}

/// Shares in percent: of the facts, and of all rows.
fn shares(found: &Rows, wanted: &Rows) -> (f64, f64) {
    let share = |only: Option<&str>| {
        let wanted: Vec<_> = wanted.iter().filter(|((table, _), _)| only.is_none_or(|only| only == *table)).collect();
        let right = wanted.iter().filter(|(key, value)| found.get(*key) == Some(*value)).count();
        100.0 * right as f64 / wanted.len() as f64
    };
    (share(Some("ledger")), share(None))
}

/// Facts of the time of the backup that are not there any more, or not as they were.
fn forgotten(found: &Rows) -> Vec<&'static str> {
    let kept = ["ledger", "questions", "session_questions"];
    let before = MODEL.before_backup.iter().filter(|((table, _), _)| kept.contains(table));
    // a session that was live then may have gone on
    before.filter(|(key, value)| found.get(*key) != Some(*value)).map(|((table, _), _)| *table).collect()
}

fn random(seed: u64) -> SeededRandom {
    println!("seed {seed}");
    SeededRandom::new(seed)
}

fn below(random: &SeededRandom, limit: usize) -> usize {
    usize::try_from(random.next_u64() % limit as u64).unwrap()
}

fn garbage(bytes: &mut [u8], random: &SeededRandom) {
    for byte in bytes {
        *byte = random.next_u64().to_le_bytes()[0];
    }
}

/// Whether the sector at an offset has the head of its page, or nothing but cells: what is not in use keeps the bytes
/// of cells that went (<https://sqlite.org/fileformat2.html#b_tree_pages>).
fn is_in_use(file: &[u8], at: usize) -> bool {
    let page = &file[at - at % PAGE..];
    let number = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    let (first_free, cells) = (number(1), number(5));
    at.is_multiple_of(PAGE) || first_free == 0 && cells <= at % PAGE
}

/// The root pages of tables, or of one.
async fn roots(path: &Path, only: Option<&str>) -> Vec<usize> {
    let connection = bench::connect(path).await;
    let name = only.map_or("name".to_owned(), |name| format!("'{name}'"));
    let sql = format!("SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = {name} AND rootpage > 0");
    let rows = connection.query_all_raw(Statement::from_string(DatabaseBackend::Sqlite, sql)).await.unwrap();
    let roots =
        rows.iter().map(|row| usize::try_from(row.try_get::<i64>("", "rootpage").unwrap()).unwrap() - 1).collect();
    connection.close().await.unwrap();
    roots
}

/// Damages the model, recovers it without and with a backup, and compares with the share of a page walk.
async fn rescues(name: &str, facts: f64, all: f64, damage: impl Fn(&mut Vec<u8>)) {
    let mut file = MODEL.file.clone();
    damage(&mut file);
    assert_ne!(file, MODEL.file);
    for with_backup in [false, true] {
        let case = Case::new(&file, with_backup);
        let began = Instant::now();
        let (report, found) = case.recover().await;
        let (of_facts, of_all) = shares(&found, &MODEL.rows);
        println!(
            "{name}, backup {with_backup}: facts {of_facts:.2} %, all rows {of_all:.2} %, lost {}, refused {}, \
             unreadable pages {}, {} ms, {:?}",
            report.lost,
            report.quarantined,
            report.unreadable_pages,
            began.elapsed().as_millis(),
            report.problems.first()
        );
        let refused = report.quarantine.as_ref().map_or(String::new(), |path| fs::read_to_string(path).unwrap());
        let mut reasons = BTreeMap::new();
        for line in refused.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            *reasons.entry(format!("{} {}", line["table"], line["reason"])).or_insert(0) += 1;
        }
        for (reason, rows) in reasons {
            println!("  refused {rows}: {reason}");
        }
        if with_backup {
            assert_eq!(report.source, RecoverySource::Backup);
            assert_eq!(forgotten(&found), Vec::<&str>::new(), "{name}");
        } else {
            assert_eq!(report.source, RecoverySource::Salvage);
        }
        assert!(of_facts >= facts, "{name}: {of_facts:.2} % of the facts, {facts} wanted");
        assert!(of_all >= all, "{name}: {of_all:.2} % of all rows, {all} wanted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sector() {
    for seed in 0..2 {
        let random = random(seed);
        // the head of a page takes the page: up to 29 of 7,200 facts, and the sums of their players
        rescues("one sector", 99.5, 97.0, |file| {
            // not the first page, which is a case of its own, and not where nothing is: nobody would miss it
            let at = loop {
                let at = PAGE + below(&random, file.len() / 512 - 8) * 512;
                if is_in_use(file, at) {
                    break at;
                }
            };
            garbage(&mut file[at..at + 512], &random);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits() {
    // as many for each row as the hundred were that were measured
    let flips = MODEL.rows.len() / 297;
    for seed in 10..12 {
        let random = random(seed);
        rescues("flipped bits", 99.6, 98.0, |file| {
            for _ in 0..flips {
                let at = PAGE + below(&random, file.len() - PAGE);
                file[at] ^= 1 << below(&random, 8);
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenth_of_the_pages() {
    for seed in 21..22 {
        let random = random(seed);
        // by chance more or fewer of them are the ledger's
        rescues("a tenth of the pages", 84.0, 75.0, |file| {
            let pages = file.len() / PAGE;
            let mut hit = BTreeSet::new();
            while hit.len() < pages / 10 {
                hit.insert(1 + below(&random, pages - 1));
            }
            for page in hit {
                garbage(&mut file[page * PAGE..(page + 1) * PAGE], &random);
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_of_tables() {
    let whole = Case::new(&MODEL.file, false);
    let (users, all) = (roots(&whole.path(), Some("users")).await, roots(&whole.path(), None).await);
    let random = random(30);
    rescues("the root of users", 100.0, 99.0, |file| {
        garbage(&mut file[users[0] * PAGE..(users[0] + 1) * PAGE], &random)
    })
    .await;
    rescues("all roots", 99.7, 97.0, |file| {
        for root in &all {
            garbage(&mut file[root * PAGE..(root + 1) * PAGE], &random);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_and_first_page() {
    rescues("the header", 100.0, 100.0, |file| file[..100].fill(0)).await;
    let random = random(40);
    rescues("the first page", 100.0, 100.0, |file| garbage(&mut file[..PAGE], &random)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off() {
    rescues("cut to three quarters", 55.0, 55.0, |file| file.truncate(file.len() / PAGE * 3 / 4 * PAGE)).await;
    let case = Case::new(&[], true);
    let (report, found) = case.recover().await;
    assert_eq!((report.source, report.problems.len()), (RecoverySource::Backup, 1));
    assert_eq!(forgotten(&found), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_in_the_log_is_rescued() {
    let home = Case::new(&MODEL.file, false);
    let database = home.open().await;
    for id in 0..20 {
        let key = IdempotencyKey::generate(later().now(), &SeededRandom::new(700 + id));
        let award = AwardRequest { key, user_id: user(0), points: Points::small(5), reason: "in the log".to_owned() };
        database.play().award(award).await.unwrap();
    }
    // the process dies here
    let (mut file, log) = (fs::read(home.path()).unwrap(), fs::read(format!("{}-wal", home.path().display())).unwrap());
    database.close().await.unwrap();
    let wanted = rows(&home.path()).await;
    // the log may have the first page: another one must be damaged, too
    let questions = roots(&home.path(), Some("questions")).await[0];
    file[..PAGE].fill(0);
    file[questions * PAGE..(questions + 1) * PAGE].fill(0xa5);
    let case = Case::new(&file, false);
    fs::write(format!("{}-wal", case.path().display()), &log).unwrap();
    let (_, found) = case.recover().await;
    let awards = |rows: &Rows| rows.values().filter(|row| row.ends_with("in the log")).count();
    assert_eq!((awards(&found), awards(&wanted)), (20, 20));
    assert_eq!(shares(&found, &wanted).0, 100.0);

    // a recovery that died just before its rename has set the log aside
    let case = Case::new(&file, false);
    let aside = format!("{}.damaged-20260304t000000z", case.path().display());
    fs::hard_link(case.path(), &aside).unwrap();
    fs::write(format!("{aside}-wal"), &log).unwrap();
    let (_, found) = case.recover_from(Some(log)).await;
    assert_eq!(shares(&found, &wanted).0, 100.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_indexes_are_made_anew_and_no_row_is_touched() {
    let whole = Case::new(&MODEL.file, true);
    let connection = bench::connect(&whole.path()).await;
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_game_sessions_host_id'";
    let row = connection.query_one_raw(Statement::from_string(DatabaseBackend::Sqlite, sql)).await.unwrap().unwrap();
    let root = usize::try_from(row.try_get::<i64>("", "rootpage").unwrap()).unwrap() - 1;
    connection.close().await.unwrap();
    let mut file = MODEL.file.clone();
    // a leaf without entries
    file[root * PAGE..root * PAGE + 8].copy_from_slice(&[0x0a, 0, 0, 0, 0, 0x10, 0, 0]);
    let case = Case::new(&file, true);
    let (report, found) = case.recover().await;
    assert_eq!((report.source, report.lost, report.quarantined), (RecoverySource::Indexes, 0, 0), "{report:?}");
    assert_eq!(shares(&found, &MODEL.rows), (100.0, 100.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn l27_a_whole_database_is_left_alone() {
    let case = Case::new(&MODEL.file, true);
    let before = (bench::contents(case.dir.path()), fs::metadata(case.path()).unwrap().modified().unwrap());
    for _ in 0..2 {
        let report = case.recovery().recover().await.unwrap();
        assert_eq!((report.source, report.forensics), (RecoverySource::Nothing, None));
    }
    let after = (bench::contents(case.dir.path()), fs::metadata(case.path()).unwrap().modified().unwrap());
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn l27_a_look_changes_nothing() {
    let mut file = MODEL.file.clone();
    file[..100].fill(0);
    let case = Case::new(&file, true);
    let before = bench::contents(case.dir.path());
    let report = case.recovery().rehearse().await.unwrap();
    assert!(report.dry_run && report.source == RecoverySource::Backup && report.rescued > 3_000, "{report:?}");
    assert_eq!(bench::contents(case.dir.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn l27_s19_what_could_not_be_looked_at_is_not_damaged() {
    // somebody uses it
    let mut file = MODEL.file.clone();
    let case = Case::new(&file, true);
    let other = case.open().await;
    let error = case.recovery().recover().await.unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    other.close().await.unwrap();
    assert_eq!(case.recovery().recover().await.unwrap().source, RecoverySource::Nothing);

    // there is no place for the copies
    file[..100].fill(0);
    let case = Case::new(&file, false);
    fs::write(case.backups(), "not a directory").unwrap();
    let error = case.recovery().recover().await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert_eq!(fs::read(case.path()).unwrap(), file);

    // there is nothing
    let case = Case::new(&file, false);
    fs::remove_file(case.path()).unwrap();
    let error = case.recovery().recover().await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[test]
fn l27_a_full_disk_starts_no_repair() {
    let mut file = MODEL.file.clone();
    file[..100].fill(0);
    let case = Case::new(&file, false);
    let command = bench::program(case.dir.path());
    let program = command.get_program().to_str().unwrap();
    // files of at most 64 KiB
    let script = format!("ulimit -f 128; exec {program} --database-url sqlite://trivia.db recover --yes");
    let ended = std::process::Command::new("sh").arg("-c").arg(script).current_dir(case.dir.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no space left"), "{stderr}");
    assert_eq!(fs::read(case.path()).unwrap(), file);
}

#[tokio::test(flavor = "multi_thread")]
async fn l27_a_death_at_any_moment_leaves_the_old_file_or_the_new_one() {
    let mut file = MODEL.file.clone();
    file[..100].fill(0);
    let random = random(50);
    let recover = |case: &Case| {
        let mut command = bench::program(case.dir.path());
        command.args(["--database-url", "sqlite://trivia.db", "recover", "--yes"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let case = Case::new(&file, true);
    let began = Instant::now();
    assert!(recover(&case).status().unwrap().success());
    let whole = began.elapsed();
    let (mut old, mut new) = (0, 0);
    for round in 0..12 {
        let case = Case::new(&file, true);
        let inode = fs::metadata(case.path()).unwrap().ino();
        let mut child = recover(&case).spawn().unwrap();
        let pause = match round % 3 {
            0 => whole.mul_f64(below(&random, 1_000) as f64 / 1_000.0),
            // around the rename, and right behind it
            1 => Duration::from_micros(below(&random, 60_000) as u64),
            _ => Duration::ZERO,
        };
        let kept = |entry: fs::DirEntry| !entry.file_name().to_str().unwrap().starts_with('.');
        let is_there = || match round % 3 {
            0 => true,
            1 => fs::read_dir(case.backups().join("forensics")).is_ok_and(|mut all| all.any(|one| one.is_ok_and(kept))),
            _ => fs::metadata(case.path()).unwrap().ino() != inode,
        };
        while !is_there() && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(pause).await;
        child.kill().unwrap();
        child.wait().unwrap();
        if fs::read(case.path()).unwrap() == file {
            old += 1;
            if old > 2 {
                continue;
            }
            let (_, found) = case.recover().await;
            assert_eq!(shares(&found, &MODEL.rows).0, 100.0);
        } else {
            new += 1;
            let database = case.open().await;
            assert_eq!(database.check().await, CheckOutcome::Ok);
            database.close().await.unwrap();
            assert_eq!(shares(&rows(&case.path()).await, &MODEL.rows).0, 100.0);
        }
    }
    assert!(old > 0 && new > 0, "{old} old, {new} new");
    println!("killed 12 times within {whole:?}: {old} old, {new} new");
}

#[tokio::test(flavor = "multi_thread")]
async fn l23_whoever_was_erased_stays_away() {
    let case = Case::new(&MODEL.file, true);
    let database = case.open().await;
    database.people().erase(user(3)).await.unwrap();
    database.close().await.unwrap();
    let mut file = fs::read(case.path()).unwrap();
    file[..100].fill(0);
    fs::write(case.path(), file).unwrap();
    let (_, found) = case.recover().await;
    let gone = user(3).to_string();
    assert!(!found.keys().any(|(_, key)| key.starts_with(&gone)));
    assert!(!found.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn players_who_became_one_stay_one() {
    let case = Case::new(&MODEL.file, true);
    let database = case.open().await;
    database.people().merge(user(4), user(5)).await.unwrap();
    database.close().await.unwrap();
    let wanted = rows(&case.path()).await;
    let mut file = fs::read(case.path()).unwrap();
    file[..100].fill(0);
    fs::write(case.path(), file).unwrap();
    let (_, found) = case.recover().await;
    let other = |key: &str| key.starts_with(&user(4).to_string());
    assert!(!found.keys().any(|(_, key)| other(key)));
    assert_eq!(shares(&found, &wanted), (100.0, 100.0));
}

/// Says a licence of a pack, and labels questions.
async fn label(store: &dyn Store, licence: &str, questions: std::ops::Range<i64>) {
    let name: PackName = "quiz".parse().unwrap();
    let pack = Pack::new(name.clone()).with(PackPart::Licence, licence).unwrap();
    store.packs().put(pack).await.unwrap();
    let labels =
        |id: i64| Labels { tags: [format!("tag {}", id % 7).parse().unwrap()].into(), packs: [name.clone()].into() };
    let labels = questions.map(|id| (QuestionId::new(id).unwrap(), labels(id)));
    store.questions().label(labels.collect()).await.unwrap();
}

/// All that is known of packs, and all labels.
async fn known(store: &dyn Store) -> (Vec<ListedPack>, BTreeMap<QuestionId, Labels>) {
    let ids: Vec<_> = (1..=QUESTIONS as i64).map(|id| QuestionId::new(id).unwrap()).collect();
    (store.packs().list().await.unwrap(), store.questions().labels(&ids).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_and_tags_are_rescued_as_they_were_last() {
    for with_backup in [false, true] {
        let (case, clock) = (Case::new(&MODEL.file, false), later());
        let database = Database::open(options(&case.path()), clock.clone(), Arc::new(SystemRandom)).await.unwrap();
        label(&database, "CC0-1.0", 1..60).await;
        if with_backup {
            SqliteBackups::attached(&database, case.backups()).create(BackupKind::Manual, "before").await.unwrap();
        }
        clock.advance(chrono::TimeDelta::seconds(1));
        label(&database, "CC-BY-4.0", 30..120).await;
        let wanted = known(&database).await;
        database.close().await.unwrap();
        assert_eq!((wanted.0[0].questions, wanted.1.len()), (119, 119));
        let mut file = fs::read(case.path()).unwrap();
        file[..100].fill(0);
        fs::write(case.path(), file).unwrap();
        let (report, _) = case.recover().await;
        assert_eq!(report.source == RecoverySource::Backup, with_backup);
        let database = case.open().await;
        assert_eq!(known(&database).await, wanted, "backup {with_backup}");
        database.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l28_damage_that_is_met_stops_acknowledgements_until_it_is_gone() {
    let case = Case::new(&MODEL.file, true);
    let ledger = roots(&case.path(), Some("ledger")).await[0];
    let database = case.open().await;
    let award = |number: u64| AwardRequest {
        key: IdempotencyKey::generate(later().now(), &SeededRandom::new(number)),
        user_id: user(1),
        points: Points::small(5),
        reason: "while it is damaged".to_owned(),
    };
    database.play().award(award(1)).await.unwrap();
    database.close().await.unwrap();
    let mut file = fs::read(case.path()).unwrap();
    file[ledger * PAGE..(ledger + 1) * PAGE].fill(0xa5);
    fs::write(case.path(), file).unwrap();
    let database = case.open().await;
    for _ in 0..2 {
        let error = database.play().award(award(2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(error.hint().contains("trivia-db recover"), "{}", error.hint());
    }
    // also what has nothing to do with the page
    let error = database.users().set_time_zone(user(2), "UTC".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let health = database.health().await;
    assert_eq!(health.status, HealthStatus::Critical);
    let check = health.checks.iter().find(|check| check.name == "damage").unwrap();
    assert!(check.recommendation.contains("trivia-db recover"), "{check:?}");
    // the ladder runs under the feet of those who have it open
    let report = SqliteRecovery::attached(&database, case.backups()).recover().await.unwrap();
    assert_eq!(report.source, RecoverySource::Backup);
    database.play().award(award(3)).await.unwrap();
    assert_eq!(database.verify().await.unwrap(), []);
    assert!(database.health().await.checks.iter().all(|check| check.name != "damage"));
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_and_languages_are_rescued() {
    let case = Case::new(&MODEL.file, true);
    let database = case.open().await;
    let icelandic: Language = "is".parse().unwrap();
    let contents = (0..7).map(|number| {
        let body = QuestionBody::TrueFalse { answer: true };
        let category = Category::new("Saga").unwrap();
        let content = QuestionContent::new(body, &format!("Er {number} tala?"), category, Difficulty::Easy).unwrap();
        if number % 2 == 0 { content.with_language(icelandic.clone()) } else { content }
    });
    database.questions().add(contents.collect()).await.unwrap();
    let question = |id| QuestionId::new(id).unwrap();
    let report = async |database: &Database, user_id, question_id| {
        let note = Some(ReportNote::new("It was otherwise.").unwrap());
        let report = FileReport { question_id, version: 1, user_id, reason: ReportReason::Outdated, note };
        database.reports().file(report).await.unwrap();
    };
    report(&database, user(1), question(1)).await;
    report(&database, user(2), question(2)).await;
    // the backup has both reports open; one is settled afterwards, and another one is made
    SqliteBackups::attached(&database, case.backups()).create(BackupKind::Manual, "before it breaks").await.unwrap();
    database.reports().settle(question(1), ReportOutcome::Accepted).await.unwrap();
    report(&database, user(3), question(2)).await;
    database.rules().set_challenge_language(Some(icelandic.clone())).await.unwrap();
    let all = ReportFilter { question: None, settled: true };
    let wanted = database.reports().list(&all, Page::first(9)).await.unwrap();
    let groups = database.questions().groups().await.unwrap();
    database.close().await.unwrap();
    let mut file = fs::read(case.path()).unwrap();
    file[..100].fill(0);
    fs::write(case.path(), file).unwrap();
    case.recover().await;

    let database = case.open().await;
    assert_eq!(database.reports().list(&all, Page::first(9)).await.unwrap(), wanted);
    assert_eq!(wanted.iter().filter(|report| report.is_open()).count(), 2);
    assert_eq!(database.questions().groups().await.unwrap(), groups);
    assert_eq!(database.rules().rules().await.unwrap().challenge_language, Some(icelandic.clone()));
    let filter = QuestionFilter { language: Some(icelandic.clone()), ..QuestionFilter::default() };
    let request = PickRequest { filter, count: 4, exclude: Vec::new(), seed: 1, scope: None };
    let picked = database.questions().pick(&request).await.unwrap();
    assert!(picked.iter().all(|question| *question.content.language() == icelandic));
    assert_eq!(database.check().await, CheckOutcome::Ok);
    database.close().await.unwrap();
}
