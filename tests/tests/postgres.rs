//! What is PostgreSQL's own: its schema, several hosts on one database, connections that are lost, what is said when
//! something is wrong.

#[path = "cli/bench.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    AchievementCategory, AchievementDefinition, AchievementRule, Board, Calendar, Category, ChallengeKind, ChannelId,
    Difficulty, Given, IdempotencyKey, Labels, Pack, PackName, Period, Points, QuestionBody, QuestionContent,
    QuestionId, Receipt, ReportReason, Tag, Task, TimeLimit, TimeZone, UserId,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, AwardRequest, CheckOutcome, Clock, ClosePeriod, FileReport, MaintenancePort,
    PickOwner, PickRequest, PickScope, QuestionFilter, Repositories, StartChallenge, StartSession, Store, UnitOfWork,
    WhenExhausted, Work, execute,
};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, SystemClock, SystemRandom, schema};
use trivia_migration::{Migrator, MigratorTrait};
use trivia_tests::postgres::{ScratchDatabase, Server};

use bench::{Bench, Ended};

// ---- databases

async fn open(options: DatabaseOptions) -> Database {
    Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap()
}

async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Tables with their columns, constraints, indexes and triggers.
async fn schema_of(db: &DatabaseConnection) -> BTreeSet<String> {
    let sql = "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) \
               FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_version' \
               UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
               FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 \
               UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
               UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal \
               UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    let all = texts(db, sql).await.into_iter();
    all.filter(|line| !line.contains("schema_version")).collect()
}

/// Steps, and the tables that stay and are changed when they go down.
const CHANGES: [(&str, &str); 3] =
    [("packs_and_tags", "quarantine"), ("language_groups", "question_groups"), ("language_groups", "rule_book")];

/// All rows of all tables as JSON.
async fn rows_of(db: &DatabaseConnection) -> BTreeMap<String, Vec<String>> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_version'";
    let mut all = BTreeMap::new();
    for table in texts(db, tables).await {
        let rows = texts(db, &format!("SELECT to_jsonb({table})::text FROM {table} ORDER BY 1")).await;
        all.insert(table, rows);
    }
    all
}

async fn applied(db: &DatabaseConnection) -> Vec<String> {
    texts(db, "SELECT version::text FROM schema_version ORDER BY 1").await
}

// ---- a game

fn id(user: i64) -> UserId {
    UserId::new(user).unwrap()
}

fn key() -> IdempotencyKey {
    IdempotencyKey::generate(SystemClock.now(), &SystemRandom)
}

fn award(user: UserId, points: i64) -> AwardRequest {
    AwardRequest { key: key(), user_id: user, points: Points::new(points).unwrap(), reason: "a test".to_owned() }
}

async fn statements(store: &dyn Store, count: usize) -> Vec<QuestionId> {
    let category = Category::new("General").unwrap();
    let statement = |number: usize| {
        let body = QuestionBody::TrueFalse { answer: true };
        QuestionContent::new(body, &format!("Statement {number}."), category.clone(), Difficulty::Easy).unwrap()
    };
    let outcomes = store.questions().add((0..count).map(statement).collect()).await.unwrap();
    let id = |outcome| match outcome {
        AddOutcome::Added { id } => id,
        other => panic!("{other:?}"),
    };
    outcomes.into_iter().map(id).collect()
}

async fn answer(store: &dyn Store, user: UserId, channel: i64, question: QuestionId) -> Receipt {
    let request = StartSession {
        channel_id: ChannelId::new(channel).unwrap(),
        host: user,
        questions: vec![question],
        time_limit: TimeLimit::default(),
    };
    let session = store.play().start_session(request).await.unwrap();
    let submission = AnswerSubmission {
        key: key(),
        user_id: user,
        session_id: session.id,
        question_id: question,
        given: Given::Truth(true),
    };
    let receipt = store.play().submit_answer(submission).await.unwrap();
    store.play().finish(session.id).await.unwrap();
    receipt
}

