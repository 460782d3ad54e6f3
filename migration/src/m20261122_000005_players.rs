//! Players with everything that is derived about them, and the ledger that it is derived from.
//!
//! One step, because all these tables refer to `users`, which is rebuilt.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::{DbBackend, FromQueryResult, Statement};
use serde_json::{Value as Json, json};
use trivia_domain::model::{
    AchievementId, DayKey, Difficulty, OpeningAchievement, OpeningBalance, OpeningWeek, Period, Points, WeekStart,
};
use uuid::Uuid;

use crate::original::{
    self, OriginalTable, Problems, Row, UNKNOWN, USER_ACHIEVEMENTS, USERS, WEEKLY_RANKINGS, drop_all, existing,
    instant_text, move_away,
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
            move_away(db, "users", "users_v1").await?;
            move_away(db, "user_achievements", "user_achievements_v1").await?;
        }
        create_users(manager).await?;
        create_user_achievements(manager).await?;
        create_user_tallies(manager).await?;
        create_rankings(manager).await?;
        create_ledger(manager).await?;
        if carries {
            carry_users_over(db).await?;
            carry_achievements_over(db).await?;
            carry_rankings_over(db).await?;
            open_ledger(db).await?;
            drop_all(manager, &["weekly_rankings", "user_achievements_v1", "users_v1"]).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        const DERIVED: [&str; 3] = ["ledger", "rankings", "user_tallies"];
        let db = manager.get_connection();
        if !original::is_possible(manager) {
            drop_all(manager, &DERIVED).await?;
            return drop_all(manager, &["user_achievements", "users"]).await;
        }
        move_away(db, "users", "users_v2").await?;
        move_away(db, "user_achievements", "user_achievements_v2").await?;
        for table in [&USERS, &USER_ACHIEVEMENTS, &WEEKLY_RANKINGS] {
            original::create(db, table).await?;
        }
        // rows of quarantine come first in each table, since they have ids and the others get new ones
        put_back(db, &USERS).await?;
        carry_users_back(db).await?;
        put_back(db, &USER_ACHIEVEMENTS).await?;
        carry_achievements_back(db).await?;
        put_back(db, &WEEKLY_RANKINGS).await?;
        carry_rankings_back(db).await?;
        for table in [&USERS, &USER_ACHIEVEMENTS, &WEEKLY_RANKINGS] {
            quarantine::clear(db, table).await?;
        }
        drop_all(manager, &DERIVED).await?;
        drop_all(manager, &["user_achievements_v2", "users_v2"]).await
    }
}

fn counter(name: &'static str) -> ColumnDef {
    big_integer(name).default(0).check(Expr::col(name).gte(0)).take()
}

fn at_most(smaller: &'static str, larger: &'static str) -> Expr {
    Expr::col(smaller).lte(Expr::col(larger))
}

fn is_difficulty(column: &'static str) -> Expr {
    Expr::col(column).is_in(Difficulty::ALL.map(Difficulty::as_str))
}

fn to_users(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, "user_id").to("users", "user_id").on_delete(ForeignKeyAction::Cascade).take()
}

async fn create_users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("users")
        .col(big_integer("user_id").primary_key().check(Expr::col("user_id").gte(0)))
        .col(counter("last_seq"))
        .col(counter("total_points"))
        .col(timestamp_with_time_zone_null("points_reached_at"))
        .col(counter("questions_answered"))
        .col(counter("questions_correct"))
        .col(counter("current_streak"))
        .col(counter("best_streak"))
        .col(counter("day_streak"))
        .col(counter("best_day_streak"))
        .col(date_null("last_day"))
        .col(timestamp_with_time_zone_null("last_played"))
        .col(text_null("preferred_difficulty").check(is_difficulty("preferred_difficulty")))
        .col(counter("daily_challenges"))
        .col(counter("weekly_challenges"))
        .col(date_null("daily_challenge_completed"))
        .col(date_null("weekly_challenge_completed"))
        .col(text("time_zone").default("UTC"))
        .col(timestamp_with_time_zone("created_at"))
        .check(at_most("questions_correct", "questions_answered"))
        .check(at_most("current_streak", "best_streak"))
        .check(at_most("day_streak", "best_day_streak"))
        .take();
    manager.create_table(table).await?;
    let board = Index::create()
        .name("idx_users_board")
        .table("users")
        .col(("total_points", IndexOrder::Desc))
        .col("points_reached_at")
        .col("user_id")
        .take();
    manager.create_index(board).await
}

