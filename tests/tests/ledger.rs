//! L3: every derived number follows from the ledger; a number that was changed by hand is named and mended.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    ChallengeKind, ChannelId, Drift, GameSession, IdempotencyKey, Points, QuestionContent, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, AwardRequest, CheckOutcome, Clock, MaintenancePort, Repositories, StartChallenge,
    StartSession, Store,
};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, schema};

/// A database in which two players have played, and a second way into its file.
struct Played {
    database: Database,
    raw: DatabaseConnection,
    _dir: TempDir,
}

impl Played {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trivia.db");
        let options = DatabaseOptions::new(DatabaseUrl::of_file(&path));
        schema::up(&options, None).await.unwrap();
        let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
        let random = Arc::new(SeededRandom::new(3));
        let database = Database::open(options, clock.clone(), random.clone()).await.unwrap();
        let contents = (0..6).map(|number| {
            let line = format!(
                r#"{{"kind":"true_false","category":"Nature","difficulty":"easy","question":"Number {number}?","answer":true}}"#
            );
            serde_json::from_str::<QuestionContent>(&line).unwrap()
        });
        let added = database.questions().add(contents.collect()).await.unwrap();
        let questions = added.into_iter().map(|outcome| match outcome {
            AddOutcome::Added { id } => id,
            other => panic!("{other:?}"),
        });
        let users = [1, 2].map(|id| UserId::new(id).unwrap());
        for user in users {
            database.users().get_or_create(user).await.unwrap();
        }
        let key = || IdempotencyKey::generate(clock.now(), random.as_ref());
        let request = StartSession {
            channel_id: ChannelId::new(1).unwrap(),
            host: users[0],
            questions: questions.collect(),
            time_limit: TimeLimit::default(),
        };
        let session = database.play().start_session(request).await.unwrap();
        play_to_the_end(&database, &session, &[(users[0], "true"), (users[1], "false")], key).await;
        // two complete a daily challenge, one leaves a weekly one unfinished
        for (kind, channel) in ChallengeKind::ALL.into_iter().zip(2..) {
            let channel_id = ChannelId::new(channel).unwrap();
            let request = StartChallenge { channel_id, host: users[0], kind, time_limit: TimeLimit::default() };
            let mut session = database.play().start_challenge(request).await.unwrap();
            session.questions.truncate(2);
            let players = [(users[0], "true"), (users[1], "false")];
            let players = if kind == ChallengeKind::Daily { &players[..] } else { &players[..1] };
            play_to_the_end(&database, &session, players, key).await;
        }
        let award =
            AwardRequest { key: key(), user_id: users[1], points: Points::small(7), reason: "a gift".to_owned() };
        database.play().award(award).await.unwrap();
        let raw = sea_orm::Database::connect(format!("sqlite://{}", path.display())).await.unwrap();
        Self { database, raw, _dir: dir }
    }

    async fn change(&self, sql: &str) {
        let changed = self.raw.execute_unprepared(sql).await.unwrap().rows_affected();
        assert!(changed > 0, "nothing was changed by {sql}");
    }
}

/// Lets players answer the questions of a session.
async fn play_to_the_end(
    database: &Database,
    session: &GameSession,
    players: &[(UserId, &str)],
    key: impl Fn() -> IdempotencyKey,
) {
    for (position, asked) in session.questions.iter().enumerate() {
        let question = database.questions().get(asked.question_id).await.unwrap();
        for (user_id, text) in players {
            let given = question.content.read(text).unwrap();
            let (user_id, session_id, question_id) = (*user_id, session.id, asked.question_id);
            let submission = AnswerSubmission { key: key(), user_id, session_id, question_id, given };
            database.play().submit_answer(submission).await.unwrap();
        }
        database.play().advance(session.id, position).await.unwrap();
    }
}

