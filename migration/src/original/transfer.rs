//! Rows of the original into a fresh database with times in UTC, and back into one for the original.
//!
//! Both read an attached database `old`, which is never written, and write the original's tables of the
//! connection's own database: whatever else a foreign file holds does not come along.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sea_orm_migration::prelude::*;
use serde_json::{Value as Json, json};
use trivia_domain::model::{OddRow, ServerClock, WeekStart};

use super::text::{Written, instant_text, parse_date, parse_instant, read_instant};
use super::{OriginalTable, Problems, Reader, Row, TABLES};
use crate::quarantine::{self, Note};

/// The original took a game that was older than this for broken.
const LONGEST_GAME: TimeDelta = TimeDelta::minutes(10);

/// Achievements that the original has code for, and the badges of its weekly challenge.
const KNOWN_ACHIEVEMENTS: [&str; 21] = [
    "hot_streak",
    "galaxy_expert",
    "unstoppable",
    "dedicated_fan",
    "super_fan",
    "point_collector",
    "point_master",
    "point_legend",
    "trivia_rookie",
    "trivia_veteran",
    "trivia_master",
    "sharp_shooter",
    "perfectionist",
    "easy_master",
    "medium_master",
    "hard_master",
    "daily_challenger",
    "weekly_warrior",
    "weekly_perfect",
    "weekly_excellent",
    "weekly_good",
];

/// Column with the id of a session's player; null when there is no such player.
const HOST: (&str, &str) = ("host", "(SELECT user_id FROM main.users WHERE users.user_id = game_sessions.user_id)");

/// How many rows each table had, by the original's name of the table.
pub type Counts = HashMap<&'static str, u64>;

/// What was read from a database of the original.
#[derive(Debug, Default)]
pub struct TakenOver {
    /// Rows that were read.
    pub counts: Counts,
    /// Questions that must not be asked as they are.
    pub to_retire: Vec<i64>,
}

/// Copies the rows of the original's tables from `old` with their times in UTC. What that changes beyond the
/// form of a time is noted in quarantine, so the database must be at step 2, and its foreign keys off: broken
/// references are for the later steps to find.
///
/// # Errors
/// What the database reports.
pub async fn take_over(db: &impl ConnectionTrait, clock: ServerClock) -> Result<TakenOver, DbErr> {
    let mut taken = TakenOver::default();
    for table in TABLES {
        // a broken reference; those of other tables are found by the later steps
        let host: &[_] = if table.name == "game_sessions" { &[HOST] } else { &[] };
        let mut reader = Reader::new(table, &format!("old.{}", table.name), host);
        let count = taken.counts.entry(table.name).or_default();
        loop {
            let mut chunk = reader.next(db).await?;
            if chunk.is_empty() {
                break;
            }
            *count += chunk.len() as u64;
            let mut notes = Vec::new();
            for row in &mut chunk {
                let mut problems = Problems::default();
                if !host.is_empty() && row.take(HOST.0) == Json::Null {
                    problems.add(format!("user_id {} does not exist", row.get("user_id")));
                }
                problems.extend(row.not_utf8(table));
                into_utc(table, row, clock, &mut problems);
                if table.name == "questions" && give_up_choice(row, &mut problems) {
                    taken.to_retire.extend(row.get("id").as_i64());
                }
                if let Some(problem) = problems.into_line() {
                    notes.push(Note::new(table, row.clone(), problem, true));
                }
            }
            table.insert(db, &chunk).await?;
            quarantine::write(db, table, notes).await?;
        }
    }
    keep_sequences(db).await?;
    Ok(taken)
}

/// Ids that were given are not given again.
async fn keep_sequences(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    for statement in [
        "DELETE FROM main.sqlite_sequence WHERE name IN (SELECT name FROM old.sqlite_sequence)",
        "INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM old.sqlite_sequence \
         WHERE name IN (SELECT name FROM main.sqlite_schema WHERE type = 'table') AND typeof(seq) = 'integer'",
    ] {
        db.execute_unprepared(statement).await?;
    }
    Ok(())
}