async fn create_user_achievements(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("user_achievements")
        .col(big_integer("user_id"))
        .col(text("achievement_id"))
        .col(big_integer("seq").check(Expr::col("seq").gte(0)))
        .col(timestamp_with_time_zone("unlocked_at"))
        .col(big_integer("bonus").check(Expr::col("bonus").gte(0)))
        .primary_key(Index::create().col("user_id").col("achievement_id"))
        .foreign_key(&mut to_users("user_achievements"))
        .take();
    manager.create_table(table).await
}

async fn create_user_tallies(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("user_tallies")
        .col(big_integer("user_id"))
        .col(text("dimension").check(Expr::col("dimension").is_in(["difficulty", "category"])))
        .col(text("name"))
        .col(counter("answered"))
        .col(counter("correct"))
        .col(counter("points"))
        .primary_key(Index::create().col("user_id").col("dimension").col("name"))
        .foreign_key(&mut to_users("user_tallies"))
        .check(at_most("correct", "answered"))
        .take();
    manager.create_table(table).await
}

async fn create_rankings(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("rankings")
        .col(big_integer("user_id"))
        .col(text("period").check(Expr::col("period").is_in(Period::ALL.map(Period::as_str))))
        .col(date("starts_on"))
        .col(counter("points"))
        .col(counter("answered"))
        .col(counter("correct"))
        .col(timestamp_with_time_zone("reached_at"))
        .primary_key(Index::create().col("user_id").col("period").col("starts_on"))
        .foreign_key(&mut to_users("rankings"))
        .check(at_most("correct", "answered"))
        .take();
    manager.create_table(table).await?;
    let board = Index::create()
        .name("idx_rankings_board")
        .table("rankings")
        .col("period")
        .col("starts_on")
        .col(("points", IndexOrder::Desc))
        .col("reached_at")
        .col("user_id")
        .take();
    manager.create_index(board).await
}

async fn create_ledger(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    const OF_AN_ANSWER: [&str; 9] = [
        "session_id",
        "question_id",
        "question_version",
        "difficulty",
        "category",
        "given",
        "correct",
        "rule_version",
        "elapsed_us",
    ];
    let answer_is_whole = OF_AN_ANSWER.map(|column| format!("{column} IS NOT NULL")).join(" AND ");
    let kinds = ["answer", "award", "grant", "opening", "reset"];
    let table = Table::create()
        .table("ledger")
        .col(big_integer("user_id"))
        .col(big_integer("seq").check(Expr::col("seq").gte(1)))
        .col(uuid("key"))
        .col(text("kind").check(Expr::col("kind").is_in(kinds)))
        .col(timestamp_with_time_zone("at"))
        .col(date("day"))
        .col(big_integer("points").check(Expr::col("points").gte(0)))
        .col(big_integer("total_points").check(Expr::col("total_points").gte(0)))
        .col(big_integer("streak").check(Expr::col("streak").gte(0)))
        .col(json_null("unlocked"))
        .col(uuid_null("session_id"))
        .col(big_integer_null("question_id"))
        .col(big_integer_null("question_version"))
        .col(text_null("difficulty").check(is_difficulty("difficulty")))
        .col(text_null("category"))
        .col(json_null("given"))
        .col(boolean_null("correct"))
        .col(big_integer_null("rule_version"))
        .col(big_integer_null("elapsed_us").check(Expr::col("elapsed_us").gte(0)))
        .col(text_null("challenge_kind").check(Expr::col("challenge_kind").is_in(["daily", "weekly"])))
        .col(date_null("challenge_on"))
        .col(big_integer_null("challenge_size").check(Expr::col("challenge_size").gte(1)))
        .col(text_null("achievement_id"))
        .col(text_null("reason"))
        .col(json_null("opening"))
        .primary_key(Index::create().col("user_id").col("seq"))
        .index(Index::create().unique().col("user_id").col("key"))
        .index(Index::create().unique().col("session_id").col("user_id").col("question_id"))
        .foreign_key(&mut to_users("ledger"))
        .foreign_key(ForeignKey::create().from("ledger", "question_id").to("questions", "id"))
        .check(Expr::cust(format!("kind <> 'answer' OR ({answer_is_whole})")))
        .check(Expr::cust("(challenge_kind IS NULL) = (challenge_on IS NULL)"))
        .check(Expr::cust("(challenge_kind IS NULL) = (challenge_size IS NULL)"))
        .take();
    manager.create_table(table).await?;
    // one answer per player and question of a challenge, in whichever sessions it is played
    let of_challenge = Index::create()
        .name("idx_ledger_challenge")
        .unique()
        .table("ledger")
        .col("user_id")
        .col("challenge_kind")
        .col("challenge_on")
        .col("question_id")
        .and_where(Expr::col("challenge_on").is_not_null())
        .take();
    manager.create_index(of_challenge).await
}

