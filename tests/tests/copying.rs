//! A game moves between engines, in either direction: nothing is lost on the way, whatever interrupts it, and nothing
//! of anybody else is overwritten.

#[path = "cli/bench.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod bench;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::Value as Json;
use tempfile::TempDir;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    AchievementCategory, AchievementDefinition, AchievementRule, Calendar, Category, ChallengeKind, ChannelId,
    Difficulty, Given, IdempotencyKey, Labels, Pack, PackName, Period, Points, QuestionBody, QuestionContent,
    QuestionId, ReportNote, ReportOutcome, ReportReason, SessionId, Tag, Task, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, AwardRequest, Clock, ClosePeriod, FileReport, MaintenancePort, PickOwner,
    PickRequest, PickScope, QuestionFilter, Repositories, StartChallenge, StartSession, Store, WhenExhausted,
};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::{
    CopyReport, Database, DatabaseOptions, DatabaseUrl, Durability, GameCopy, SystemClock, SystemRandom, schema,
};
use trivia_tests::postgres::Server;

use bench::{Bench, Ended, connect, program};

/// What belongs to the place of a database, and not to the game in it.
const OF_THE_PLACE: [&str; 3] = ["schema_version", "commit_count", "maintenance_runs"];
/// Nothing of a test has to outlive the power.
const FAST: (&str, &str) = ("TRIVIA_DURABILITY", "normal");
/// How long a copy that was started may take.
const PATIENCE: Duration = Duration::from_secs(120);

// ---- databases

/// A folder for files, and how they are opened.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self, name: &str) -> DatabaseOptions {
        let mut options = DatabaseOptions::new(DatabaseUrl::of_file(self.path(name)));
        options.durability = Durability::Normal;
        options.busy_timeout = Duration::from_millis(300);
        options
    }

    /// A new game.
    async fn game(&self, name: &str) -> Database {
        let options = self.options(name);
        schema::up(&options, None).await.unwrap();
        open(options).await
    }
}

async fn open(options: DatabaseOptions) -> Database {
    Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap()
}

async fn copy(from: &DatabaseOptions, to: &DatabaseOptions) -> StoreResult<CopyReport> {
    GameCopy::new(from.clone(), to.clone()).run().await
}

/// A copy after which both have the same.
async fn copied(from: &DatabaseOptions, to: &DatabaseOptions) -> CopyReport {
    let report = copy(from, to).await.unwrap();
    let different: Vec<_> = report.tables.iter().filter(|table| !table.equal).collect();
    assert!(report.equal && different.is_empty(), "{different:?}");
    report
}

/// All rows of a file's tables of the game, by SQLite's own literals.
async fn rows_of_file(path: &Path) -> BTreeMap<String, Vec<String>> {
    let db = connect(path).await;
    let texts = async |sql: &str| -> Vec<String> {
        let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    };
    let mut all = BTreeMap::new();
    for table in texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").await {
        if OF_THE_PLACE.contains(&table.as_str()) {
            continue;
        }
        let columns = texts(&format!("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{table}')")).await;
        let used = if table == "score_counts" { "WHERE players <> 0" } else { "" };
        let rows = format!("SELECT {} AS line FROM {table} {used} ORDER BY 1", columns.join(" || ',' || "));
        all.insert(table.clone(), texts(&rows).await);
    }
    db.close().await.unwrap();
    all
}

fn assert_same(one: &BTreeMap<String, Vec<String>>, other: &BTreeMap<String, Vec<String>>) {
    assert!(one.keys().eq(other.keys()));
    for (table, rows) in one {
        assert_eq!(rows, &other[table], "{table}");
    }
}

/// All rows of all tables of a server as JSON.
async fn rows_of_server(db: &DatabaseConnection) -> BTreeMap<String, Vec<String>> {
    let texts = async |sql: &str| -> Vec<String> {
        let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    };
    let mut all = BTreeMap::new();
    for table in texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await {
        let rows = texts(&format!("SELECT to_jsonb({table})::text FROM {table} ORDER BY 1")).await;
        all.insert(table, rows);
    }
    all
}