/// Replaces local times by the same instants in UTC. A text that is no time stays: the later steps say so.
fn into_utc(table: &OriginalTable, row: &mut Row, clock: ServerClock, problems: &mut Problems) {
    match table.name {
        "users" => {
            let played = local(row, "last_played", clock, problems);
            either(row, "created_at", clock, problems, |at| played.is_none_or(|played| at <= played));
        }
        "questions" => utc_or_local(row, "created_at", clock, problems),
        "user_achievements" => utc_or_local(row, "unlocked_at", clock, problems),
        "weekly_rankings" if row.get("rank").is_null() => {
            problems.add("rank is missing: ranks follow from the points");
        }
        "game_sessions" => {
            let end = local(row, "end_time", clock, problems);
            let is_plausible = |at| end.is_none_or(|end| (TimeDelta::zero()..=LONGEST_GAME).contains(&(end - at)));
            either(row, "start_time", clock, problems, is_plausible);
        }
        _ => {}
    }
}

/// A column that the original's code always wrote itself: local, in every form.
fn local(row: &mut Row, column: &str, clock: ServerClock, problems: &mut Problems) -> Option<DateTime<Utc>> {
    let written = read_instant(row.get(column).as_str()?)?;
    let at = match written {
        Written::Exact(at) => at,
        Written::Wall { at: wall, .. } => first_of(&clock.readings(wall), column, row, problems)?,
    };
    row.set(column, json!(instant_text(at)));
    Some(at)
}

/// A column that the database wrote when its row was made; only copies of the original's objects hold a local
/// time, with a `T` or a fraction.
fn utc_or_local(row: &mut Row, column: &str, clock: ServerClock, problems: &mut Problems) {
    match row.get(column).as_str().and_then(read_instant) {
        Some(Written::Wall { at, is_bare: true }) => row.set(column, json!(instant_text(at.and_utc()))),
        _ => {
            local(row, column, clock, problems);
        }
    }
}

/// A column that either wrote: whole seconds with a blank may be local or UTC. What else the row says decides,
/// if it can; otherwise it is taken for local, as nearly all that the original wrote, and noted.
fn either(
    row: &mut Row,
    column: &str,
    clock: ServerClock,
    problems: &mut Problems,
    is_plausible: impl Fn(DateTime<Utc>) -> bool,
) {
    let Some(Written::Wall { at: wall, is_bare: true }) = row.get(column).as_str().and_then(read_instant) else {
        local(row, column, clock, problems);
        return;
    };
    let text = row.get(column).clone();
    let (readings, utc) = (clock.readings(wall), wall.and_utc());
    let Some(as_local) = readings.iter().copied().find(|at| is_plausible(*at)).or(readings.first().copied()) else {
        return;
    };
    let at = match (is_plausible(as_local), is_plausible(utc)) {
        _ if as_local == utc => utc,
        (true, false) => as_local,
        (false, true) => {
            problems.add(format!("{column} {text} is UTC, unlike the other times of the row"));
            utc
        }
        _ => {
            problems.add(format!("{column} {text} may be local or UTC: it is read as local"));
            as_local
        }
    };
    row.set(column, json!(instant_text(at)));
}

/// The first of several readings of a local time, noted when there are more.
fn first_of(readings: &[DateTime<Utc>], column: &str, row: &Row, problems: &mut Problems) -> Option<DateTime<Utc>> {
    if readings.len() > 1 {
        let text = row.get(column);
        problems.add(format!("{column} {text} was shown twice, as the clock was turned back: it is read as the first"));
    }
    readings.first().copied()
}

/// A choice without options cannot be asked as one: it is kept as a question with a typed answer.
fn give_up_choice(row: &mut Row, problems: &mut Problems) -> bool {
    let is_choice = row.get("question_type") == "multiple_choice";
    let has_none = match row.get("options") {
        Json::Null => true,
        Json::String(text) => matches!(serde_json::from_str(text), Ok(Json::Array(items)) if items.is_empty()),
        _ => false,
    };
    if is_choice && has_none {
        problems.add("a choice without options: it is kept as a question with a typed answer, and retired");
        row.set("question_type", json!("fill_blank"));
    }
    is_choice && has_none
}