/// What both schemas know of a player.
#[derive(FromQueryResult)]
struct Player {
    user_id: i64,
    total_points: i64,
    questions_answered: i64,
    questions_correct: i64,
    current_streak: i64,
    best_streak: i64,
    last_played: Option<DateTime<Utc>>,
    daily_challenge_completed: Option<NaiveDate>,
    weekly_challenge_completed: Option<NaiveDate>,
    preferred_difficulty: Option<String>,
    created_at: DateTime<Utc>,
}

impl Player {
    fn read(row: &Row) -> Result<(Self, Problems), String> {
        let mut problems = Problems::default();
        let mut count = |column| problems.or(row.count(column), 0);
        let questions_answered = count("questions_answered");
        let mut questions_correct = count("questions_correct");
        let current_streak = count("current_streak");
        let mut best_streak = count("best_streak");
        let total_points = count("total_points");
        if questions_correct > questions_answered {
            problems.add(format!("questions_correct {questions_correct} of questions_answered {questions_answered}"));
            questions_correct = questions_answered;
        }
        if current_streak > best_streak {
            problems.add(format!("best_streak {best_streak} is less than current_streak {current_streak}"));
            best_streak = current_streak;
        }
        let player = Self {
            user_id: row.id("user_id")?,
            total_points,
            questions_answered,
            questions_correct,
            current_streak,
            best_streak,
            last_played: problems.or(row.instant("last_played"), None),
            daily_challenge_completed: problems.or(row.date("daily_challenge_completed"), None),
            weekly_challenge_completed: problems.or(row.date("weekly_challenge_completed"), None),
            preferred_difficulty: problems.or(preferred_difficulty(row), None),
            created_at: problems.or(row.instant("created_at"), None).unwrap_or(UNKNOWN),
        };
        Ok((player, problems))
    }

    /// The row of the original.
    fn original(&self) -> Row {
        Row::new([
            ("user_id", json!(self.user_id)),
            ("total_points", json!(self.total_points)),
            ("questions_answered", json!(self.questions_answered)),
            ("questions_correct", json!(self.questions_correct)),
            ("current_streak", json!(self.current_streak)),
            ("best_streak", json!(self.best_streak)),
            ("last_played", json!(self.last_played.map(instant_text))),
            ("daily_challenge_completed", json!(self.daily_challenge_completed)),
            ("weekly_challenge_completed", json!(self.weekly_challenge_completed)),
            ("preferred_difficulty", json!(self.preferred_difficulty)),
            ("created_at", json!(known(self.created_at).map(instant_text))),
        ])
    }

    /// When the ledger begins for this player.
    fn begins_at(&self) -> DateTime<Utc> {
        self.last_played.unwrap_or(self.created_at)
    }

    /// What no fact explains; `None` when there is nothing to explain.
    fn opening(
        &self,
        weekly: Vec<OpeningWeek>,
        achievements: Vec<OpeningAchievement>,
    ) -> Result<Option<OpeningBalance>, DbErr> {
        let negative = |error: std::num::TryFromIntError| DbErr::Type(error.to_string());
        let balance = OpeningBalance {
            total_points: Points::new(self.total_points).map_err(refused)?,
            questions_answered: self.questions_answered.try_into().map_err(negative)?,
            questions_correct: self.questions_correct.try_into().map_err(negative)?,
            current_streak: self.current_streak.try_into().map_err(negative)?,
            best_streak: self.best_streak.try_into().map_err(negative)?,
            last_played: self.last_played,
            preferred_difficulty: self.preferred_difficulty.as_deref().and_then(|name| name.parse().ok()),
            daily_challenge_completed: self.daily_challenge_completed.map(DayKey::new),
            weekly_challenge_completed: self.weekly_challenge_completed.map(DayKey::new),
            weekly,
            achievements,
        };
        Ok((balance != OpeningBalance::default()).then_some(balance))
    }
}