/// Changes by hand, with the table, key and column that `verify` must name.
const CHANGES: &[(&str, &str, &str, &str)] = &[
    ("UPDATE users SET total_points = total_points + 1 WHERE user_id = 1", "users", "1", "total_points"),
    ("UPDATE users SET questions_correct = 0 WHERE user_id = 1", "users", "1", "questions_correct"),
    ("UPDATE users SET best_streak = 99 WHERE user_id = 2", "users", "2", "best_streak"),
    ("UPDATE users SET last_day = '2026-03-05' WHERE user_id = 2", "users", "2", "last_day"),
    ("UPDATE users SET points_reached_at = NULL WHERE user_id = 1", "users", "1", "points_reached_at"),
    ("UPDATE users SET preferred_difficulty = 'hard' WHERE user_id = 1", "users", "1", "preferred_difficulty"),
    ("UPDATE user_achievements SET bonus = 51 WHERE user_id = 1", "user_achievements", "1/hot_streak", "bonus"),
    ("DELETE FROM user_achievements WHERE user_id = 1", "user_achievements", "1/hot_streak", "*"),
    (
        "INSERT INTO user_achievements VALUES (2, 'hot_streak', 1, '2026-03-04T12:00:00+00:00', 50)",
        "user_achievements",
        "2/hot_streak",
        "*",
    ),
    (
        "UPDATE user_tallies SET answered = 90 WHERE user_id = 1 AND dimension = 'category'",
        "user_tallies",
        "1/category/Nature",
        "answered",
    ),
    (
        "DELETE FROM user_tallies WHERE user_id = 2 AND dimension = 'difficulty'",
        "user_tallies",
        "2/difficulty/easy",
        "*",
    ),
    ("UPDATE rankings SET points = 1 WHERE user_id = 2 AND period = 'week'", "rankings", "2/week/2026-03-02", "points"),
    (
        "UPDATE rankings SET reached_at = '2026-03-04T13:00:00+00:00' WHERE user_id = 1 AND period = 'day'",
        "rankings",
        "1/day/2026-03-04",
        "reached_at",
    ),
    ("DELETE FROM rankings WHERE user_id = 1 AND period = 'month'", "rankings", "1/month/2026-03-01", "*"),
    ("UPDATE users SET daily_challenges = 2 WHERE user_id = 1", "users", "1", "daily_challenges"),
    ("UPDATE users SET daily_challenge_completed = NULL WHERE user_id = 2", "users", "2", "daily_challenge_completed"),
    (
        "UPDATE challenge_attempts SET completed_at = NULL WHERE user_id = 1 AND kind = 'daily'",
        "challenge_attempts",
        "1/daily/2026-03-04",
        "completed_at",
    ),
    (
        "UPDATE challenge_attempts SET answers = '[]' WHERE user_id = 2",
        "challenge_attempts",
        "2/daily/2026-03-04",
        "answers",
    ),
    (
        "UPDATE challenge_attempts SET size = 9 WHERE kind = 'weekly'",
        "challenge_attempts",
        "1/weekly/2026-03-02",
        "size",
    ),
    (
        "DELETE FROM challenge_attempts WHERE user_id = 1 AND kind = 'weekly'",
        "challenge_attempts",
        "1/weekly/2026-03-02",
        "*",
    ),
    (
        "INSERT INTO challenge_attempts VALUES (2, 'weekly', '2026-03-02', 5, '[]', NULL)",
        "challenge_attempts",
        "2/weekly/2026-03-02",
        "*",
    ),
    ("UPDATE question_counters SET times_asked = 40 WHERE question_id = 1", "question_counters", "1", "times_asked"),
    ("UPDATE question_counters SET times_correct = 0 WHERE question_id = 2", "question_counters", "2", "times_correct"),
    ("DELETE FROM question_counters WHERE question_id = 3", "question_counters", "3", "times_asked"),
    (
        "DELETE FROM score_counts WHERE board = 'all_time' AND width = 1 AND bucket = 7",
        "score_counts",
        "all_time/1970-01-01/1/7",
        "players",
    ),
    (
        "INSERT INTO score_counts VALUES ('week', '2026-03-02', 128, 99, 3)",
        "score_counts",
        "week/2026-03-02/128/99",
        "players",
    ),
];