async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

// ---- a game

fn id(user: i64) -> UserId {
    UserId::new(user).unwrap()
}

fn key() -> IdempotencyKey {
    IdempotencyKey::generate(SystemClock.now(), &SystemRandom)
}

async fn award(store: &dyn Store, user: i64, points: i64) {
    let points = Points::new(points).unwrap();
    let request = AwardRequest { key: key(), user_id: id(user), points, reason: "Ágætt, „já“ 🦊".to_owned() };
    store.play().award(request).await.unwrap();
}

fn content(text: &str) -> QuestionContent {
    let body = QuestionBody::TrueFalse { answer: true };
    QuestionContent::new(body, text, Category::new("General").unwrap(), Difficulty::Easy).unwrap()
}

async fn statements(store: &dyn Store, texts: impl IntoIterator<Item = String>) -> Vec<QuestionId> {
    let contents = texts.into_iter().map(|text| content(&text)).collect();
    let id = |outcome| match outcome {
        AddOutcome::Added { id } => id,
        other => panic!("{other:?}"),
    };
    store.questions().add(contents).await.unwrap().into_iter().map(id).collect()
}

async fn answer(store: &dyn Store, user: i64, session_id: SessionId, question_id: QuestionId) {
    let given = Given::Truth(true);
    let submission = AnswerSubmission { key: key(), user_id: id(user), session_id, question_id, given };
    store.play().submit_answer(submission).await.unwrap();
}

async fn play(store: &dyn Store, user: i64, channel: i64, question: QuestionId) {
    let request = StartSession {
        channel_id: ChannelId::new(channel).unwrap(),
        host: id(user),
        questions: vec![question],
        time_limit: TimeLimit::default(),
    };
    let session = store.play().start_session(request).await.unwrap();
    answer(store, user, session.id, question).await;
    store.play().finish(session.id).await.unwrap();
}

async fn report(store: &dyn Store, user: i64, question_id: QuestionId) {
    let note = Some(ReportNote::new("Sjá  bls. 7\n").unwrap());
    let reason = ReportReason::Outdated;
    store.reports().file(FileReport { question_id, version: 1, user_id: id(user), reason, note }).await.unwrap();
}

