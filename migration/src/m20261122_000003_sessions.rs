//! Sessions with ids that the application makes, any number of questions, and at most one live
//! session a channel.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::{DbBackend, FromQueryResult, Statement};
use serde_json::{Value as Json, json};
use trivia_domain::model::SessionStatus;
use uuid::Uuid;

use crate::original::{
    self, GAME_SESSIONS, Problems, QUESTIONS, Row, UNKNOWN, USERS, drop_all, existing, instant_text, move_away,
};
use crate::quarantine::{self, Note};
use crate::rows;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let carries = original::is_possible(manager);
        if carries {
            move_away(db, "game_sessions", "game_sessions_v1").await?;
        }
        create_game_sessions(manager).await?;
        create_live_sessions(manager).await?;
        // elsewhere there are no questions yet to refer to, and step 4 creates this table after them
        if carries {
            create_session_questions(manager).await?;
            manager.create_index(session_questions_by_question()).await?;
            carry_over(db).await?;
            drop_all(manager, &["game_sessions_v1"]).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if !original::is_possible(manager) {
            return drop_all(manager, &["live_sessions", "game_sessions"]).await;
        }
        move_away(db, "game_sessions", "game_sessions_v2").await?;
        original::create(db, &GAME_SESSIONS).await?;
        put_back(db).await?;
        carry_back(db).await?;
        quarantine::clear(db, &GAME_SESSIONS).await?;
        drop_all(manager, &["live_sessions", "session_questions", "game_sessions_v2"]).await
    }
}

async fn create_game_sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("game_sessions")
        .col(pk_uuid("id"))
        .col(big_integer("channel_id"))
        // empty once the host was erased
        .col(big_integer_null("host_id"))
        .col(text("kind").check(Expr::col("kind").is_in(["normal", "daily", "weekly"])))
        .col(date_null("challenge_on"))
        .col(text("status").check(Expr::col("status").is_in(["live", "finished", "expired"])))
        .col(big_integer("time_limit_ms").check(Expr::col("time_limit_ms").between(1, 86_400_000)))
        .col(big_integer("position").check(Expr::col("position").gte(0)))
        .col(timestamp_with_time_zone("started_at"))
        .col(timestamp_with_time_zone_null("ended_at"))
        .check(Expr::cust("(kind = 'normal') = (challenge_on IS NULL)"))
        .check(Expr::cust("(status = 'live') = (ended_at IS NULL)"))
        .take();
    manager.create_table(table).await?;
    for column in ["host_id", "ended_at"] {
        let by_column =
            Index::create().name(format!("idx_game_sessions_{column}")).table("game_sessions").col(column).take();
        manager.create_index(by_column).await?;
    }
    let of_channel = Index::create()
        .name("idx_game_sessions_channel")
        .table("game_sessions")
        .col("channel_id")
        .col("started_at")
        .take();
    manager.create_index(of_channel).await
}

/// Creates the list of questions of each session, without its index.
pub(crate) async fn create_session_questions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("session_questions")
        .col(uuid("session_id"))
        .col(big_integer("position").check(Expr::col("position").gte(0)))
        .col(big_integer("question_id"))
        .col(big_integer("version").check(Expr::col("version").gte(1)))
        .col(timestamp_with_time_zone_null("opened_at"))
        .primary_key(Index::create().col("session_id").col("position"))
        .index(Index::create().unique().col("session_id").col("question_id"))
        .foreign_key(
            ForeignKey::create()
                .from("session_questions", "session_id")
                .to("game_sessions", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(ForeignKey::create().from("session_questions", "question_id").to("questions", "id"))
        .take();
    manager.create_table(table).await
}

/// The index of [`create_session_questions`].
pub(crate) fn session_questions_by_question() -> IndexCreateStatement {
    Index::create().name("idx_session_questions_question").table("session_questions").col("question_id").take()
}

async fn create_live_sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create().table("live_sessions").col(big_integer("channel_id").primary_key()).take();
    if original::is_possible(manager) {
        table.col(uuid("session_id").unique_key()).foreign_key(
            ForeignKey::create()
                .from("live_sessions", "session_id")
                .to("game_sessions", "id")
                .on_delete(ForeignKeyAction::Cascade),
        );
    } else {
        // on a distributed server a channel and its session may be on two hosts, which no constraint spans
        table.col(uuid("session_id"));
    }
    manager.create_table(table).await
}

