//! SQLite without layers: rusqlite with prepared statements that are kept.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Result, TransactionBehavior, params};
use trivia_domain::model::QuestionContent;
use trivia_domain::ports::{AnswerSubmission, Clock};
use trivia_infrastructure::{Durability, SystemClock};

use super::{Asked, periods};
use crate::data::{day, instant};

/// Opens a connection with the pragmas of ours.
pub(crate) fn open(path: &Path, durability: Durability) -> Connection {
    let connection = Connection::open(path).expect("the database opens");
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; \
             PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; \
             PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = 4000"
        ))
        .expect("pragmas can be set");
    connection.busy_timeout(Duration::from_secs(5)).expect("it can be set");
    connection.set_prepared_statement_cache_capacity(256);
    connection
}

/// Counts answers, all in one transaction.
pub(crate) fn answer(connection: &mut Connection, submissions: &[AnswerSubmission]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for submission in submissions {
        count(&transaction, submission)?;
    }
    transaction.commit()
}

/// The reads and writes of one answer: a retry, session, question and time are checked, then the ledger is
/// written, and all that follows from it.
fn count(connection: &Connection, submission: &AnswerSubmission) -> Result<()> {
    let refused = || rusqlite::Error::QueryReturnedNoRows;
    let AnswerSubmission { key, user_id, session_id, question_id, given } = submission;
    let (user, key, session, question) = (user_id.get(), key.get(), session_id.get(), question_id.get());
    let now = SystemClock.now();
    let known = connection
        .prepare_cached("SELECT seq FROM ledger WHERE user_id = ?1 AND key = ?2")?
        .query_row(params![user, key], |row| row.get::<_, i64>(0))
        .optional()?;
    if known.is_some() {
        return Ok(());
    }
    let (position, time_limit_ms) = connection
        .prepare_cached("SELECT position, time_limit_ms FROM game_sessions WHERE id = ?1 AND status = 'live'")?
        .query_row([session], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    let (version, opened_at) = connection
        .prepare_cached(
            "SELECT version, opened_at FROM session_questions \
             WHERE session_id = ?1 AND position = ?2 AND question_id = ?3",
        )?
        .query_row(params![session, position, question], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, DateTime<Utc>>(1)?))
        })?;
    let (category, asked) = connection
        .prepare_cached(
            "SELECT category, difficulty, correct_answer, options, point_value FROM questions WHERE id = ?1",
        )?
        .query_row([question], |row| {
            let asked = Asked {
                difficulty: row.get(1)?,
                correct_answer: row.get(2)?,
                options: row.get(3)?,
                point_value: row.get(4)?,
                opened_at,
                time_limit_ms,
            };
            Ok((row.get::<_, String>(0)?, asked))
        })?;
    let judged = asked.judge(given, now).ok_or_else(refused)?;
    let (seq, total, streak) = connection
        .prepare_cached("SELECT last_seq, total_points, current_streak FROM users WHERE user_id = ?1")?
        .query_row([user], |row| Ok((row.get::<_, i64>(0)? + 1, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
    let (correct, points, at) = (judged.correct, judged.points, instant(now));
    let (total, streak) = (total + points, if correct { streak + 1 } else { 0 });
    let today = day(now.date_naive());
    let given = serde_json::to_string(given).expect("an answer is JSON");
    // the unique key of session, player and question refuses a second answer
    connection
        .prepare_cached(
            "INSERT INTO ledger (user_id, seq, key, kind, at, day, points, total_points, streak, session_id, \
             question_id, question_version, difficulty, category, given, correct, rule_version, elapsed_us) \
             VALUES (?1, ?2, ?3, 'answer', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 1, ?16)",
        )?
        .execute(params![
            user,
            seq,
            key,
            at,
            today,
            points,
            total,
            streak,
            session,
            question,
            version,
            asked.difficulty,
            category,
            given,
            correct,
            judged.elapsed_us
        ])?;
    connection
        .prepare_cached(
            "UPDATE users SET last_seq = ?2, total_points = ?3, \
             points_reached_at = CASE WHEN ?4 > 0 THEN ?5 ELSE points_reached_at END, \
             questions_answered = questions_answered + 1, questions_correct = questions_correct + ?6, \
             current_streak = ?7, best_streak = max(best_streak, ?7), last_played = ?5, preferred_difficulty = ?8, \
             day_streak = CASE WHEN last_day = ?9 THEN day_streak WHEN last_day = date(?9, '-1 day') THEN day_streak + 1 \
             ELSE 1 END, best_day_streak = max(best_day_streak, 1, CASE WHEN last_day = date(?9, '-1 day') \
             THEN day_streak + 1 ELSE day_streak END), last_day = ?9 WHERE user_id = ?1",
        )?
        .execute(params![user, seq, total, points, at, correct, streak, judged.preferred, today])?;
    for (dimension, name) in [("difficulty", &asked.difficulty), ("category", &category)] {
        connection
            .prepare_cached(
                "INSERT INTO user_tallies (user_id, dimension, name, answered, correct, points) \
                 VALUES (?1, ?2, ?3, 1, ?4, ?5) ON CONFLICT (user_id, dimension, name) DO UPDATE SET \
                 answered = answered + 1, correct = correct + excluded.correct, points = points + excluded.points",
            )?
            .execute(params![user, dimension, name, correct, points])?;
    }
    for (period, starts_on) in periods(now.date_naive()) {
        connection
            .prepare_cached(
                "INSERT INTO rankings (user_id, period, starts_on, points, answered, correct, reached_at) \
                 VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6) ON CONFLICT (user_id, period, starts_on) DO UPDATE SET \
                 points = points + excluded.points, answered = answered + 1, correct = correct + excluded.correct, \
                 reached_at = CASE WHEN excluded.points > 0 THEN excluded.reached_at ELSE reached_at END",
            )?
            .execute(params![user, period, day(starts_on), points, correct, at])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO question_counters (question_id, times_asked, times_correct) VALUES (?1, 1, ?2) \
             ON CONFLICT (question_id) DO UPDATE SET times_asked = times_asked + 1, \
             times_correct = times_correct + excluded.times_correct",
        )?
        .execute(params![question, correct])?;
    Ok(())
}

/// A row of `users`, decoded.
#[expect(dead_code, reason = "it is read for the sake of reading")]
pub(crate) struct User {
    counters: [i64; 11],
    points_reached_at: Option<DateTime<Utc>>,
    last_day: Option<chrono::NaiveDate>,
    last_played: Option<DateTime<Utc>>,
    preferred_difficulty: Option<String>,
    daily_challenge_completed: Option<chrono::NaiveDate>,
    weekly_challenge_completed: Option<chrono::NaiveDate>,
    time_zone: String,
    created_at: DateTime<Utc>,
}

/// Reads all columns of a user.
pub(crate) fn user(connection: &Connection, id: i64) -> Result<Option<User>> {
    connection
        .prepare_cached(
            "SELECT user_id, last_seq, total_points, questions_answered, questions_correct, current_streak, \
             best_streak, day_streak, best_day_streak, daily_challenges, weekly_challenges, points_reached_at, last_day, \
             last_played, preferred_difficulty, daily_challenge_completed, weekly_challenge_completed, time_zone, \
             created_at FROM users WHERE user_id = ?1",
        )?
        .query_row([id], |row| {
            let mut counters = [0; 11];
            for (at, counter) in counters.iter_mut().enumerate() {
                *counter = row.get(at)?;
            }
            Ok(User {
                counters,
                points_reached_at: row.get(11)?,
                last_day: row.get(12)?,
                last_played: row.get(13)?,
                preferred_difficulty: row.get(14)?,
                daily_challenge_completed: row.get(15)?,
                weekly_challenge_completed: row.get(16)?,
                time_zone: row.get(17)?,
                created_at: row.get(18)?,
            })
        })
        .optional()
}

/// Ten questions by chance that are not excluded, as everybody writes it first; returns how many came.
pub(crate) fn pick(connection: &Connection, excluded: &[i64]) -> Result<usize> {
    let places = vec!["?"; excluded.len()].join(", ");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, version, language, category, difficulty, question_type, question_text, correct_answer, options, \
         explanation FROM questions WHERE retired_at IS NULL AND id NOT IN ({places}) ORDER BY RANDOM() LIMIT 10"
    ))?;
    let rows = statement.query_map(rusqlite::params_from_iter(excluded), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(6)?, row.get::<_, String>(7)?, row.get::<_, String>(8)?))
    })?;
    Ok(rows.collect::<Result<Vec<_>>>()?.len())
}