/// Copies the rows of the original's tables from `old`, where times are UTC, as the original's code reads them.
/// Returns how many there are, and what it could not have read.
///
/// # Errors
/// What the database reports.
pub async fn give_back(db: &impl ConnectionTrait, clock: ServerClock) -> Result<(Counts, Vec<OddRow>), DbErr> {
    let (mut counts, mut odd) = (Counts::new(), Vec::new());
    for table in TABLES {
        let mut reader = Reader::new(table, &format!("old.{}", table.name), &[]);
        let count = counts.entry(table.name).or_default();
        loop {
            let chunk = reader.next(db).await?;
            if chunk.is_empty() {
                break;
            }
            let mut rows = Vec::with_capacity(chunk.len());
            for mut row in chunk {
                let id = row.get(table.key).to_string();
                let mut problems = Problems::default();
                let note = |problem, taken| OddRow { table: table.name.to_owned(), id, problem, taken };
                match readable(table, &mut row, clock, &mut problems) {
                    Err(problem) => odd.push(note(problem, false)),
                    Ok(()) => {
                        odd.extend(problems.into_line().map(|problem| note(problem, true)));
                        rows.push(row);
                    }
                }
            }
            *count += rows.len() as u64;
            table.insert(db, &rows).await?;
        }
    }
    keep_sequences(db).await?;
    Ok((counts, odd))
}

/// Brings a row into the forms that the original's code reads, or says why it cannot be one.
fn readable(table: &OriginalTable, row: &mut Row, clock: ServerClock, problems: &mut Problems) -> Result<(), String> {
    let (counts, times, days): (&[&str], &[&str], &[&str]) = match table.name {
        "users" => (
            &["total_points", "questions_answered", "questions_correct", "current_streak", "best_streak"],
            &["last_played", "created_at"],
            &["daily_challenge_completed", "weekly_challenge_completed"],
        ),
        "questions" => (&["point_value", "times_asked", "times_correct"], &[], &[]),
        "weekly_rankings" => (&["points"], &[], &[]),
        "game_sessions" => (&[], &["start_time", "end_time"], &[]),
        _ => (&[], &[], &[]),
    };
    for column in counts {
        if row.get(column).is_null() {
            continue;
        }
        if row.get(column).as_i64().is_none() {
            drop_value(row, column, json!(0), problems);
        }
    }
    for column in times {
        restate(row, column, problems, |at| wall_text(clock.wall(at)));
    }
    for column in days {
        let is_day = |text: &Json| text.is_null() || text.as_str().is_some_and(|text| parse_date(text).is_some());
        if !is_day(row.get(column)) {
            drop_value(row, column, Json::Null, problems);
        }
    }
    match table.name {
        "users" if !row.get("preferred_difficulty").is_null() && row.get("preferred_difficulty").as_str().is_none() => {
            drop_value(row, "preferred_difficulty", Json::Null, problems);
        }
        "questions" => {
            restate(row, "created_at", problems, default_text);
            for column in ["options", "answer_variations"] {
                let is_list = |text: &str| matches!(serde_json::from_str(text), Ok(Json::Array(_)));
                if !row.get(column).is_null() && !row.get(column).as_str().is_some_and(is_list) {
                    drop_value(row, column, Json::Null, problems);
                }
            }
        }
        "user_achievements" => {
            restate(row, "unlocked_at", problems, default_text);
            let id = row.get("achievement_id");
            if !id.as_str().is_some_and(|id| KNOWN_ACHIEVEMENTS.contains(&id)) {
                return Err(format!("achievement_id {id} is not known to the original: it is left out"));
            }
        }
        "weekly_rankings" => {
            let monday = row.date("week_start")?.ok_or("week_start is missing")?;
            WeekStart::new(monday).map_err(|error| format!("{error}: it is left out"))?;
        }
        "game_sessions" => {
            for column in ["is_completed", "is_challenge"] {
                if !matches!(row.get(column).as_i64(), Some(0 | 1)) {
                    drop_value(row, column, json!(0), problems);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Writes a time in another form; what is no time becomes none.
fn restate(row: &mut Row, column: &str, problems: &mut Problems, form: impl Fn(DateTime<Utc>) -> String) {
    match row.get(column) {
        Json::Null => {}
        value => match value.as_str().and_then(parse_instant) {
            Some(at) => row.set(column, json!(form(at))),
            None => drop_value(row, column, Json::Null, problems),
        },
    }
}

fn drop_value(row: &mut Row, column: &str, instead: Json, problems: &mut Problems) {
    problems.add(format!("{column} {} cannot be read by the original: it is {instead} now", row.get(column)));
    row.set(column, instead);
}

/// A local time: always with a fraction, so that nobody takes it for UTC.
fn wall_text(wall: NaiveDateTime) -> String {
    wall.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// As the database itself writes the present time.
fn default_text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