/// A session of the original: one question, asked once.
struct OldSession {
    id: i64,
    channel_id: i64,
    host_id: i64,
    question_id: Option<i64>,
    is_challenge: bool,
    status: SessionStatus,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
}

impl OldSession {
    /// Reads a row; `asked` is the difficulty of its question if that exists.
    fn read(row: &Row, asked: &Json) -> Result<(Self, Problems), String> {
        let mut problems = Problems::default();
        let (id, channel_id, host_id) =
            (row.integer("id")?.unwrap_or_default(), row.id("channel_id")?, row.id("user_id")?);
        let mut question_id = problems.or(row.integer("question_id"), None);
        if let (Some(question), Json::Null) = (question_id, asked) {
            problems.add(format!("question_id {question} does not exist"));
            question_id = None;
        }
        if row.get("difficulty") != asked {
            problems.add(format!("difficulty {} is not that of the question", row.get("difficulty")));
        }
        let end = problems.or(row.instant("end_time"), None);
        let start = row.instant("start_time").and_then(|start| start.ok_or("start_time is missing".to_owned()));
        let started_at = problems.or(start, end.unwrap_or(UNKNOWN));
        let is_completed = problems.or(flag(row, "is_completed"), false);
        let is_challenge = problems.or(flag(row, "is_challenge"), false);
        let overdue = started_at + TimeDelta::milliseconds(TIME_LIMIT_MS);
        let ended_at = match end {
            Some(end) if end < started_at => {
                problems.add("end_time is before start_time");
                started_at
            }
            Some(end) => end,
            None => overdue,
        };
        if is_completed != end.is_some() {
            problems.add("is_completed and end_time contradict each other");
        }
        let session = Self {
            id,
            channel_id,
            host_id,
            question_id,
            is_challenge,
            status: if is_completed { SessionStatus::Finished } else { SessionStatus::Expired },
            started_at,
            ended_at,
        };
        Ok((session, problems))
    }

    fn values(&self) -> Vec<sea_query::Value> {
        vec![
            new_id(self.id).into(),
            self.channel_id.into(),
            self.host_id.into(),
            if self.is_challenge { "daily" } else { "normal" }.into(),
            self.is_challenge.then(|| self.started_at.date_naive()).into(),
            self.status.as_str().into(),
            TIME_LIMIT_MS.into(),
            0.into(),
            self.started_at.into(),
            self.ended_at.into(),
        ]
    }
}

/// The original's time limit, which is our default too.
const TIME_LIMIT_MS: i64 = 30_000;

/// SQLite has no type for true and false: 1 and 0.
fn flag(row: &Row, column: &str) -> Result<bool, String> {
    match row.integer(column)? {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(other) => Err(format!("{column} {other} is not 0 or 1")),
    }
}

/// The id of a session that had an integer: its upper half is zero, which no id of ours is.
fn new_id(old: i64) -> Uuid {
    Uuid::from_u64_pair(0, old.cast_unsigned())
}

/// The integer that a session had.
fn old_id(id: Uuid) -> Option<i64> {
    let (upper, lower) = id.as_u64_pair();
    (upper == 0).then_some(lower.cast_signed())
}

