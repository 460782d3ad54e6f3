//! L23 on SQLite files: an erased person is nowhere in the file and does not come back with a backup, and
//! no column can be added without saying whether it is about a person.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sea_orm::sqlx::{self, ConnectOptions, Connection, Row, TypeInfo, ValueRef};
use serde_json::Value as Json;
use tempfile::TempDir;
use trivia_domain::StoreError;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    AchievementId, BackupKind, ChallengeKind, ChannelId, GameSession, Given, IdempotencyKey, Points, QuestionContent,
    ReportNote, ReportOutcome, ReportReason, UserId,
};
use trivia_domain::ports::{
    AnswerSubmission, AwardRequest, BackupService, Clock, FileReport, GrantRequest, MaintenancePort, PickOwner,
    PickRequest, PickScope, QuestionFilter, Repositories, StartChallenge, StartSession, Store, WhenExhausted,
};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, SqliteBackups, schema};

/// A number that occurs by chance nowhere else, in text or in bytes.
const PERSON: i64 = 723_456_789_012_345_678;
/// Another account of the same person, which was merged into the first.
const EARLIER: i64 = 623_456_789_012_345_678;
/// Somebody else, who stays.
const OTHER: i64 = 523_456_789_012_345_678;

/// What the person wrote about a question.
const NOTE: &str = "my aunt in Selfoss knows better";

/// What a column has to do with a person.
#[derive(Debug, Clone, Copy, PartialEq)]
enum About {
    /// The number of a person; a row with it goes with the person, or loses the number.
    Person,
    /// Something about that person, so it is in the export.
    Theirs,
    /// Of a row that goes with the person, but only of use to the store, or said by another column.
    Internal,
    /// About nobody.
    Nobody,
}

use About::{Internal, Nobody, Person, Theirs};