/// Something in every table.
async fn play_everything(options: DatabaseOptions) {
    let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00.123456Z".parse().unwrap()));
    let database = Database::open(options.clone(), clock.clone(), Arc::new(SeededRandom::new(3))).await.unwrap();
    let store: &dyn Store = &database;
    for user in [1, 2, 3, 4, i64::MAX] {
        store.users().get_or_create(id(user)).await.unwrap();
    }
    let questions = statements(store, (0..8).map(|number| format!("Statement {number}, það er '\"\\ 🦊."))).await;
    let changed = store.questions().get(questions[0]).await.unwrap().content.with_explanation("Why not?").unwrap();
    store.questions().update(questions[0], changed).await.unwrap();
    store.questions().retire(questions[7]).await.unwrap();
    // what sorts in one way by its bytes, and in another one by a language
    let pack = PackName::new("a-pack").unwrap();
    store.packs().put(Pack::new(pack.clone())).await.unwrap();
    let tags = ["b", "a-c", "a_b", "ab", "á", "z", "a b"].map(|tag| Tag::new(tag).unwrap());
    let labels = Labels { tags: tags.into_iter().collect(), packs: [pack].into() };
    store.questions().label(vec![(questions[1], labels)]).await.unwrap();
    for (question, channel) in questions.iter().zip(10..16) {
        play(store, 1, channel, *question).await;
        award(store, 2, 700).await;
        clock.advance(TimeDelta::microseconds(1));
    }
    report(store, 1, questions[1]).await;
    report(store, 2, questions[2]).await;
    store.reports().settle(questions[2], ReportOutcome::Accepted).await.unwrap();
    for owner in [PickOwner::Channel(ChannelId::new(1).unwrap()), PickOwner::Player(id(1))] {
        let scope = Some(PickScope { of: owner, exhausted: WhenExhausted::Error });
        let filter = QuestionFilter::default();
        let pick = PickRequest { filter, count: 3, exclude: Vec::new(), seed: 1, scope };
        store.questions().pick(&pick).await.unwrap();
    }
    let (channel_id, kind) = (ChannelId::new(2).unwrap(), ChallengeKind::Daily);
    let challenge = StartChallenge { channel_id, host: id(1), kind, time_limit: TimeLimit::default() };
    let session = store.play().start_challenge(challenge).await.unwrap();
    answer(store, 1, session.id, session.questions[0].question_id).await;
    clock.advance(TimeDelta::days(1));
    let yesterday = ClosePeriod { key: key(), period: Period::Day, starts_on: "2026-03-04".parse().unwrap() };
    store.play().close_period(yesterday).await.unwrap();
    store.people().merge(id(3), id(2)).await.unwrap();
    store.people().erase(id(4)).await.unwrap();
    let definition = AchievementDefinition {
        id: "regular".parse().unwrap(),
        name: "Regular".into(),
        emoji: "☕".into(),
        category: AchievementCategory::Participation,
        rule: AchievementRule::Answered { at_least: 5 },
        bonus: Points::small(5),
        hidden: false,
    };
    store.rules().define_achievement(definition).await.unwrap();
    let calendar = Calendar { zone: "Atlantic/Reykjavik".parse().unwrap(), ..Calendar::default() };
    store.rules().set_calendar(calendar).await.unwrap();
    database.note_task(Task::Scrub, clock.now(), Ok("done".to_owned())).await.unwrap();
    database.close().await.unwrap();
    let db = connect(options.url.path()).await;
    db.execute_unprepared(
        "INSERT INTO quarantine (source, source_id, problem, content, repaired) VALUES \
         ('users', '7', 'odd', '{\"a\":[0.5,null,true,-3,1.0,\"é\"],\"b\":{}}', TRUE)",
    )
    .await
    .unwrap();
    db.close().await.unwrap();
}

/// Whether new rows get free numbers, and every number follows from the ledger.
async fn goes_on(options: DatabaseOptions) {
    let database = open(options).await;
    assert_eq!(database.verify().await.unwrap(), []);
    let store: &dyn Store = &database;
    let questions = statements(store, ["Something new".to_owned(), "And another one".to_owned()]).await;
    store.packs().put(Pack::new(PackName::new("a-new-pack").unwrap())).await.unwrap();
    store.users().get_or_create(id(77)).await.unwrap();
    play(store, 77, 500, questions[1]).await;
    report(store, 77, questions[0]).await;
    award(store, 1, 3).await;
    assert_eq!(database.verify().await.unwrap(), []);
    database.close().await.unwrap();
}

// ---- what is copied

#[tokio::test]
async fn there_and_back_is_the_identity() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let (from, back) = (files.options("from.db"), files.options("back.db"));
    schema::up(&from, None).await.unwrap();
    play_everything(from.clone()).await;
    let scratch = server.empty_database().await;
    let there = copied(&from, &scratch.options()).await;
    assert!(!there.migrations.is_empty() && !there.dry_run);
    copied(&scratch.options(), &back).await;
    let original = rows_of_file(&files.path("from.db")).await;
    assert_same(&rows_of_file(&files.path("back.db")).await, &original);
    let empty: Vec<_> = original.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table.as_str()).collect();
    assert_eq!(empty, ["unprojected"], "every table has something to copy");
    for table in &there.tables {
        assert_eq!(table.source.rows as usize, original[&table.table].len(), "{}", table.table);
    }
    // again changes nothing
    for table in copied(&from, &scratch.options()).await.tables {
        assert_eq!((table.copied, table.removed, table.skipped), (0, 0, table.source.rows), "{}", table.table);
    }
    // regular work is due in the new place
    let db = scratch.connect().await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM maintenance_runs").await, 0);
    goes_on(scratch.options()).await;
    goes_on(back).await;
}