async fn carry_over(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    const SESSION: [&str; 10] = [
        "id",
        "channel_id",
        "host_id",
        "kind",
        "challenge_on",
        "status",
        "time_limit_ms",
        "position",
        "started_at",
        "ended_at",
    ];
    const ASKED: [&str; 5] = ["session_id", "position", "question_id", "version", "opened_at"];
    let asked = ("asked", "(SELECT difficulty FROM questions WHERE questions.id = question_id)");
    let mut reader = original::Reader::new(&GAME_SESSIONS, "game_sessions_v1", &[asked]);
    loop {
        let chunk = reader.next(db).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (mut sessions, mut questions, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for mut row in chunk {
            let asked = row.take("asked");
            let (session, problems) = match OldSession::read(&row, &asked) {
                Ok(read) => read,
                Err(problem) => {
                    notes.push(Note::new(&GAME_SESSIONS, row, problem, false));
                    continue;
                }
            };
            if let Some(problem) = problems.into_line() {
                notes.push(Note::new(&GAME_SESSIONS, row, problem, true));
            }
            if let Some(question) = session.question_id {
                let (id, opened_at) = (new_id(session.id), session.started_at);
                questions.push(vec![id.into(), 0.into(), question.into(), 1.into(), opened_at.into()]);
            }
            sessions.push(session.values());
        }
        rows::insert(db, "game_sessions", &SESSION, sessions).await?;
        rows::insert(db, "session_questions", &ASKED, questions).await?;
        quarantine::write(db, &GAME_SESSIONS, notes).await?;
    }
}

/// Puts the rows back that were kept in quarantine only.
async fn put_back(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut reader = quarantine::Reader::new(&GAME_SESSIONS, false);
    loop {
        let chunk = reader.next(db).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        insert_with_parents(db, chunk).await?;
    }
}

/// Inserts what the original's foreign keys allow: no session without its user, a question only
/// while it exists.
async fn insert_with_parents(db: &impl ConnectionTrait, mut rows: Vec<Row>) -> Result<(), DbErr> {
    let ids = |column| rows.iter().filter_map(|row| row.get(column).as_i64()).collect::<Vec<_>>();
    let users = existing(db, &USERS, ids("user_id")).await?;
    let questions = existing(db, &QUESTIONS, ids("question_id")).await?;
    rows.retain(|row| row.get("user_id").as_i64().is_some_and(|id| users.contains(&id)));
    for row in &mut rows {
        if row.get("question_id").as_i64().is_none_or(|id| !questions.contains(&id)) {
            row.set("question_id", Json::Null);
        }
    }
    GAME_SESSIONS.insert(db, &rows).await
}

#[derive(FromQueryResult)]
struct Session {
    id: Uuid,
    channel_id: i64,
    host_id: Option<i64>,
    kind: String,
    status: String,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    question_id: Option<i64>,
    difficulty: Option<String>,
}

impl Session {
    /// The row of the original; a session that did not run to its end was open for ever there.
    fn original(&self) -> Row {
        let is_completed = self.status == SessionStatus::Finished.as_str();
        let end = self.ended_at.filter(|_| is_completed);
        Row::new([
            ("id", json!(old_id(self.id))),
            ("channel_id", json!(self.channel_id)),
            ("user_id", json!(self.host_id)),
            ("question_id", json!(self.question_id)),
            ("difficulty", json!(self.difficulty)),
            ("start_time", json!(Some(self.started_at).filter(|at| *at != UNKNOWN).map(instant_text))),
            ("end_time", json!(end.map(instant_text))),
            ("is_completed", json!(i64::from(is_completed))),
            ("is_challenge", json!(i64::from(self.kind != "normal"))),
        ])
    }
}

/// Sessions that came from the original get their integer back, and come first: others get new ones.
async fn carry_back(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut after = None;
    loop {
        let bounds = after.map_or("", |_| "WHERE s.id > ?");
        let sql = format!(
            "SELECT s.id, channel_id, host_id, kind, status, started_at, ended_at, asked.question_id, q.difficulty \
             FROM game_sessions_v2 s \
             LEFT JOIN session_questions asked ON asked.session_id = s.id AND asked.position = 0 \
             LEFT JOIN questions q ON q.id = asked.question_id \
             {bounds} ORDER BY s.id LIMIT {}",
            rows::CHUNK
        );
        let select = Statement::from_sql_and_values(DbBackend::Sqlite, sql, after.map(sea_query::Value::from));
        let sessions = Session::find_by_statement(select).all(db).await?;
        let Some(last) = sessions.last() else { return Ok(()) };
        after = Some(last.id);
        let old_ids = sessions.iter().filter_map(|session| old_id(session.id));
        let mut originals = quarantine::originals(db, &GAME_SESSIONS, old_ids).await?;
        // what is over does not change any more, so a row that was put right goes back as it was
        let rows = sessions.iter().map(|session| {
            let original = old_id(session.id).and_then(|id| originals.remove(&id));
            original.unwrap_or_else(|| session.original())
        });
        insert_with_parents(db, rows.collect()).await?;
    }
}

#[cfg(test)]
mod tests {
    use trivia_domain::model::TimeLimit;

    use super::*;

    #[test]
    fn old_ids_come_back_and_new_ones_are_not_taken_for_old() {
        for id in [0, 1, 4925, i64::MAX, -1] {
            assert_eq!(old_id(new_id(id)), Some(id));
        }
        assert_eq!(new_id(7), Uuid::from_u128(7));
        assert_eq!(old_id(Uuid::from_u128(1 << 64)), None);
    }

    #[test]
    fn the_time_limit_is_that_of_the_model() {
        assert_eq!(TimeLimit::default().millis(), TIME_LIMIT_MS.cast_unsigned());
    }
}