/// Something in every table but the two that a server never fills.
async fn play_everything(scratch: &ScratchDatabase) {
    let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
    let database = Database::open(scratch.options(), clock.clone(), Arc::new(SeededRandom::new(3))).await.unwrap();
    let store: &dyn Store = &database;
    for user in 1..=4 {
        store.users().get_or_create(id(user)).await.unwrap();
    }
    let questions = statements(store, 8).await;
    let changed = store.questions().get(questions[0]).await.unwrap().content.with_explanation("Why not?").unwrap();
    store.questions().update(questions[0], changed).await.unwrap();
    store.questions().retire(questions[7]).await.unwrap();
    for (question, channel) in questions.iter().zip(10..16) {
        answer(store, id(1), channel, *question).await;
        store.play().award(award(id(2), 700)).await.unwrap();
    }
    let scope = PickScope { of: PickOwner::Channel(ChannelId::new(1).unwrap()), exhausted: WhenExhausted::Error };
    let pick =
        PickRequest { filter: QuestionFilter::default(), count: 3, exclude: Vec::new(), seed: 1, scope: Some(scope) };
    store.questions().pick(&pick).await.unwrap();
    let (channel_id, kind) = (ChannelId::new(2).unwrap(), ChallengeKind::Daily);
    let challenge = StartChallenge { channel_id, host: id(1), kind, time_limit: TimeLimit::default() };
    let session = store.play().start_challenge(challenge).await.unwrap();
    let submission = AnswerSubmission {
        key: key(),
        user_id: id(1),
        session_id: session.id,
        question_id: session.questions[0].question_id,
        given: Given::Truth(false),
    };
    store.play().submit_answer(submission).await.unwrap();
    clock.advance(TimeDelta::days(1));
    let yesterday = ClosePeriod { key: key(), period: Period::Day, starts_on: "2026-03-04".parse().unwrap() };
    assert_eq!(store.play().close_period(yesterday).await.unwrap().players, 2);
    let pack = "sky".parse::<PackName>().unwrap();
    store.packs().put(Pack::new(pack.clone())).await.unwrap();
    let labels = Labels { packs: BTreeSet::from([pack]), tags: BTreeSet::from(["blue".parse::<Tag>().unwrap()]) };
    store.questions().label(vec![(questions[1], labels)]).await.unwrap();
    let (reason, note) = (ReportReason::Unclear, None);
    let report = FileReport { question_id: questions[2], version: 1, user_id: id(1), reason, note };
    store.reports().file(report).await.unwrap();
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
    assert_eq!(store.rules().define_achievement(definition).await.unwrap(), 1);
    let calendar = Calendar { zone: "Atlantic/Reykjavik".parse::<TimeZone>().unwrap(), ..Calendar::default() };
    store.rules().set_calendar(calendar).await.unwrap();
    database.note_task(Task::Scrub, clock.now(), Ok("done".to_owned())).await.unwrap();
    assert_eq!(database.verify().await.unwrap(), []);
    database.close().await.unwrap();
}

// ---- the schema

#[tokio::test]
async fn every_step_goes_up_and_down_and_up_on_an_empty_database() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.empty_database().await;
    let db = scratch.connect().await;
    for _ in Migrator::migrations() {
        let below = schema_of(&db).await;
        Migrator::up(&db, Some(1)).await.unwrap();
        let above = schema_of(&db).await;
        Migrator::down(&db, Some(1)).await.unwrap();
        assert_eq!(schema_of(&db).await, below);
        Migrator::up(&db, Some(1)).await.unwrap();
        assert_eq!(schema_of(&db).await, above);
    }
    let names: Vec<_> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
    assert_eq!(applied(&db).await, names, "the same names as on SQLite");
    Migrator::down(&db, None).await.unwrap();
    assert_eq!(schema_of(&db).await, BTreeSet::new());
}

#[tokio::test]
async fn every_step_goes_down_and_up_on_a_filled_database() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    play_everything(&scratch).await;
    let db = scratch.connect().await;
    let all = rows_of(&db).await;
    let empty: Vec<_> = all.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table.as_str()).collect();
    assert_eq!(empty, ["quarantine", "unprojected"], "what a server never fills");
    for step in Migrator::migrations().iter().rev() {
        let above = (schema_of(&db).await, rows_of(&db).await);
        Migrator::down(&db, Some(1)).await.unwrap();
        let below = rows_of(&db).await;
        let changes = |table: &str| CHANGES.iter().any(|(name, what)| step.name().ends_with(name) && *what == table);
        for (table, rows) in below.iter().filter(|(table, _)| !changes(table)) {
            assert_eq!(rows, &above.1[table], "{} down changed {table}", step.name());
        }
        Migrator::up(&db, Some(1)).await.unwrap();
        assert_eq!(schema_of(&db).await, above.0, "{}", step.name());
        let again = rows_of(&db).await;
        for table in below.keys() {
            assert_eq!(above.1[table], again[table], "{} up changed {table}", step.name());
        }
        if step.name().ends_with("packs_and_tags") {
            for table in ["packs", "pack_questions", "question_tags"] {
                assert_eq!(above.1[table], again[table], "they come back");
            }
        }
        if step.name().ends_with("score_counts") {
            let counted = |rows: &[String]| -> BTreeSet<String> {
                rows.iter().filter(|row| !row.contains("\"players\": 0")).cloned().collect()
            };
            assert_eq!(counted(&again["score_counts"]), counted(&above.1["score_counts"]), "counted anew");
        }
        Migrator::down(&db, Some(1)).await.unwrap();
    }
}