/// Every column of the newest schema. A new one makes `l23_every_column_is_classified` fail until it is
/// here, and is then looked for in the export or in what is left after an erasure.
const COLUMNS: &[(&str, &[(&str, About)])] = &[
    (
        "achievement_definitions",
        &[
            ("revision", Nobody),
            ("achievement_id", Nobody),
            ("name", Nobody),
            ("emoji", Nobody),
            ("category", Nobody),
            ("rule", Nobody),
            ("bonus", Nobody),
            ("hidden", Nobody),
            ("retired_at", Nobody),
        ],
    ),
    (
        "challenge_attempts",
        &[
            ("user_id", Person),
            ("kind", Theirs),
            ("starts_on", Theirs),
            ("size", Theirs),
            ("answers", Theirs),
            ("completed_at", Theirs),
        ],
    ),
    (
        "challenge_questions",
        &[("kind", Nobody), ("starts_on", Nobody), ("position", Nobody), ("question_id", Nobody), ("version", Nobody)],
    ),
    ("challenges", &[("kind", Nobody), ("starts_on", Nobody), ("created_at", Nobody)]),
    (
        "closed_periods",
        &[("period", Nobody), ("starts_on", Nobody), ("key", Nobody), ("closed_at", Nobody), ("players", Nobody)],
    ),
    ("erasures", &[("fingerprint", Nobody), ("salt", Nobody), ("erased_at", Nobody)]),
    (
        "game_sessions",
        &[
            ("id", Theirs),
            ("channel_id", Person),
            ("host_id", Person),
            ("kind", Internal),
            ("challenge_on", Theirs),
            ("status", Theirs),
            ("time_limit_ms", Theirs),
            ("position", Theirs),
            ("started_at", Theirs),
            ("ended_at", Theirs),
        ],
    ),
    (
        "ledger",
        &[
            ("user_id", Person),
            ("seq", Theirs),
            ("key", Theirs),
            ("kind", Theirs),
            ("at", Theirs),
            ("day", Theirs),
            ("points", Theirs),
            ("total_points", Theirs),
            ("streak", Theirs),
            ("unlocked", Theirs),
            ("session_id", Theirs),
            ("question_id", Theirs),
            ("question_version", Theirs),
            ("difficulty", Theirs),
            ("category", Theirs),
            ("given", Theirs),
            ("correct", Theirs),
            ("rule_version", Theirs),
            ("elapsed_us", Theirs),
            ("challenge_kind", Theirs),
            ("challenge_on", Theirs),
            ("challenge_size", Theirs),
            ("achievement_id", Theirs),
            ("reason", Theirs),
            ("opening", Theirs),
        ],
    ),
    ("live_sessions", &[("channel_id", Person), ("session_id", Theirs)]),
    ("commit_count", &[("id", Nobody), ("generation", Nobody), ("number", Nobody)]),
    ("maintenance_runs", &[("task", Nobody), ("ran_at", Nobody), ("ok", Nobody), ("detail", Nobody)]),
    ("merges", &[("user_id", Person), ("fingerprint", Internal), ("salt", Internal)]),
    ("pack_questions", &[("pack_id", Nobody), ("question_id", Nobody)]),
    // the author of questions is no player, and is named because the licence asks for it
    (
        "packs",
        &[
            ("id", Nobody),
            ("name", Nobody),
            ("title", Nobody),
            ("source", Nobody),
            ("author", Nobody),
            ("licence", Nobody),
            ("attribution", Nobody),
            ("changed_at", Nobody),
        ],
    ),
    ("picks", &[("owner", Internal), ("owner_id", Person), ("question_id", Theirs), ("number", Internal)]),
    (
        "quarantine",
        &[
            ("id", Internal),
            ("source", Internal),
            ("source_id", Person),
            ("problem", Internal),
            ("content", Theirs),
            ("repaired", Internal),
        ],
    ),
    (
        "question_counters",
        &[
            ("question_id", Nobody),
            ("times_asked", Nobody),
            ("times_correct", Nobody),
            ("opening_asked", Nobody),
            ("opening_correct", Nobody),
        ],
    ),
    (
        "question_groups",
        &[
            ("category", Nobody),
            ("difficulty", Nobody),
            ("question_type", Nobody),
            ("language", Nobody),
            ("first_ordinal", Nobody),
            ("size", Nobody),
        ],
    ),
    (
        "question_reports",
        &[
            ("id", Theirs),
            ("question_id", Theirs),
            ("version", Theirs),
            ("user_id", Person),
            ("reason", Theirs),
            ("note", Theirs),
            ("reported_at", Theirs),
            ("outcome", Theirs),
            ("settled_at", Theirs),
        ],
    ),
    ("question_tags", &[("question_id", Nobody), ("tag", Nobody)]),
    (
        "question_versions",
        &[("question_id", Nobody), ("version", Nobody), ("content", Nobody), ("replaced_at", Nobody)],
    ),
    (
        "questions",
        &[
            ("id", Nobody),
            ("version", Nobody),
            ("content_key", Nobody),
            ("stem_key", Nobody),
            ("language", Nobody),
            ("category", Nobody),
            ("difficulty", Nobody),
            ("question_type", Nobody),
            ("question_text", Nobody),
            ("correct_answer", Nobody),
            ("options", Nobody),
            ("answer_variations", Nobody),
            ("explanation", Nobody),
            ("point_value", Nobody),
            ("ordinal", Nobody),
            ("created_at", Nobody),
            ("retired_at", Nobody),
        ],
    ),
    (
        "rankings",
        &[
            ("user_id", Person),
            ("period", Theirs),
            ("starts_on", Theirs),
            ("points", Theirs),
            ("answered", Theirs),
            ("correct", Theirs),
            ("reached_at", Theirs),
        ],
    ),
    (
        "rule_book",
        &[
            ("id", Nobody),
            ("revision", Nobody),
            ("zone", Nobody),
            ("week_start", Nobody),
            ("challenge_language", Nobody),
        ],
    ),
    ("schema_version", &[("version", Nobody), ("applied_at", Nobody)]),
    (
        "score_counts",
        &[("board", Nobody), ("starts_on", Nobody), ("width", Nobody), ("bucket", Nobody), ("players", Nobody)],
    ),
    (
        "session_questions",
        &[
            ("session_id", Theirs),
            ("position", Internal),
            ("question_id", Theirs),
            ("version", Theirs),
            ("opened_at", Theirs),
        ],
    ),
    ("unprojected", &[("user_id", Person)]),
    (
        "user_achievements",
        &[("user_id", Person), ("achievement_id", Theirs), ("seq", Theirs), ("unlocked_at", Theirs), ("bonus", Theirs)],
    ),
    (
        "user_tallies",
        &[
            ("user_id", Person),
            ("dimension", Internal),
            ("name", Theirs),
            ("answered", Theirs),
            ("correct", Theirs),
            ("points", Theirs),
        ],
    ),
    (
        "users",
        &[
            ("user_id", Person),
            ("last_seq", Theirs),
            ("total_points", Theirs),
            ("points_reached_at", Theirs),
            ("questions_answered", Theirs),
            ("questions_correct", Theirs),
            ("current_streak", Theirs),
            ("best_streak", Theirs),
            ("day_streak", Theirs),
            ("best_day_streak", Theirs),
            ("last_day", Theirs),
            ("last_played", Theirs),
            ("preferred_difficulty", Theirs),
            ("daily_challenges", Theirs),
            ("weekly_challenges", Theirs),
            ("daily_challenge_completed", Theirs),
            ("weekly_challenge_completed", Theirs),
            ("time_zone", Theirs),
            ("created_at", Theirs),
        ],
    ),
];