#[tokio::test]
async fn the_same_engine_is_no_exception() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let (from, to) = (files.options("from.db"), files.options("to.db"));
    schema::up(&from, None).await.unwrap();
    play_everything(from.clone()).await;
    copied(&from, &to).await;
    assert_same(&rows_of_file(&files.path("to.db")).await, &rows_of_file(&files.path("from.db")).await);
    let (one, other) = (server.empty_database().await, server.database().await);
    copied(&to, &one.options()).await;
    copied(&one.options(), &other.options()).await;
    goes_on(other.options()).await;
    goes_on(to).await;
}

#[tokio::test]
async fn a_server_that_sorts_by_a_language_is_no_exception() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let from = files.options("from.db");
    schema::up(&from, None).await.unwrap();
    play_everything(from.clone()).await;
    let scratch = server.empty_database().await;
    let (db, url) = (scratch.connect().await, scratch.url());
    let name = url.split(['/', '?']).find(|part| part.starts_with("test_")).unwrap();
    let create =
        format!("CREATE DATABASE {name}_sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'");
    if let Err(error) = db.execute_unprepared(&create).await {
        eprintln!("SKIPPED: this server knows no languages: {error}");
        return;
    }
    let sorted =
        DatabaseOptions { url: url.replace(name, &format!("{name}_sorted")).parse().unwrap(), ..scratch.options() };
    copied(&from, &sorted).await;
    for table in copied(&from, &sorted).await.tables {
        assert_eq!((table.copied, table.removed, table.skipped), (0, 0, table.source.rows), "{}", table.table);
    }
    db.execute_unprepared(&format!("DROP DATABASE {name}_sorted WITH (FORCE)")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_catches_up_with_a_game_that_goes_on() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let source = files.game("from.db").await;
    let questions = statements(&source, (0..30).map(|number| format!("Statement {number}."))).await;
    for user in 1..=8 {
        source.users().get_or_create(id(user)).await.unwrap();
    }
    let scratch = server.empty_database().await;
    let done = Arc::new(AtomicBool::new(false));
    let players = {
        let (source, done, questions) = (source.clone(), Arc::clone(&done), questions.clone());
        tokio::spawn(async move {
            let mut moves = 0;
            while !done.load(Ordering::Relaxed) {
                let at = usize::try_from(moves).unwrap() % 20;
                play(&source, 1 + moves % 4, 100 + moves, questions[at]).await;
                award(&source, 1 + moves % 4, 10).await;
                moves += 1;
            }
            moves
        })
    };
    let from = files.options("from.db");
    for round in 0..4_usize {
        // what changes places that are unique, numbers of facts, and players
        source.questions().retire(questions[20 + round]).await.unwrap();
        source.questions().update(questions[25 + round], content(&format!("Changed {round}."))).await.unwrap();
        if round == 1 {
            // its old text comes back in another question
            source.questions().update(questions[29], content("Statement 25.")).await.unwrap();
            source.people().merge(id(5), id(1)).await.unwrap();
        }
        if round == 2 {
            award(&source, 6, 50).await;
        }
        if round == 3 {
            source.people().erase(id(6)).await.unwrap();
            source.questions().restore(questions[20]).await.unwrap();
        }
        copied(&from, &scratch.options()).await;
        let copy = open(scratch.options()).await;
        assert_eq!(copy.verify().await.unwrap(), [], "round {round}");
        copy.close().await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert!(players.await.unwrap() > 0);
    source.close().await.unwrap();
    let last = copied(&from, &scratch.options()).await;
    assert_eq!(last.caught_up, 0, "a game that was closed leaves nothing to be counted");
    copied(&scratch.options(), &files.options("back.db")).await;
    assert_same(&rows_of_file(&files.path("back.db")).await, &rows_of_file(&files.path("from.db")).await);
    // the game moved, and its old place is an earlier copy of it
    goes_on(scratch.options()).await;
    copied(&scratch.options(), &from).await;
    assert_eq!(open(from).await.verify().await.unwrap(), []);
}

#[tokio::test]
async fn facts_that_wait_in_a_file_are_counted_on_a_server() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let source = files.game("from.db").await;
    for user in 1..=3 {
        source.users().get_or_create(id(user)).await.unwrap();
    }
    award(&source, 1, 40).await;
    source.close().await.unwrap();
    // as a process that crashed leaves it
    let db = connect(&files.path("from.db")).await;
    let waiting = "INSERT INTO unprojected VALUES (1); UPDATE users SET last_seq = 0, total_points = 0, \
                   points_reached_at = NULL WHERE user_id = 1; DELETE FROM rankings";
    db.execute_unprepared(waiting).await.unwrap();
    let (scratch, other) = (server.empty_database().await, files.options("other.db"));
    assert_eq!(copied(&files.options("from.db"), &scratch.options()).await.caught_up, 1);
    copied(&files.options("from.db"), &other).await;
    for options in [scratch.options(), other] {
        let copy = open(options).await;
        assert_eq!(copy.verify().await.unwrap(), []);
        assert_eq!(copy.users().get(id(1)).await.unwrap().total_points.get(), 40);
        copy.close().await.unwrap();
    }
    // the copy is ahead in what it has counted, and still an earlier copy
    copied(&files.options("from.db"), &scratch.options()).await;
    assert_eq!(open(scratch.options()).await.verify().await.unwrap(), []);
}