#[tokio::test]
async fn both_engines_have_the_same_tables_and_columns() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns \
               WHERE table_schema = 'public' AND table_name <> 'schema_version' ORDER BY 1";
    let theirs: BTreeSet<_> = texts(&scratch.connect().await, sql).await.into_iter().collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trivia.db");
    schema::up(&DatabaseOptions::new(DatabaseUrl::of_file(&file)), None).await.unwrap();
    let db = sea_orm::Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
               WHERE t.type = 'table' AND t.name NOT IN ('schema_version', 'sqlite_sequence')";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    let ours: BTreeSet<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn two_migrations_at_once_are_one() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.empty_database().await;
    let options = scratch.options();
    let (one, other) = tokio::join!(schema::up(&options, None), schema::up(&options, None));
    let steps = Migrator::migrations().len();
    for result in [one, other] {
        match result {
            Ok(applied) => assert!(applied.is_empty() || applied.len() == steps, "{applied:?}"),
            Err(error) => assert!(matches!(error, StoreError::Busy { .. }), "{error}"),
        }
    }
    assert_eq!(schema::status(&options).await.unwrap().pending, Vec::<String>::new());
}

#[tokio::test]
async fn several_processes_that_migrate_at_once_are_one() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.empty_database().await;
    let bench = Bench::empty();
    let start = |_| {
        let mut program = bench.program();
        program.args(["migrate", "up", "--json"]).env("DATABASE_URL", scratch.url());
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..4).map(start).collect();
    let mut applied = 0;
    for process in processes {
        let ended = Ended(process.wait_with_output().unwrap());
        applied += ended.expect(0).document()["ran"].as_array().unwrap().len();
    }
    assert_eq!(applied, Migrator::migrations().len(), "each step once");
    assert_eq!(schema::status(&scratch.options()).await.unwrap().pending, Vec::<String>::new());
}

// ---- several hosts