/// A database in which the person and somebody else have done everything that leaves a trace.
struct Home {
    dir: TempDir,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    database: Database,
}

impl Home {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
        let random = Arc::new(SeededRandom::new(11));
        let options = DatabaseOptions::new(DatabaseUrl::of_file(dir.path().join("trivia.db")));
        schema::up(&options, None).await.unwrap();
        let database = Database::open(options, clock.clone(), random.clone()).await.unwrap();
        let home = Self { dir, clock, random, database };
        home.add_questions().await;
        for user in [PERSON, OTHER] {
            home.database.users().get_or_create(id(user)).await.unwrap();
        }
        home.leave_traces(PERSON).await;
        home
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("trivia.db")
    }

    fn backups(&self) -> SqliteBackups {
        SqliteBackups::attached(&self.database, self.dir.path().join("backups"))
    }

    fn key(&self) -> IdempotencyKey {
        IdempotencyKey::generate(self.clock.now(), self.random.as_ref())
    }

    async fn add_questions(&self) {
        let contents = (0..8).map(|number| {
            let line = format!(
                r#"{{"kind":"true_false","category":"Nature","difficulty":"easy","question":"Number {number}?","answer":true}}"#
            );
            serde_json::from_str::<QuestionContent>(&line).unwrap()
        });
        self.database.questions().add(contents.collect()).await.unwrap();
    }

    /// Answers everything that is asked in a session; the other one answers too.
    async fn play(&self, session: GameSession, host: i64) {
        for (position, asked) in session.questions.iter().enumerate() {
            self.clock.advance(TimeDelta::milliseconds(1_234));
            for user in [host, OTHER] {
                let submission = AnswerSubmission {
                    key: self.key(),
                    user_id: id(user),
                    session_id: session.id,
                    question_id: asked.question_id,
                    given: Given::Truth(true),
                };
                self.database.play().submit_answer(submission).await.unwrap();
            }
            self.database.play().advance(session.id, position).await.unwrap();
        }
    }

    async fn leave_traces(&self, person: i64) {
        let play = self.database.play();
        let scope = PickScope { of: PickOwner::Player(id(person)), exhausted: WhenExhausted::Error };
        let pick = PickRequest {
            filter: QuestionFilter::default(),
            count: 3,
            exclude: Vec::new(),
            seed: 1,
            scope: Some(scope),
        };
        let picked = self.database.questions().pick(&pick).await.unwrap();
        let channel = PickScope { of: PickOwner::Channel(ChannelId::new(person).unwrap()), ..scope };
        self.database.questions().pick(&PickRequest { scope: Some(channel), ..pick }).await.unwrap();

        // a private chat has the number of the person
        for channel_id in [77, person] {
            let request = StartSession {
                channel_id: ChannelId::new(channel_id).unwrap(),
                host: id(person),
                questions: picked.iter().map(|question| question.id).collect(),
                time_limit: Default::default(),
            };
            let session = play.start_session(request.clone()).await.unwrap();
            self.play(session, person).await;
            play.start_session(request).await.unwrap();
        }
        for (channel, kind) in (100..).zip(ChallengeKind::ALL) {
            let channel_id = ChannelId::new(channel).unwrap();
            let request = StartChallenge { channel_id, host: id(person), kind, time_limit: Default::default() };
            let session = play.start_challenge(request).await.unwrap();
            self.play(session, person).await;
        }
        for outcome in [Some(ReportOutcome::Dismissed), None] {
            let (question_id, user_id) = (picked[0].id, id(person));
            let note = Some(ReportNote::new(NOTE).unwrap());
            let report = FileReport { question_id, version: 1, user_id, reason: ReportReason::Outdated, note };
            self.database.reports().file(report).await.unwrap();
            if let Some(outcome) = outcome {
                self.clock.advance(TimeDelta::minutes(7));
                self.database.reports().settle(question_id, outcome).await.unwrap();
            }
        }
        let (key, user_id) = (self.key(), id(person));
        let award = AwardRequest { key, user_id, points: Points::small(1_234), reason: "a distinct reason".to_owned() };
        play.award(award).await.unwrap();
        let achievement_id = AchievementId::new("super_fan").unwrap();
        play.grant(GrantRequest { key: self.key(), user_id, achievement_id }).await.unwrap();
        // an earlier account of the same person
        self.database.users().get_or_create(id(EARLIER)).await.unwrap();
        self.database.people().merge(id(EARLIER), user_id).await.unwrap();
        self.database.users().set_time_zone(user_id, "Pacific/Kiritimati".parse().unwrap()).await.unwrap();
        for (source, source_id, content) in [
            ("users", person.to_string(), format!(r#"{{"user_id": {person}, "total_points": "many"}}"#)),
            ("weekly_rankings", "5".to_owned(), format!(r#"{{"id": 5, "user_id": {person}, "points": -1}}"#)),
        ] {
            let sql = "INSERT INTO quarantine (source, source_id, problem, content) VALUES (?, ?, 'odd', ?)";
            let mut raw = self.raw().await;
            sqlx::query(sql).bind(source).bind(source_id).bind(content).execute(&mut raw).await.unwrap();
            raw.close().await.unwrap();
        }
    }

    async fn raw(&self) -> sqlx::SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).connect().await.unwrap()
    }

    async fn query(&self, sql: &str) -> Vec<SqliteRow> {
        let mut raw = self.raw().await;
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        rows
    }

    async fn verified(&self) {
        assert_eq!(self.database.verify().await.unwrap(), []);
    }
}

fn id(user: i64) -> UserId {
    UserId::new(user).unwrap()
}

/// Files of a database that hold a number, as text or as SQLite and other programs store it.
fn traces(database: &Path, number: i64) -> Vec<String> {
    let text = number.to_string();
    holding(database, &[text.as_bytes(), &number.to_be_bytes(), &number.to_le_bytes()])
}

/// Files of a database that hold any of these bytes.
fn holding(database: &Path, needles: &[&[u8]]) -> Vec<String> {
    let files = ["", "-wal", "-shm", "-journal"].map(|end| PathBuf::from(format!("{}{end}", database.display())));
    let has = |file: &PathBuf| {
        let content = fs::read(file).unwrap_or_default();
        needles.iter().any(|needle| content.windows(needle.len()).any(|window| window == *needle))
    };
    files.iter().filter(|file| has(file)).map(|file| file.display().to_string()).collect()
}

#[tokio::test]
async fn l23_every_column_is_classified() {
    let home = Home::new().await;
    let sql = "SELECT t.name AS tbl, c.name AS col FROM sqlite_schema t, pragma_table_info(t.name) c \
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in home.query(sql).await {
        found.entry(row.get("tbl")).or_default().push(row.get("col"));
    }
    let classified: BTreeMap<String, Vec<String>> = COLUMNS
        .iter()
        .map(|(table, columns)| ((*table).to_owned(), columns.iter().map(|(column, _)| (*column).to_owned()).collect()))
        .collect();
    assert_eq!(found, classified, "say of each new column what it has to do with a person");
}

