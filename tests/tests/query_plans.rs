//! Every statement that the ports send to SQLite uses an index.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait, Statement};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    Board, Calendar, ChallengeKind, ChannelId, Cursor, DayKey, Difficulty, GameSession, Given, IdempotencyKey, Labels,
    Pack, Page, Period, Points, Question, QuestionId, ReportOutcome, ReportReason, TimeLimit, TimeZone, UserId,
};
use trivia_domain::ports::{
    AnswerSubmission, AwardRequest, Clock, ClosePeriod, FileReport, GrantRequest, PickOwner, PickRequest, PickScope,
    QuestionFilter, RandomSource, ReportFilter, Repositories, ResetRequest, StartChallenge, StartSession, Store,
    WhenExhausted,
};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, schema};

/// Keeps the text of every statement that the driver runs.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        #[derive(Default)]
        struct Text {
            summary: String,
            statement: String,
        }
        impl Visit for Text {
            fn record_str(&mut self, field: &Field, value: &str) {
                match field.name() {
                    "summary" => value.clone_into(&mut self.summary),
                    "db.statement" => value.trim().clone_into(&mut self.statement),
                    _ => {}
                }
            }
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.record_str(field, &format!("{value:?}"));
            }
        }
        if event.metadata().target() == "sqlx::query" {
            let mut text = Text::default();
            event.record(&mut text);
            let sql = if text.statement.is_empty() { text.summary } else { text.statement };
            // some make one trip together
            self.0.lock().unwrap().extend(sql.split("; ").map(str::to_owned));
        }
    }
}

/// Tables that are small and read whole on purpose.
const READ_WHOLE: [&str; 4] = ["achievement_definitions", "packs", "quarantine", "question_groups"];

/// A parent that is inserted makes SQLite plan a look at its children, which it skips unless a deferred
/// foreign key is broken; an index on `question_id` would cost every answer and every pick for nothing.
const SKIPPED: (&str, [&str; 2]) = ("INSERT INTO \"questions\"", ["ledger", "picks"]);

/// How often each question was reported is counted in an index of the open reports, which moderators keep short.
const COUNTED: (&str, &str) = ("SELECT \"question_reports\".\"question_id\", COUNT(", "question_reports");

/// Names of all tables.
async fn tables(connection: &impl ConnectionTrait) -> BTreeSet<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let tables = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(tables).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

/// Steps of a plan that read a table, or an index of it, from end to end.
async fn scans(connection: &impl ConnectionTrait, sql: &str) -> Vec<String> {
    let tables = tables(connection).await;
    let explain = Statement::from_string(connection.get_database_backend(), format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = connection.query_all_raw(explain).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let steps = rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap());
    let allowed = |table: &str| {
        READ_WHOLE.contains(&table)
            || (sql.starts_with(SKIPPED.0) && SKIPPED.1.contains(&table))
            || (sql.starts_with(COUNTED.0) && table == COUNTED.1)
    };
    let reads_all = |step: &String| {
        let mut words = step.split_whitespace();
        words.next() == Some("SCAN") && words.next().is_some_and(|table| tables.contains(table) && !allowed(table))
    };
    steps.filter(reads_all).collect()
}