#[tokio::test]
async fn l3_every_changed_number_is_named_and_mended() {
    let played = Played::new().await;
    let database = &played.database;
    assert_eq!(database.verify().await.unwrap(), []);
    let id = UserId::new(1).unwrap();
    let before = (database.users().get(id).await.unwrap(), database.people().export(id).await.unwrap());
    for (sql, table, id, column) in CHANGES {
        played.change(sql).await;
        let names = |drift: &Drift| drift.table == *table && drift.id == *id && drift.column == *column;
        let drift = database.verify().await.unwrap();
        assert!(drift.iter().any(names), "{sql}\n{drift:#?}");
        assert!(drift.iter().all(|drift| drift.stored != drift.folded), "{drift:#?}");
        assert!(matches!(database.check().await, CheckOutcome::Bad { .. }), "{sql}");
        assert_eq!(database.rebuild().await.unwrap(), drift, "{sql}");
        assert_eq!(database.verify().await.unwrap(), [], "{sql}");
    }
    assert_eq!((database.users().get(id).await.unwrap(), database.people().export(id).await.unwrap()), before);
    assert_eq!(database.check().await, CheckOutcome::Ok);
}

#[tokio::test]
async fn l23_what_a_check_remembers_names_nobody() {
    let played = Played::new().await;
    played.change("UPDATE users SET total_points = total_points + 1 WHERE user_id = 1").await;
    let CheckOutcome::Bad { problems } = played.database.check().await else { panic!("it is wrong") };
    assert!(problems.iter().any(|problem| problem.contains("total_points")), "{problems:?}");
    let sql = "SELECT detail FROM maintenance_runs WHERE NOT ok";
    let row = played.raw.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
    let detail: String = row.try_get("", "detail").unwrap();
    assert_eq!(detail, format!("{} problems; `trivia-db check` lists them", problems.len()));
    assert!(!played.database.rebuild().await.unwrap().is_empty());
}

#[tokio::test]
async fn l3_a_rebuild_of_what_is_right_changes_nothing() {
    let played = Played::new().await;
    let users = played.database.users();
    let id = UserId::new(1).unwrap();
    let before = (users.get(id).await.unwrap(), users.breakdown(id).await.unwrap());
    assert_eq!(played.database.rebuild().await.unwrap(), []);
    assert_eq!((users.get(id).await.unwrap(), users.breakdown(id).await.unwrap()), before);
}

#[tokio::test]
async fn l3_a_gap_in_the_ledger_is_damage() {
    let played = Played::new().await;
    played.change("DELETE FROM ledger WHERE user_id = 1 AND seq = 2").await;
    let CheckOutcome::Bad { problems } = played.database.check().await else { panic!("the gap was not seen") };
    assert!(problems.iter().any(|problem| problem.contains("ledger of user 1")), "{problems:?}");
}

/// What leaves questions in no place, or in the place of another language, and what puts it right again.
const GROUPS: [[&str; 2]; 5] = [
    ["UPDATE question_groups SET size = size + 1", "UPDATE question_groups SET size = size - 1"],
    ["UPDATE questions SET language = 'is' WHERE id = 3", "UPDATE questions SET language = 'en' WHERE id = 3"],
    ["UPDATE questions SET ordinal = 77 WHERE id = 3", "UPDATE questions SET ordinal = 2 WHERE id = 3"],
    ["UPDATE question_groups SET first_ordinal = 1", "UPDATE question_groups SET first_ordinal = 0"],
    ["UPDATE question_groups SET language = 'de'", "UPDATE question_groups SET language = 'en'"],
];

#[tokio::test]
async fn l18_questions_that_are_not_in_their_places_are_found() {
    let played = Played::new().await;
    for [wrong, right] in GROUPS {
        played.change(wrong).await;
        let CheckOutcome::Bad { problems } = played.database.check().await else { panic!("not seen: {wrong}") };
        assert!(problems.iter().any(|problem| problem.starts_with("question_groups: Nature, ")), "{problems:?}");
        played.change(right).await;
        assert_eq!(played.database.check().await, CheckOutcome::Ok, "{right}");
    }
}