/// The ways in which the export may write a value of a row.
fn written(row: &SqliteRow, column: &str) -> Vec<String> {
    let value = row.try_get_raw(column).unwrap();
    if value.is_null() {
        return Vec::new();
    }
    match value.type_info().name() {
        "INTEGER" | "BOOLEAN" => {
            let number: i64 = row.get_unchecked(column);
            vec![number.to_string(), (number == 1).to_string()]
        }
        "BLOB" => {
            let bytes: Vec<u8> = row.get_unchecked(column);
            vec![uuid::Uuid::from_slice(&bytes).unwrap().to_string()]
        }
        _ => {
            let text: String = row.get_unchecked(column);
            let mut ways = vec![Json::String(text.clone()).to_string()];
            if let Ok(at) = DateTime::parse_from_rfc3339(&text) {
                ways.push(serde_json::to_string(&at.to_utc()).unwrap());
            }
            if let Ok(json) = serde_json::from_str::<Json>(&text) {
                ways.push(json.to_string());
                // kept originals are JSON inside of JSON
                ways.push(Json::String(json.to_string()).to_string());
            }
            ways
        }
    }
}

#[tokio::test]
async fn l23_the_export_holds_everything_about_a_person() {
    let home = Home::new().await;
    let record = home.database.people().export(id(PERSON)).await.unwrap();
    // through a value, so that keys of objects are in the same order everywhere
    let export = serde_json::to_value(&record).unwrap().to_string();
    let own = "session_id IN (SELECT id FROM game_sessions WHERE host_id = {} OR channel_id = {})";
    for (table, columns) in COLUMNS {
        let keys: Vec<_> = columns.iter().filter(|(_, about)| *about == Person).map(|(column, _)| *column).collect();
        let which = match *table {
            "session_questions" => own.replace("{}", &PERSON.to_string()),
            // a list of what waits, which is empty after each read about the person
            "unprojected" => continue,
            "quarantine" => format!("content ->> 'user_id' = {PERSON}"),
            _ if keys.is_empty() => continue,
            _ => keys.iter().map(|key| format!("{key} = {PERSON}")).collect::<Vec<_>>().join(" OR "),
        };
        let rows = home.query(&format!("SELECT * FROM {table} WHERE {which}")).await;
        assert!(!rows.is_empty(), "the person left no trace in {table}");
        for row in rows {
            for (column, _) in columns.iter().filter(|(_, about)| *about == Theirs) {
                let ways = written(&row, column);
                let is_there = ways.is_empty() || ways.iter().any(|way| export.contains(way.as_str()));
                assert!(is_there, "{table}.{column} is not in the export: {ways:?}");
            }
        }
    }
    assert_eq!(record.facts.len() as u64, record.profile.last_seq);
    assert_eq!((record.sessions.len(), record.challenges.len(), record.picks.len()), (6, 2, 3));
    assert_eq!(record.reports.len(), 2);
    assert_eq!(record.originals.len(), 2);
}