#[tokio::test]
async fn no_query_of_a_port_scans_a_table() {
    let statements = Statements::default();
    // global, because the driver runs statements on threads of its own
    tracing::subscriber::set_global_default(Registry::default().with(statements.clone())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut options = DatabaseOptions::new(DatabaseUrl::of_file(dir.path().join("trivia.db")));
    options.log_statements = true;
    schema::up(&options, None).await.unwrap();
    statements.0.lock().unwrap().clear();
    let (clock, random) =
        (Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap())), Arc::new(SeededRandom::new(1)));
    let database = Database::open(options.clone(), clock.clone(), random.clone()).await.unwrap();
    statements.0.lock().unwrap().clear();

    use_every_port(&database, &*clock, &*random).await;

    let statements = std::mem::take(&mut *statements.0.lock().unwrap());
    let interesting: Vec<_> = statements
        .iter()
        .filter(|sql| ["SELECT", "UPDATE", "DELETE", "INSERT"].iter().any(|verb| sql.starts_with(verb)))
        .collect();
    assert!(interesting.len() > 30, "only {} statements were seen: {interesting:#?}", interesting.len());
    for statement in ["INSERT INTO \"picks\"", "DELETE FROM \"picks\""] {
        assert!(interesting.iter().any(|sql| sql.starts_with(statement)), "no {statement}");
    }
    let connection = sea_orm::Database::connect(format!("sqlite://{}", options.url.path().display())).await.unwrap();
    let mut found = Vec::new();
    for sql in interesting {
        found.extend(scans(&connection, sql).await.into_iter().map(|scan| format!("{scan}\n{sql}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    // the test can fail
    assert!(!scans(&connection, "SELECT * FROM users WHERE best_streak > 3").await.is_empty());
    trivia_tests::assert_verified(options.url.path());
}

async fn use_every_port(store: &dyn Store, clock: &dyn Clock, random: &dyn RandomSource) {
    let content = |line: &str| serde_json::from_str(line).unwrap();
    store
        .questions()
        .add(vec![
            content(r#"{"kind":"true_false","category":"A","difficulty":"easy","question":"One?","answer":true}"#),
            content(r#"{"kind":"true_false","category":"A","difficulty":"easy","question":"Two?","answer":false}"#),
            content(r#"{"kind":"true_false","category":"B","difficulty":"hard","question":"Three?","answer":false}"#),
        ])
        .await
        .unwrap();
    let users: Vec<_> = (1..=3).map(|id| UserId::new(id).unwrap()).collect();
    for user in &users {
        store.users().get_or_create(*user).await.unwrap();
    }
    let filters = [
        QuestionFilter::default(),
        QuestionFilter { category: Some("A".parse().unwrap()), ..Default::default() },
        QuestionFilter { difficulty: Some(Difficulty::Easy), kind: Some(content_kind()), ..Default::default() },
        QuestionFilter { tag: Some("t".parse().unwrap()), ..Default::default() },
        QuestionFilter { pack: Some("p".parse().unwrap()), difficulty: Some(Difficulty::Easy), ..Default::default() },
        QuestionFilter { language: Some("en".parse().unwrap()), ..Default::default() },
    ];
    label(store).await;
    for filter in &filters {
        store.questions().list(filter, Page::first(10)).await.unwrap();
        store.questions().list(filter, Page::after(1, 10)).await.unwrap();
    }
    store.questions().groups().await.unwrap();
    let request = PickRequest { filter: QuestionFilter::default(), count: 2, exclude: vec![], seed: 1, scope: None };
    let questions: Vec<Question> = store.questions().pick(&request).await.unwrap();
    pick_without_repeats(store, users[0], &filters, questions[0].id).await;
    play(store, clock, random, &questions, &users).await;
    reports(store, &questions, &users).await;
    let last = store.questions().list(&filters[0], Page::after(2, 1)).await.unwrap().remove(0);
    store.questions().retire(questions[0].id).await.unwrap();
    store.questions().restore(questions[0].id).await.unwrap();
    let changed =
        content(r#"{"kind":"fill_blank","category":"B","difficulty":"hard","question":"Three!","answer":"3"}"#);
    store.questions().update(last.id, changed).await.unwrap();
    let now = DayKey::of(clock.now());
    let [day, week, month] = Period::ALL.map(|period| Calendar::default().board(period, now));
    for board in [Board::AllTime, day, week, month] {
        let page = store.rankings().page(board, None, 1).await.unwrap();
        let entry = &page.entries[0];
        let cursor = Cursor { board, points: entry.points, reached_at: entry.reached_at, user_id: entry.user_id };
        store.rankings().page(board, Some(cursor), 1).await.unwrap();
        store.rankings().standing(board, users[0]).await.unwrap();
        store.rankings().around(board, users[0], 2).await.unwrap();
    }
    for user in &users {
        store.rankings().weekly_history(*user, 5).await.unwrap();
        store.users().breakdown(*user).await.unwrap();
        store.achievements().of(*user).await.unwrap();
        store.achievements().progress(*user).await.unwrap();
    }
    for period in Period::ALL {
        store.rankings().rank_change(period, now, users[0]).await.unwrap();
    }
    challenges(store, clock, random, &users).await;
    store.users().list(Page::first(10)).await.unwrap();
    store.users().set_time_zone(users[0], TimeZone::UTC).await.unwrap();
    store.achievements().definitions().await.unwrap();
    store.rules().rules().await.unwrap();
    store.people().export(users[0]).await.unwrap();
    let reset = ResetRequest { key: IdempotencyKey::generate(clock.now(), random), user_id: users[0] };
    store.play().reset(reset).await.unwrap();
}

/// Gives all questions a tag and a pack, and reads them.
async fn label(store: &dyn Repositories) {
    let name = "p".parse().unwrap();
    store.packs().put(Pack::new(name)).await.unwrap();
    let pack = store.packs().list().await.unwrap().remove(0).pack;
    let ids: Vec<_> = (1..=3).map(|id| QuestionId::new(id).unwrap()).collect();
    let labels = Labels { tags: ["t".parse().unwrap()].into(), packs: [pack.name().clone()].into() };
    store.questions().label(ids.iter().map(|id| (*id, labels.clone())).collect()).await.unwrap();
    store.questions().set_tags(ids[0], labels.tags.clone()).await.unwrap();
    assert_eq!(store.questions().labels(&ids).await.unwrap().len(), 3);
}

/// Some are settled, one is said again.
async fn reports(store: &dyn Repositories, questions: &[Question], users: &[UserId]) {
    for (question, user) in questions.iter().zip(users) {
        for reason in [ReportReason::Unclear, ReportReason::Other] {
            let (question_id, version) = (question.id, question.version);
            let report = FileReport { question_id, version, user_id: *user, reason, note: None };
            store.reports().file(report).await.unwrap();
        }
    }
    store.reports().reported(10).await.unwrap();
    for question in [None, Some(questions[0].id)] {
        for settled in [false, true] {
            let filter = ReportFilter { question, settled };
            store.reports().list(&filter, Page::first(10)).await.unwrap();
            store.reports().list(&filter, Page::after(1, 10)).await.unwrap();
        }
    }
    store.reports().settle(questions[0].id, ReportOutcome::Dismissed).await.unwrap();
}

/// Draws them, plays and reads them, closes a week and forgets what is over.
async fn challenges(store: &dyn Repositories, clock: &dyn Clock, random: &dyn RandomSource, users: &[UserId]) {
    let key = || IdempotencyKey::generate(clock.now(), random);
    let contents = (0..5).map(|n| {
        let line = format!(
            r#"{{"kind":"true_false","category":"D","difficulty":"medium","question":"More {n}?","answer":true}}"#
        );
        serde_json::from_str(&line).unwrap()
    });
    store.questions().add(contents.collect()).await.unwrap();
    for kind in ChallengeKind::ALL {
        for (user, channel) in users.iter().zip(10..) {
            let (channel_id, time_limit) = (ChannelId::new(channel).unwrap(), TimeLimit::default());
            let request = StartChallenge { channel_id, host: *user, kind, time_limit };
            let session = store.play().start_challenge(request).await.unwrap();
            let question_id = session.questions[0].question_id;
            let content = store.questions().get(question_id).await.unwrap().content;
            let given = content.read(content.answer()).unwrap();
            let submission =
                AnswerSubmission { key: key(), user_id: *user, session_id: session.id, question_id, given };
            store.play().submit_answer(submission).await.unwrap();
            store.play().finish(session.id).await.unwrap();
            let id = store.challenges().present(kind).await.unwrap();
            store.challenges().find(id).await.unwrap().unwrap();
            store.challenges().attempt(*user, id).await.unwrap().unwrap();
            store.challenges().history(*user, kind, 10).await.unwrap();
        }
    }
    for starts_on in ["2026-02-16", "2026-02-23"] {
        let close = ClosePeriod { key: key(), period: Period::Week, starts_on: starts_on.parse().unwrap() };
        store.play().close_period(close).await.unwrap();
        store.play().close_period(close).await.unwrap();
    }
    assert!(store.sessions().forget_ended(clock.now() + chrono::TimeDelta::days(1)).await.unwrap() > 0);
}

/// Each policy, with and without a filter, until it has reused and forgotten something.
async fn pick_without_repeats(
    store: &dyn Repositories,
    user: UserId,
    filters: &[QuestionFilter],
    excluded: QuestionId,
) {
    for of in [PickOwner::Player(user), PickOwner::Channel(ChannelId::new(1).unwrap())] {
        for exhausted in [WhenExhausted::Error, WhenExhausted::ReuseOldest, WhenExhausted::Reset] {
            for filter in filters {
                let scope = Some(PickScope { of, exhausted });
                let request = PickRequest { filter: filter.clone(), count: 1, exclude: vec![excluded], seed: 1, scope };
                // the first policy uses all up, so the second reuses and the third forgets
                drop(store.questions().pick(&request).await);
                drop(store.questions().pick(&request).await);
            }
        }
    }
}

const fn content_kind() -> trivia_domain::model::QuestionKind {
    trivia_domain::model::QuestionKind::TrueFalse
}

/// The session goes on with the version that it began with.
async fn edited_while_it_is_open(
    store: &dyn Repositories,
    clock: &dyn Clock,
    random: &dyn RandomSource,
    session: &GameSession,
    user_id: UserId,
) {
    let question_id = session.questions[0].question_id;
    let content = r#"{"kind":"fill_blank","category":"C","difficulty":"easy","question":"Edited?","answer":"yes"}"#;
    store.questions().update(question_id, serde_json::from_str(content).unwrap()).await.unwrap();
    let key = IdempotencyKey::generate(clock.now(), random);
    let given = Given::Truth(true);
    let submission = AnswerSubmission { key, user_id, session_id: session.id, question_id, given };
    store.play().submit_answer(submission).await.unwrap();
    assert!(store.play().expire(session.id).await.is_err(), "its time is not up");
}

async fn play(
    store: &dyn Repositories,
    clock: &dyn Clock,
    random: &dyn RandomSource,
    questions: &[Question],
    users: &[UserId],
) {
    let channel_id = ChannelId::new(1).unwrap();
    let request = StartSession {
        channel_id,
        host: users[0],
        questions: questions.iter().map(|question| question.id).collect(),
        time_limit: TimeLimit::default(),
    };
    let session = store.play().start_session(request.clone()).await.unwrap();
    for user in users {
        let submission = AnswerSubmission {
            key: IdempotencyKey::generate(clock.now(), random),
            user_id: *user,
            session_id: session.id,
            question_id: questions[0].id,
            given: Given::Truth(questions[0].content.answer() == "true"),
        };
        store.play().submit_answer(submission.clone()).await.unwrap();
        store.play().submit_answer(submission).await.unwrap();
    }
    store.play().advance(session.id, 0).await.unwrap();
    store.sessions().live(channel_id).await.unwrap();
    store.sessions().list_live(Page::first(10)).await.unwrap();
    store.sessions().find(session.id).await.unwrap();
    store.play().finish(session.id).await.unwrap();
    let session = store.play().start_session(request).await.unwrap();
    edited_while_it_is_open(store, clock, random, &session, users[0]).await;
    let key = || IdempotencyKey::generate(clock.now(), random);
    let award =
        AwardRequest { key: key(), user_id: users[0], points: Points::small(5), reason: "a good question".to_owned() };
    store.play().award(award).await.unwrap();
    let grant = GrantRequest { key: key(), user_id: users[1], achievement_id: "hot_streak".parse().unwrap() };
    store.play().grant(grant).await.unwrap();
}