/// Adds questions with the columns and keys that ours writes, all in one transaction.
pub(crate) fn import(connection: &mut Connection, contents: &[QuestionContent]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut sizes = std::collections::HashMap::<_, i64>::new();
    let now = instant(SystemClock.now());
    for content in contents {
        let kind = content.kind().as_str();
        let group = (content.category().as_str(), content.difficulty().as_str(), kind, content.language().as_str());
        let ordinal = sizes.entry(group).or_default();
        let trivia_domain::model::QuestionBody::MultipleChoice { options, .. } = content.body() else { continue };
        let options = serde_json::to_string(options).expect("options are JSON");
        let added = transaction
            .prepare_cached(
                "INSERT INTO questions (version, content_key, stem_key, language, category, difficulty, question_type, \
                 question_text, correct_answer, options, explanation, ordinal, created_at) \
                 VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (content_key) DO NOTHING",
            )?
            .execute(params![
                content.content_key().0.to_vec(),
                content.stem_key().0.to_vec(),
                group.3,
                group.0,
                group.1,
                kind,
                content.text(),
                content.answer(),
                options,
                content.explanation(),
                *ordinal,
                now
            ])?;
        *ordinal += i64::try_from(added).expect("one or none");
    }
    for ((category, difficulty, kind, language), size) in sizes {
        transaction
            .prepare_cached(
                "INSERT INTO question_groups (category, difficulty, question_type, language, first_ordinal, size) \
                 VALUES (?1, ?2, ?3, ?4, 0, ?5)",
            )?
            .execute(params![category, difficulty, kind, language, size])?;
    }
    transaction.commit()
}