// ---- what is refused

fn refused(result: StoreResult<CopyReport>, words: &[&str]) {
    let error = result.unwrap_err();
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
}

#[tokio::test]
async fn nothing_of_anybody_else_is_overwritten() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let from = files.options("from.db");
    schema::up(&from, None).await.unwrap();
    play_everything(from.clone()).await;
    let scratch = server.empty_database().await;
    copied(&from, &scratch.options()).await;
    let unchanged = async |to: &DatabaseOptions, words: &[&str]| {
        refused(copy(&from, to).await, words);
        refused(GameCopy::new(from.clone(), to.clone()).rehearse().await, words);
    };
    // another game with the same players and numbers
    let other = files.options("other.db");
    schema::up(&other, None).await.unwrap();
    let database = open(other.clone()).await;
    database.users().get_or_create(id(1)).await.unwrap();
    refused(copy(&from, &other).await, &["is busy"]);
    database.close().await.unwrap();
    let before = rows_of_file(&files.path("other.db")).await;
    unchanged(&other, &["invalid target", "row 1 of users"]).await;
    assert_eq!(rows_of_file(&files.path("other.db")).await, before);
    let database = open(other.clone()).await;
    statements(&database, ["Only here".to_owned()]).await;
    database.close().await.unwrap();
    unchanged(&other, &["row 1 of questions"]).await;
    // a copy that was played on
    let database = open(scratch.options()).await;
    award(&database, 1, 5).await;
    let db = scratch.connect().await;
    let before = rows_of_server(&db).await;
    unchanged(&scratch.options(), &["invalid target", "of ledger"]).await;
    assert_eq!(rows_of_server(&db).await, before);
    database.rules().set_calendar(Calendar::default()).await.unwrap();
    db.execute_unprepared("DELETE FROM ledger WHERE reason LIKE 'Á%' AND points = 5").await.unwrap();
    unchanged(&scratch.options(), &["row 1 of rule_book"]).await;
    // something else altogether
    let foreign = server.empty_database().await;
    foreign.connect().await.execute_unprepared("CREATE TABLE bills AS SELECT 1 AS number").await.unwrap();
    unchanged(&foreign.options(), &["used for something else", "bills"]).await;
    assert_eq!(rows_of_server(&foreign.connect().await).await["bills"].len(), 1);
    unchanged(&from, &["it is the source"]).await;
    // a schema that is not that of this program
    let older = server.database().await;
    open(older.options()).await.users().get_or_create(id(9)).await.unwrap();
    schema::down(&older.options(), 1).await.unwrap();
    unchanged(&older.options(), &["1 behind this program"]).await;
    refused(copy(&older.options(), &files.options("new.db")).await, &["1 behind this program"]);
    assert!(!files.path("new.db").exists());
}