fn refused(error: trivia_domain::StoreError) -> DbErr {
    DbErr::Type(error.to_string())
}

/// The next players of a table in order of their ids; none when all were read.
async fn players(db: &impl ConnectionTrait, table: &str, after: i64) -> Result<Vec<Player>, DbErr> {
    let sql = format!(
        "SELECT {} FROM {table} WHERE user_id > ? ORDER BY user_id LIMIT {}",
        USERS.columns.join(", "),
        rows::CHUNK
    );
    Player::find_by_statement(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into()])).all(db).await
}

fn preferred_difficulty(row: &Row) -> Result<Option<String>, String> {
    let Some(name) = row.text("preferred_difficulty")? else { return Ok(None) };
    match name.parse::<Difficulty>() {
        Ok(known) => Ok(Some(known.to_string())),
        Err(_) => Err(format!("preferred_difficulty {name:?} is not known")),
    }
}

/// No instant where the original had none.
fn known(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Some(at).filter(|at| *at != UNKNOWN)
}

async fn carry_users_over(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    const USER: [&str; 12] = [
        "user_id",
        "total_points",
        "points_reached_at",
        "questions_answered",
        "questions_correct",
        "current_streak",
        "best_streak",
        "last_played",
        "daily_challenge_completed",
        "weekly_challenge_completed",
        "preferred_difficulty",
        "created_at",
    ];
    let mut reader = original::Reader::new(&USERS, "users_v1", &[]);
    loop {
        let chunk = reader.next(db).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (mut users, mut notes) = (Vec::new(), Vec::new());
        for row in chunk {
            let (player, problems) = match Player::read(&row) {
                Ok(read) => read,
                Err(problem) => {
                    notes.push(Note::new(&USERS, row, problem, false));
                    continue;
                }
            };
            if let Some(problem) = problems.into_line() {
                notes.push(Note::new(&USERS, row, problem, true));
            }
            users.push(vec![
                player.user_id.into(),
                player.total_points.into(),
                Some(player.begins_at()).filter(|_| player.total_points > 0).into(),
                player.questions_answered.into(),
                player.questions_correct.into(),
                player.current_streak.into(),
                player.best_streak.into(),
                player.last_played.into(),
                player.daily_challenge_completed.into(),
                player.weekly_challenge_completed.into(),
                player.preferred_difficulty.into(),
                player.created_at.into(),
            ]);
        }
        rows::insert(db, "users", &USER, users).await?;
        quarantine::write(db, &USERS, notes).await?;
    }
}

/// Column with the id of the row's player; null when there is no such player.
const PLAYER: (&str, &str) = ("player", "(SELECT user_id FROM users WHERE users.user_id = old.user_id)");

/// Number of the opening in a player's ledger.
const OPENING_SEQ: i64 = 1;

async fn carry_achievements_over(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut reader = original::Reader::new(&USER_ACHIEVEMENTS, "user_achievements_v1 AS old", &[PLAYER]);
    loop {
        let chunk = reader.next(db).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (mut achievements, mut notes) = (Vec::new(), Vec::new());
        for mut row in chunk {
            let player = row.take("player");
            match achievement(&row, &player) {
                Ok((values, problem)) => {
                    achievements.push(values);
                    if let Some(problem) = problem {
                        notes.push(Note::new(&USER_ACHIEVEMENTS, row, problem, true));
                    }
                }
                Err(problem) => notes.push(Note::new(&USER_ACHIEVEMENTS, row, problem, false)),
            }
        }
        let columns = ["user_id", "achievement_id", "seq", "unlocked_at", "bonus"];
        rows::insert(db, "user_achievements", &columns, achievements).await?;
        quarantine::write(db, &USER_ACHIEVEMENTS, notes).await?;
    }
}

/// Its bonus is 0, because what it paid is part of the opening balance.
fn achievement(row: &Row, player: &Json) -> Result<(Vec<sea_query::Value>, Option<String>), String> {
    let user_id = row.id("user_id")?;
    if player.is_null() {
        return Err(format!("user {user_id} does not exist or is in quarantine"));
    }
    let id = AchievementId::new(row.text("achievement_id")?.unwrap_or_default()).map_err(|error| error.to_string())?;
    let mut problems = Problems::default();
    let unlocked_at = problems.or(row.instant("unlocked_at"), None).unwrap_or(UNKNOWN);
    let values = vec![user_id.into(), id.as_str().into(), OPENING_SEQ.into(), unlocked_at.into(), 0.into()];
    Ok((values, problems.into_line()))
}