#[tokio::test]
async fn l23_an_erased_person_is_nowhere_in_the_file() {
    let home = Home::new().await;
    let other = home.database.users().get(id(OTHER)).await.unwrap();
    let counters = home.query("SELECT times_asked, times_correct FROM question_counters ORDER BY question_id").await;
    let counted = |rows: &[SqliteRow]| rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(i64, i64)>>();
    assert!(!traces(&home.path(), PERSON).is_empty(), "there is something to erase");
    assert!(!holding(&home.path(), &[NOTE.as_bytes()]).is_empty());

    home.database.people().erase(id(PERSON)).await.unwrap();
    assert_eq!(holding(&home.path(), &[NOTE.as_bytes()]), Vec::<String>::new());
    assert_eq!(traces(&home.path(), PERSON), Vec::<String>::new());
    assert!(!traces(&home.path(), OTHER).is_empty(), "the test would see a number that is there");
    assert_eq!(home.database.users().get(id(OTHER)).await.unwrap(), other);
    let after = home.query("SELECT times_asked, times_correct FROM question_counters ORDER BY question_id").await;
    assert_eq!(counted(&after), counted(&counters), "how often a question was answered stays");
    home.verified().await;

    // again is no error: a file that was busy is cleaned then
    home.database.people().erase(id(PERSON)).await.unwrap();
    let nobody = home.database.people().erase(id(PERSON + 1)).await;
    assert!(matches!(nobody, Err(StoreError::Missing { .. })), "{nobody:?}");
}