#[tokio::test(flavor = "multi_thread")]
async fn l2_several_hosts_write_the_same_rows_without_a_deadlock() {
    const HOSTS: i64 = 3;
    const PLAYERS: i64 = 12;
    const ROUNDS: i64 = 12;
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let first = open(scratch.options()).await;
    let questions = Arc::new(statements(&first, 4).await);
    let mut tasks = JoinSet::new();
    for host in 0..HOSTS {
        let database = open(scratch.options()).await;
        for player in 0..PLAYERS {
            let (database, questions) = (database.clone(), Arc::clone(&questions));
            tasks.spawn(async move {
                // the same players, questions and scores from every host, in another order from each
                let user = id(1 + (player * (host + 1)) % PLAYERS);
                database.users().get_or_create(user).await.unwrap();
                for round in 0..ROUNDS {
                    let at = usize::try_from((host + player + round) % 4).unwrap();
                    answer(&database, user, 1000 + host * 100 + player, questions[at]).await;
                    database.play().award(award(user, 90)).await.unwrap();
                }
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let answers = HOSTS * PLAYERS * ROUNDS;
    let db = scratch.connect().await;
    assert_eq!(number(&db, "SELECT count(*) FROM ledger WHERE kind = 'answer'").await, answers);
    assert_eq!(number(&db, "SELECT sum(times_asked)::bigint FROM question_counters").await, answers);
    assert_eq!(number(&db, "SELECT count(*) FROM unprojected").await, 0);
    assert_eq!(first.verify().await.unwrap(), []);
    let page = first.rankings().page(Board::AllTime, None, 100).await.unwrap();
    assert_eq!(page.total, page.entries.len() as u64);
    first.close().await.unwrap();
    assert_eq!(number(&db, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_one_request_to_several_hosts_counts_once() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let hosts = [open(scratch.options()).await, open(scratch.options()).await, open(scratch.options()).await];
    hosts[0].users().get_or_create(id(1)).await.unwrap();
    for round in 1..=20 {
        let request = award(id(1), 10);
        let mut tasks = JoinSet::new();
        for host in &hosts {
            let (host, request) = (host.clone(), request.clone());
            tasks.spawn(async move { host.play().award(request).await.unwrap() });
        }
        let receipts = tasks.join_all().await;
        assert!(receipts.iter().all(|receipt| *receipt == receipts[0]), "{receipts:?}");
        assert_eq!(receipts[0].seq, round);
    }
    assert_eq!(hosts[2].users().get(id(1)).await.unwrap().total_points.get(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn l21_several_hosts_start_one_session_in_a_channel() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let hosts = [open(scratch.options()).await, open(scratch.options()).await];
    let questions = statements(&hosts[0], 1).await;
    hosts[0].users().get_or_create(id(1)).await.unwrap();
    for channel in 1..=20 {
        let mut tasks = JoinSet::new();
        for host in hosts.iter().cycle().take(6) {
            let (host, questions) = (host.clone(), questions.clone());
            let channel_id = ChannelId::new(channel).unwrap();
            let request = StartSession { channel_id, host: id(1), questions, time_limit: TimeLimit::default() };
            tasks.spawn(async move { host.play().start_session(request).await.is_ok() });
        }
        let started = tasks.join_all().await.into_iter().filter(|started| *started).count();
        assert_eq!(started, 1, "channel {channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_new_rules_and_answers_on_another_host_leave_no_drift() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let (one, other) = (open(scratch.options()).await, open(scratch.options()).await);
    let done = Arc::new(AtomicBool::new(false));
    let player = {
        let (other, done) = (other.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut moves = 0;
            while !done.load(Ordering::Relaxed) {
                let user = id(1 + moves % 5);
                other.users().get_or_create(user).await.unwrap();
                other.play().award(award(user, 1)).await.unwrap();
                moves += 1;
            }
            moves
        })
    };
    for at_least in 1..=10 {
        let definition = AchievementDefinition {
            id: format!("rich_{at_least}").parse().unwrap(),
            name: "Rich".into(),
            emoji: "💰".into(),
            category: AchievementCategory::Points,
            rule: AchievementRule::TotalPoints { at_least },
            bonus: Points::small(1),
            hidden: false,
        };
        one.rules().define_achievement(definition).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert!(player.await.unwrap() > 0);
    assert_eq!(one.verify().await.unwrap(), []);
    assert_eq!(one.check().await, CheckOutcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn l14_a_page_is_of_one_moment_while_another_host_writes() {
    const PLAYERS: i64 = 300;
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let (one, other) = (open(scratch.options()).await, open(scratch.options()).await);
    let newcomers = tokio::spawn(async move {
        for player in 1..=PLAYERS {
            other.users().get_or_create(id(player)).await.unwrap();
            other.play().award(award(id(player), player)).await.unwrap();
        }
    });
    let (mut sizes, mut is_over) = (BTreeSet::new(), false);
    while !is_over {
        is_over = newcomers.is_finished();
        let page = one.rankings().page(Board::AllTime, None, 500).await.unwrap();
        assert_eq!(page.total, page.entries.len() as u64, "counted and listed at different moments");
        assert!(page.entries.iter().zip(1..).all(|(entry, rank)| entry.rank == rank));
        sizes.insert(page.total);
    }
    newcomers.await.unwrap();
    assert_eq!(sizes.last(), Some(&(PLAYERS as u64)));
    assert!(sizes.len() > 10, "too rarely was somebody new to prove anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_l5_lost_connections_cost_nothing_and_count_nothing_twice() {
    const PLAYERS: i64 = 6;
    const AWARDS: i64 = 40;
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let hosts = [open(scratch.options()).await, open(scratch.options()).await];
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    for player in 0..PLAYERS {
        let host = hosts[usize::try_from(player % 2).unwrap()].clone();
        let (user, acknowledge) = (id(player), acknowledge.clone());
        host.users().get_or_create(user).await.unwrap();
        tokio::spawn(async move {
            for seq in 1..=AWARDS {
                let request = award(user, 1);
                let receipt = loop {
                    match host.play().award(request.clone()).await {
                        Ok(receipt) => break receipt,
                        Err(StoreError::OutcomeUnknown { .. } | StoreError::Unreachable { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                };
                assert_eq!(i64::try_from(receipt.seq).unwrap(), seq, "each counts once");
                acknowledge.send(()).unwrap();
            }
        });
    }
    drop(acknowledge);
    let db = scratch.connect().await;
    let (mut awards, mut killed) = (0, 0);
    while acknowledged.recv().await.is_some() {
        awards += 1;
        if awards % 8 == 0 {
            let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                        WHERE datname = current_database() AND pid <> pg_backend_pid()";
            killed += number(&db, kill).await;
        }
    }
    assert_eq!(awards, PLAYERS * AWARDS, "nobody gave up");
    assert!(killed > 0);
    assert_eq!(number(&db, "SELECT count(*) FROM ledger").await, awards);
    assert_eq!(open(scratch.options()).await.verify().await.unwrap(), []);
}

/// A unit of work that passes over what went wrong in it.
struct Careless;

#[async_trait]
impl Work for Careless {
    type Output = ();

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()> {
        uow.play().award(award(id(2), 5)).await?;
        let zone = "Atlantic/Reykjavik".parse()?;
        assert!(matches!(uow.users().set_time_zone(id(1), zone).await, Err(StoreError::Busy { .. })));
        Ok(())
    }
}

#[tokio::test]
async fn l2_a_work_that_passes_over_an_error_is_not_taken_for_done() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let mut options = scratch.options();
    options.busy_timeout = Duration::from_millis(200);
    let database = open(options).await;
    for user in [1, 2] {
        database.users().get_or_create(id(user)).await.unwrap();
    }
    let other = scratch.connect().await;
    let held = other.begin().await.unwrap();
    held.execute_unprepared("SELECT 1 FROM users WHERE user_id = 1 FOR UPDATE").await.unwrap();
    execute(&database, &Careless).await.unwrap_err();
    held.rollback().await.unwrap();
    assert_eq!(database.users().get(id(2)).await.unwrap().total_points.get(), 0);
}

// ---- what is wrong

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.empty_database().await;
    let fails = async |options: DatabaseOptions| {
        Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await.err().unwrap()
    };
    let error = fails(scratch.options()).await;
    assert!(matches!(error, StoreError::Incompatible { .. }), "{error}");
    let elsewhere = |url: String| DatabaseOptions { url: url.parse().unwrap(), ..scratch.options() };
    let error = fails(elsewhere(scratch.url().replace("/test_", "/no_test_"))).await;
    assert!(matches!(error, StoreError::Missing { .. }) && error.to_string().contains("no_test_"), "{error}");
    let error = fails(elsewhere(format!("{}_gone", scratch.url()))).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.hint().contains("the network"), "{}", error.hint());
    // no table of the game can be read by somebody else
    schema::up(&scratch.options(), None).await.unwrap();
    scratch
        .connect()
        .await
        .execute_unprepared("CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA public TO guest")
        .await
        .unwrap();
    let error = fails(elsewhere(scratch.url().replace("//trivia@", "//guest:canary@"))).await;
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    assert!(matches!(error, StoreError::Incompatible { .. } | StoreError::ReadOnly { .. }), "{error}");
}

#[tokio::test]
async fn a_database_on_a_server_is_checked_and_described() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let database = open(scratch.options()).await;
    database.users().get_or_create(id(1)).await.unwrap();
    database.play().award(award(id(1), 500)).await.unwrap();
    assert_eq!(database.check().await, CheckOutcome::Ok);
    let stats = database.stats().await.unwrap();
    assert!(stats.engine.starts_with("PostgreSQL ") && stats.database_size_bytes > 1_000_000, "{stats:?}");
    assert_eq!((stats.users_count, stats.ledger_count, stats.pool.writers), (1, 1, 4));
    let health = database.health().await;
    assert!(health.checks.iter().any(|check| check.name == "connectivity"), "{health:?}");
    // a count that somebody changed is found and mended
    let db = scratch.connect().await;
    db.execute_unprepared("UPDATE score_counts SET players = players + 1 WHERE width = 128").await.unwrap();
    db.execute_unprepared("UPDATE users SET best_streak = 9").await.unwrap();
    assert!(matches!(database.check().await, CheckOutcome::Bad { .. }));
    assert!(database.rebuild().await.unwrap().len() >= 2);
    assert_eq!(database.verify().await.unwrap(), []);
    // whoever changes points by hand is found out
    db.execute_unprepared("DELETE FROM users").await.unwrap();
    let drift = database.verify().await.unwrap();
    assert!(!drift.is_empty() && drift.iter().all(|drift| drift.table == "score_counts"), "{drift:?}");
}

#[test]
fn a_server_on_the_network_proves_who_it_is() {
    let certified = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (own, strangers) = (certified("localhost"), certified("localhost"));
    let port = TcpListener::bind(("localhost", 0)).unwrap().local_addr().unwrap().port();
    let server = Server::with_certificate(port, &own.cert.pem(), &own.signing_key.serialize_pem());
    let Some(server) = server else { return };
    let scratch = server.empty_database_now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let db = scratch.connect().await;
        db.execute_unprepared("ALTER ROLE trivia PASSWORD 'canary'").await.unwrap();
    });
    let bench = Bench::empty();
    let authority = bench.write("authority.pem", own.cert.pem()).display().to_string();
    let stranger = bench.write("stranger.pem", strangers.cert.pem()).display().to_string();
    let run = |password: &str, host: &str, parameters: &str, arguments: &[&str]| {
        let url = format!("postgres://trivia:{password}@{host}:{port}/{}?{parameters}", scratch.name());
        let ended = Ended(bench.command(arguments).env("DATABASE_URL", url).output().unwrap());
        assert!(!ended.stderr().contains("canary") && !ended.stdout().contains("canary"), "{}", ended.stderr());
        ended
    };
    let proved = format!("sslmode=verify-full&sslrootcert={authority}");
    // the programs of PostgreSQL are led there, too
    for arguments in [&["init"][..], &["backup", "create"], &["backup", "verify", "--drill"]] {
        run("canary", "localhost", &proved, arguments).expect(0);
    }
    let backups = run("canary", "localhost", &proved, &["backup", "list", "--json"]).document();
    run("canary", "localhost", &proved, &["backup", "restore", backups[0]["id"].as_str().unwrap()]).expect(0);
    let other = format!("sslmode=verify-full&sslrootcert={stranger}");
    run("canary", "localhost", &other, &["stats"]).expect_error(1, &["certificate"]);
    run("canary", "127.0.0.1", &proved, &["stats"]).expect_error(1, &["certificate"]);
    run("canary", "127.0.0.1", "sslmode=require", &["stats"]).expect(0);
    run("wrong", "localhost", &proved, &["stats"]).expect_error(1, &["password"]);
}

// ---- the program

#[tokio::test]
async fn the_program_works_on_a_server() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.empty_database().await;
    let bench = Bench::empty();
    let run = |arguments: &[&str]| Ended(bench.command(arguments).env("DATABASE_URL", scratch.url()).output().unwrap());
    let json = |arguments: &[&str]| {
        let ended = run(&[arguments, &["--json"]].concat());
        ended.expect(0);
        ended.document()
    };
    let made = json(&["init"]);
    assert_eq!(made["questions_imported"], 364);
    assert_eq!(made["backup"]["kind"], "initial");
    assert_eq!(made["migrations_applied"].as_array().unwrap().len(), Migrator::migrations().len());
    assert_eq!(json(&["init"])["questions_imported"], 0, "again changes nothing");
    let load = json(&["simulate", "--players", "5", "--answers", "60", "--concurrency", "4", "--seed", "1"]);
    assert!(load["acknowledged"].as_u64().unwrap() > 0, "{load}");
    assert_eq!(json(&["verify"])["drift"], Json::Array(Vec::new()));
    assert_eq!(json(&["check"])["ok"], true);
    assert_eq!(json(&["stats"])["ledger_count"], load["acknowledged"]);
    assert!(json(&["leaderboard"])["total"].as_u64().unwrap() > 0);
    assert_eq!(json(&["migrate", "status"])["pending"], Json::Array(Vec::new()));
    for refused in [&["recover", "--yes"][..], &["adopt", "old.db"], &["export", "original", "old.db"]] {
        run(refused).expect_error(1, &["is for files", "is on a server"]);
    }
    // a password is in no message
    let wrong = scratch.url().replace("//trivia@", "//trivia:canary@").replace("/test_", "/no_test_");
    let ended = Ended(bench.command(["stats", "-vv"]).env("DATABASE_URL", wrong).output().unwrap());
    ended.expect_error(1, &["no_test_"]);
    assert!(!ended.stderr().contains("canary"), "{}", ended.stderr());
}