async fn carry_rankings_over(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut reader = original::Reader::new(&WEEKLY_RANKINGS, "weekly_rankings AS old", &[PLAYER]);
    loop {
        let chunk = reader.next(db).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (mut rankings, mut notes) = (Vec::new(), Vec::new());
        for mut row in chunk {
            let player = row.take("player");
            match ranking(&row, &player) {
                Ok(values) => rankings.push(values),
                Err(problem) => notes.push(Note::new(&WEEKLY_RANKINGS, row, problem, false)),
            }
        }
        let columns = ["user_id", "period", "starts_on", "points", "reached_at"];
        rows::insert(db, "rankings", &columns, rankings).await?;
        quarantine::write(db, &WEEKLY_RANKINGS, notes).await?;
    }
}

/// When the points were reached is not known, so equal ones stand in order of the player's id.
fn ranking(row: &Row, player: &Json) -> Result<Vec<sea_query::Value>, String> {
    let user_id = row.id("user_id")?;
    if player.is_null() {
        return Err(format!("user {user_id} does not exist or is in quarantine"));
    }
    let monday = row.date("week_start")?.ok_or("week_start is missing")?;
    WeekStart::new(monday).map_err(|error| error.to_string())?;
    let reached_at = monday.and_time(NaiveTime::MIN).and_utc();
    let points = row.count("points")?;
    Ok(vec![user_id.into(), Period::Week.as_str().into(), monday.into(), points.into(), reached_at.into()])
}

/// Writes the first fact of every player who has something: all that the other tables now hold.
async fn open_ledger(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    const ENTRY: [&str; 10] =
        ["user_id", "seq", "key", "kind", "at", "day", "points", "total_points", "streak", "opening"];
    let mut after = -1;
    loop {
        let players = players(db, "users", after).await?;
        let Some(last) = players.last() else { break };
        let mut weeks = opening_weeks(db, after, last.user_id).await?;
        let mut unlocked = opening_achievements(db, after, last.user_id).await?;
        after = last.user_id;
        let mut entries = Vec::with_capacity(players.len());
        for player in players {
            let weeks = weeks.remove(&player.user_id).unwrap_or_default();
            let unlocked = unlocked.remove(&player.user_id).unwrap_or_default();
            let Some(opening) = player.opening(weeks, unlocked)? else { continue };
            let opening = serde_json::to_value(opening).map_err(|error| DbErr::Json(error.to_string()))?;
            let at = player.begins_at();
            entries.push(vec![
                player.user_id.into(),
                OPENING_SEQ.into(),
                Uuid::from_u64_pair(0, player.user_id.cast_unsigned()).into(),
                "opening".into(),
                at.into(),
                DayKey::of(at).date().into(),
                player.total_points.into(),
                player.total_points.into(),
                player.current_streak.into(),
                opening.into(),
            ]);
        }
        rows::insert(db, "ledger", &ENTRY, entries).await?;
    }
    let opened = format!("UPDATE users SET last_seq = {OPENING_SEQ} WHERE user_id IN (SELECT user_id FROM ledger)");
    db.execute_unprepared(&opened).await?;
    Ok(())
}

/// The weeks of the players with an id above `after`, up to `last`.
async fn opening_weeks(
    db: &impl ConnectionTrait,
    after: i64,
    last: i64,
) -> Result<HashMap<i64, Vec<OpeningWeek>>, DbErr> {
    let sql = "SELECT user_id, starts_on, points FROM rankings WHERE user_id > ? AND user_id <= ? \
               ORDER BY user_id, starts_on";
    let select = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into(), last.into()]);
    let mut weeks: HashMap<_, Vec<_>> = HashMap::new();
    for row in db.query_all_raw(select).await? {
        let week_start = WeekStart::new(row.try_get("", "starts_on")?).map_err(refused)?;
        let points = Points::new(row.try_get("", "points")?).map_err(refused)?;
        weeks.entry(row.try_get("", "user_id")?).or_default().push(OpeningWeek { week_start, points });
    }
    Ok(weeks)
}