#[tokio::test]
async fn a_text_that_a_server_cannot_store_is_named_before_anything_is_written() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let from = files.options("from.db");
    schema::up(&from, None).await.unwrap();
    play_everything(from.clone()).await;
    let scratch = server.database().await;
    let db = connect(&files.path("from.db")).await;
    let before = rows_of_server(&scratch.connect().await).await;
    for (change, words) in [
        (
            "UPDATE questions SET explanation = 'a' || char(0) WHERE id = 2",
            ["explanation of row 2 of questions", "NUL"],
        ),
        ("UPDATE ledger SET given = '{\"a\": [\"\\u0000\"]}' WHERE seq = 1", ["given of row 1/1 of ledger", "NUL"]),
    ] {
        db.execute_unprepared(&format!("SAVEPOINT good; {change}; RELEASE good")).await.unwrap();
        refused(copy(&from, &scratch.options()).await, &words);
        assert_eq!(rows_of_server(&scratch.connect().await).await, before);
        // a file can
        copied(&from, &files.options("to.db")).await;
        db.execute_unprepared("UPDATE questions SET explanation = NULL WHERE id = 2").await.unwrap();
    }
}

#[tokio::test]
async fn whoever_writes_to_the_target_is_waited_for_and_then_told_of() {
    let Some(server) = Server::shared() else { return };
    let files = Files::new();
    let (from, to) = (files.options("from.db"), files.options("to.db"));
    schema::up(&from, None).await.unwrap();
    play_everything(from.clone()).await;
    schema::up(&to, None).await.unwrap();
    let db = connect(&files.path("to.db")).await;
    db.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    assert!(matches!(copy(&from, &to).await, Err(StoreError::Busy { .. })));
    db.execute_unprepared("ROLLBACK").await.unwrap();
    db.close().await.unwrap();
    copied(&from, &to).await;
    let scratch = server.database().await;
    let mut options = scratch.options();
    options.busy_timeout = Duration::from_millis(300);
    let other = scratch.connect().await;
    other.execute_unprepared(&format!("SELECT pg_advisory_lock_shared({})", 0x7472_6976_6961_i64)).await.unwrap();
    assert!(matches!(copy(&from, &options).await, Err(StoreError::Busy { .. })));
    other.execute_unprepared("SELECT pg_advisory_unlock_all()").await.unwrap();
    copied(&from, &options).await;
}

// ---- the program

/// The program, and URLs of what it works with.
struct Program {
    bench: Bench,
}

impl Program {
    /// A game of some size in `data/trivia.db`.
    fn with_a_game(answers: u32) -> Self {
        let bench = Bench::ready();
        let answers = answers.to_string();
        bench.json(["simulate", "--players", "400", "--answers", &answers, "--concurrency", "64"]);
        Self { bench }
    }

    fn file(&self, name: &str) -> String {
        format!("sqlite://{}", self.bench.path(name).display())
    }

    fn copy(&self, from: &str, to: &str, more: &[&str]) -> Ended {
        self.run(&[&["copy", "--from", from, "--to", to][..], more].concat(), "sqlite://data/trivia.db")
    }