#[tokio::test]
async fn l23_t13_a_backup_from_before_does_not_bring_the_person_back() {
    let home = Home::new().await;
    let backups = home.backups();
    let before = backups.create(BackupKind::Manual, "before the erasure").await.unwrap();
    home.clock.advance(TimeDelta::hours(1));
    home.database.people().erase(id(PERSON)).await.unwrap();

    backups.restore(&before.manifest.id).await.unwrap();
    assert_eq!(home.database.users().find(id(PERSON)).await.unwrap(), None);
    assert_eq!(traces(&home.path(), PERSON), Vec::<String>::new());
    assert!(home.database.users().find(id(OTHER)).await.unwrap().is_some());
    home.verified().await;
    // and not with the next restore either: the list came along
    backups.restore(&before.manifest.id).await.unwrap();
    assert_eq!(home.database.users().find(id(PERSON)).await.unwrap(), None);
}

#[tokio::test]
async fn l23_an_account_that_was_merged_is_erased_with_the_person() {
    let home = Home::new().await;
    let another = id(EARLIER + 1);
    home.database.users().get_or_create(another).await.unwrap();
    let backups = home.backups();
    let before = backups.create(BackupKind::Manual, "before the merge").await.unwrap();
    home.clock.advance(TimeDelta::hours(1));
    home.database.people().merge(another, id(PERSON)).await.unwrap();
    home.database.people().erase(id(PERSON)).await.unwrap();
    for number in [PERSON, EARLIER, EARLIER + 1] {
        assert_eq!(traces(&home.path(), number), Vec::<String>::new(), "{number}");
    }
    backups.restore(&before.manifest.id).await.unwrap();
    for number in [PERSON, EARLIER, EARLIER + 1] {
        assert_eq!(home.database.users().find(id(number)).await.unwrap(), None, "{number}");
        assert_eq!(traces(&home.path(), number), Vec::<String>::new(), "{number}");
    }
}

#[tokio::test]
async fn l23_a_reset_does_not_make_a_restore_forget_who_was_erased() {
    let home = Home::new().await;
    let backups = home.backups();
    let before = backups.create(BackupKind::Manual, "before the erasure").await.unwrap();
    home.clock.advance(TimeDelta::hours(1));
    home.database.people().erase(id(PERSON)).await.unwrap();
    backups.create(BackupKind::PreReset, "before the reset").await.unwrap();
    let options = home.database.options().clone();
    home.database.close().await.unwrap();
    schema::fresh(&options).await.unwrap();

    let backups = SqliteBackups::new(options.clone(), home.dir.path().join("backups"), home.clock.clone());
    backups.restore(&before.manifest.id).await.unwrap();
    let database = Database::open(options, home.clock.clone(), home.random.clone()).await.unwrap();
    assert_eq!(database.users().find(id(PERSON)).await.unwrap(), None);
    database.close().await.unwrap();
}

#[tokio::test]
async fn l23_who_comes_back_is_somebody_new_and_stays() {
    let home = Home::new().await;
    let backups = home.backups();
    home.clock.advance(TimeDelta::hours(1));
    home.database.people().erase(id(PERSON)).await.unwrap();
    home.clock.advance(TimeDelta::hours(1));
    let fresh = home.database.users().get_or_create(id(PERSON)).await.unwrap();
    assert_eq!((fresh.last_seq, fresh.total_points), (0, Points::ZERO));
    let after = backups.create(BackupKind::Manual, "after the return").await.unwrap();
    backups.restore(&after.manifest.id).await.unwrap();
    assert_eq!(home.database.users().find(id(PERSON)).await.unwrap(), Some(fresh));
}

#[tokio::test]
async fn l23_a_damaged_database_does_not_make_a_restore_forget_who_was_erased() {
    let home = Home::new().await;
    let before = home.backups().create(BackupKind::Manual, "before the erasure").await.unwrap();
    home.clock.advance(TimeDelta::hours(1));
    home.database.people().erase(id(PERSON)).await.unwrap();
    home.clock.advance(TimeDelta::hours(1));
    home.backups().create(BackupKind::Manual, "after the erasure").await.unwrap();
    let (path, options) = (home.path(), home.database.options().clone());
    home.database.close().await.unwrap();
    fs::write(&path, [0xA5; 8192]).unwrap();

    let backups = SqliteBackups::new(options.clone(), home.dir.path().join("backups"), home.clock.clone());
    backups.restore(&before.manifest.id).await.unwrap();
    let database = Database::open(options, home.clock.clone(), home.random.clone()).await.unwrap();
    assert_eq!(database.users().find(id(PERSON)).await.unwrap(), None);
    assert_eq!(traces(&path, PERSON), Vec::<String>::new());
    database.close().await.unwrap();
}