/// The achievements of the players with an id above `after`, up to `last`.
async fn opening_achievements(
    db: &impl ConnectionTrait,
    after: i64,
    last: i64,
) -> Result<HashMap<i64, Vec<OpeningAchievement>>, DbErr> {
    let sql = "SELECT user_id, achievement_id, unlocked_at FROM user_achievements WHERE user_id > ? AND user_id <= ? \
               ORDER BY user_id, achievement_id";
    let select = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into(), last.into()]);
    let mut achievements: HashMap<_, Vec<_>> = HashMap::new();
    for row in db.query_all_raw(select).await? {
        let id: String = row.try_get("", "achievement_id")?;
        let achievement_id = AchievementId::new(&id).map_err(refused)?;
        let unlocked = OpeningAchievement { achievement_id, unlocked_at: row.try_get("", "unlocked_at")? };
        achievements.entry(row.try_get("", "user_id")?).or_default().push(unlocked);
    }
    Ok(achievements)
}

/// Puts the rows of a table back that were kept in quarantine only and whose player exists.
/// A row without one stays out: the original takes a broken reference for a damaged file.
async fn put_back(db: &impl ConnectionTrait, table: &OriginalTable) -> Result<(), DbErr> {
    let mut reader = quarantine::Reader::new(table, false);
    loop {
        let mut chunk = reader.next(db).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        if table.name != USERS.name {
            let users = existing(db, &USERS, chunk.iter().filter_map(|row| row.get("user_id").as_i64())).await?;
            chunk.retain(|row| row.get("user_id").as_i64().is_some_and(|id| users.contains(&id)));
        }
        table.insert(db, &chunk).await?;
    }
}

async fn carry_users_back(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut after = -1;
    loop {
        let players = players(db, "users_v2", after).await?;
        let Some(last) = players.last() else { return Ok(()) };
        after = last.user_id;
        let originals = quarantine::originals(db, &USERS, players.iter().map(|player| player.user_id)).await?;
        let rows = players.iter().map(|player| {
            let row = player.original();
            match originals.get(&player.user_id).map(|original| (original, Player::read(original))) {
                Some((original, Ok((carried, _)))) => row.restored(original, &carried.original()),
                _ => row,
            }
        });
        USERS.insert(db, &rows.collect::<Vec<_>>()).await?;
    }
}

#[derive(FromQueryResult)]
struct Achievement {
    row: i64,
    user_id: i64,
    achievement_id: String,
    unlocked_at: DateTime<Utc>,
}

async fn carry_achievements_back(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut after = i64::MIN;
    loop {
        let sql = format!(
            "SELECT rowid AS \"row\", user_id, achievement_id, unlocked_at FROM user_achievements_v2 \
             WHERE rowid > ? ORDER BY rowid LIMIT {}",
            rows::CHUNK
        );
        let select = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into()]);
        let achievements = Achievement::find_by_statement(select).all(db).await?;
        let Some(last) = achievements.last() else { break };
        after = last.row;
        let rows = achievements.iter().map(|achievement| {
            Row::new([
                ("user_id", json!(achievement.user_id)),
                ("achievement_id", json!(achievement.achievement_id)),
                ("unlocked_at", json!(known(achievement.unlocked_at).map(instant_text))),
            ])
        });
        USER_ACHIEVEMENTS.insert(db, &rows.collect::<Vec<_>>()).await?;
    }
    let old_times = "UPDATE user_achievements SET unlocked_at = content ->> 'unlocked_at' FROM quarantine \
                     WHERE source = 'user_achievements' AND repaired AND unlocked_at IS NULL \
                           AND user_id = content ->> 'user_id' AND achievement_id = content ->> 'achievement_id'";
    db.execute_unprepared(old_times).await?;
    Ok(())
}

/// The weeks, each with its ranks anew; a result of ours stands above one that was put back.
async fn carry_rankings_back(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let weeks = "INSERT INTO weekly_rankings (user_id, week_start, points, rank) \
                 SELECT user_id, starts_on, points, \
                        CASE WHEN points > 0 THEN rank() OVER (PARTITION BY starts_on ORDER BY points DESC) END \
                 FROM rankings WHERE period = 'week' ORDER BY starts_on, points DESC, user_id \
                 ON CONFLICT (user_id, week_start) DO UPDATE SET points = excluded.points, rank = excluded.rank";
    db.execute_unprepared(weeks).await?;
    Ok(())
}