    /// Runs a command on a database.
    fn run(&self, arguments: &[&str], url: &str) -> Ended {
        let mut command = self.bench.command(arguments);
        Ended(command.env("DATABASE_URL", url).env(FAST.0, FAST.1).output().unwrap())
    }

    /// Copies, and kills the program as soon as `until` says so; `false` when it was done before.
    async fn killed(&self, from: &str, to: &str, until: impl AsyncFn() -> bool) -> bool {
        let errors = self.bench.path("errors");
        let mut copying = program(self.bench.dir.path());
        copying.args(["copy", "--from", from, "--to", to, "--yes"]).env(FAST.0, FAST.1);
        copying.stdout(Stdio::null()).stderr(fs::File::create(&errors).unwrap());
        let mut copying = copying.spawn().unwrap();
        let watched = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(status) = copying.try_wait().unwrap() {
                    assert!(status.success(), "{}", fs::read_to_string(&errors).unwrap());
                    return false;
                }
                if until().await {
                    return true;
                }
                tokio::task::yield_now().await;
            }
        });
        let is_running = watched.await.expect("the copy does not get on");
        let _ = copying.kill();
        let _ = copying.wait();
        is_running
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_again_and_again_goes_on() {
    const ANSWERS: i64 = 10_000;
    let Some(server) = Server::shared() else { return };
    let program = Program::with_a_game(u32::try_from(ANSWERS).unwrap());
    let scratch = server.empty_database().await;
    let (file, url, back) = (program.file("data/trivia.db"), scratch.url(), program.file("back.db"));
    let db = scratch.connect().await;
    let has = async |table: &str| -> i64 {
        let exists = format!("SELECT COUNT(*) FROM pg_tables WHERE tablename = '{table}'");
        if number(&db, &exists).await == 0 {
            return -1;
        }
        number(&db, &format!("SELECT COUNT(*) FROM {table}")).await
    };
    // in the middle of the schema, at the first rows, and later and later in the largest table
    let mut kills = 0;
    assert!(program.killed(&file, &url, async || has("users").await >= 0).await);
    assert!(program.killed(&file, &url, async || has("questions").await > 0).await);
    let mut reached = 0;
    loop {
        let next = has("ledger").await.max(0);
        assert!(next >= reached, "a copy never goes back: {next} after {reached}");
        reached = next;
        if !program.killed(&file, &url, async || has("ledger").await > reached).await {
            break;
        }
        kills += 1;
        // half of a game is none
        program.run(&["stats"], &url).expect_error(1, &["copy into it is not complete"]);
    }
    assert!(kills >= 2, "{kills}");
    program.copy(&file, &url, &["--yes"]).expect(0);
    for command in ["verify", "check"] {
        program.run(&[command], &url).expect(0);
    }
    // and back, into a file that nobody else can look into meanwhile
    let length = async || ["back.db", "back.db-wal"].map(|name| length(&program.bench.path(name))).iter().sum::<u64>();
    let mut kills = 0;
    loop {
        let before = length().await;
        if !program.killed(&url, &back, async || length().await > before + 400_000).await {
            break;
        }
        kills += 1;
        assert!(kills < 100, "it does not get on");
    }
    assert!(kills >= 2, "{kills}");
    program.copy(&url, &back, &["--yes"]).expect(0);
    let (one, other) = (program.bench.path("data/trivia.db"), program.bench.path("back.db"));
    assert_same(&rows_of_file(&other).await, &rows_of_file(&one).await);
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[tokio::test]
async fn the_program_says_what_it_did_and_would_do() {
    let Some(server) = Server::shared() else { return };
    let program = Program::with_a_game(200);
    let scratch = server.empty_database().await;
    let (file, url) = (program.file("data/trivia.db"), scratch.url());
    let json = |from: &str, to: &str, how: &str| {
        let ended = program.copy(from, to, &[how, "--json"]);
        ended.expect(0);
        ended.document()
    };
    let of = |report: &Json, table: &str| {
        report["tables"].as_array().unwrap().iter().find(|row| row["table"] == table).unwrap().clone()
    };
    program.copy(&file, &url, &[]).expect_error(2, &["confirmation"]);
    // a dry run
    let would = json(&file, &url, "--dry-run");
    assert_eq!((&would["dry_run"], &would["equal"]), (&true.into(), &false.into()));
    assert_eq!(of(&would, "ledger")["copied"], 200);
    assert_eq!(rows_of_server(&scratch.connect().await).await, BTreeMap::new());
    json(&file, &program.file("new/to.db"), "--dry-run");
    assert!(!program.bench.path("new").exists());
    // the copy
    let did = json(&file, &url, "--yes");
    assert_eq!((&did["dry_run"], &did["equal"]), (&false.into(), &true.into()));
    assert_eq!(did["migrations"], would["migrations"]);
    for table in did["tables"].as_array().unwrap() {
        assert_eq!(table["source"], table["target"]);
        assert_eq!(table["source"], of(&would, table["table"].as_str().unwrap())["source"]);
    }
    let before = rows_of_server(&scratch.connect().await).await;
    assert_eq!(of(&json(&file, &url, "--dry-run"), "ledger")["skipped"], 200);
    let board = program.bench.json(["leaderboard"]);
    let first = board["entries"][0]["user_id"].as_str().unwrap();
    program.bench.run(["user", "delete", first, "--yes"]).expect(0);
    let gone = of(&json(&file, &url, "--dry-run"), "users");
    assert_eq!((&gone["removed"], &gone["copied"]), (&1.into(), &0.into()));
    assert_eq!(rows_of_server(&scratch.connect().await).await, before, "a dry run changes nothing");
    let ended = program.copy(&file, &url, &["--yes"]);
    ended.expect(0);
    assert!(ended.stdout().contains("ok: both have the same rows in every table."), "{}", ended.stdout());
    // counts that somebody changed are not those of the source, and no trigger keeps them on a server
    let db = scratch.connect().await;
    db.execute_unprepared("UPDATE score_counts SET players = players + 1 WHERE width = 128").await.unwrap();
    let ended = program.copy(&file, &url, &["--yes"]);
    ended.expect(0);
    assert!(ended.stdout().contains("ok: both have the same rows in every table."), "{}", ended.stdout());
    // in a file triggers keep them, and the copy leaves them alone
    let back = program.file("back.db");
    program.copy(&url, &back, &["--yes"]).expect(0);
    let db = connect(&program.bench.path("back.db")).await;
    db.execute_unprepared("UPDATE score_counts SET players = players + 1 WHERE width = 128").await.unwrap();
    db.close().await.unwrap();
    let ended = program.copy(&url, &back, &["--yes"]);
    ended.expect(3);
    assert!(ended.stdout().contains("not the same: score_counts"), "{}", ended.stdout());
    // whoever names something wrong is told so, without a password
    let secret = |url: &str| url.replace("//trivia@", "//trivia:canary@");
    for (from, to, word) in [
        (file.as_str(), secret(&url).replace("/test_", "/no_test_"), "createdb"),
        ("sqlite://nowhere.db", secret(&url), "check --from"),
        (&file, secret(&url).replace("?host=", "?hosst="), "hosst"),
        (&file, "sqlite:".to_owned(), "names no file"),
    ] {
        let ended = program.copy(from, &to, &["--yes", "-vv"]);
        ended.expect_error(1, &[word]);
        assert!(!ended.stderr().contains("canary"), "{}", ended.stderr());
    }
    let initialised = program.bench.run(["--database-url", "sqlite://other.db", "init"]);
    initialised.expect(0);
    program
        .copy(&file, &program.file("other.db"), &["--yes"])
        .expect_error(1, &["has what the source has not", "more"]);
}
