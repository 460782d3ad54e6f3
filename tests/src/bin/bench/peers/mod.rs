//! What we are compared with.

mod entity;
pub(crate) mod redis;
pub(crate) mod rusqlite;
pub(crate) mod sea_orm;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use trivia_domain::model::{Difficulty, Given, Points};
use trivia_domain::play::points_for;

/// What the peers know of the question that was asked.
pub(crate) struct Asked {
    pub(crate) difficulty: String,
    pub(crate) correct_answer: String,
    pub(crate) options: String,
    pub(crate) point_value: Option<i64>,
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) time_limit_ms: i64,
}

/// What the peers make of an answer: the same rules as ours, without achievements.
pub(crate) struct Judged {
    pub(crate) correct: bool,
    pub(crate) points: i64,
    pub(crate) elapsed_us: i64,
    /// The difficulty to offer next.
    pub(crate) preferred: &'static str,
}

impl Asked {
    /// Judges an answer; `None` when it is late or of the wrong kind.
    pub(crate) fn judge(&self, given: &Given, at: DateTime<Utc>) -> Option<Judged> {
        let elapsed_us = (at - self.opened_at).num_microseconds()?.max(0);
        if elapsed_us > self.time_limit_ms * 1_000 {
            return None;
        }
        let Given::Choice(choice) = given else { return None };
        let options: Vec<String> = serde_json::from_str(&self.options).ok()?;
        let correct = *options.get(*choice)? == self.correct_answer;
        let difficulty: Difficulty = self.difficulty.parse().ok()?;
        let base = self.point_value.map_or(Ok(difficulty.base_points()), Points::new).ok()?;
        let points = points_for(base, correct, elapsed_us.unsigned_abs(), None).ok()?.get();
        let preferred = if correct { difficulty } else { difficulty.easier() }.as_str();
        Some(Judged { correct, points, elapsed_us, preferred })
    }
}

/// The periods that hold a day, with their first days.
pub(crate) fn periods(day: NaiveDate) -> [(&'static str, NaiveDate); 3] {
    let monday = day - Days::new(day.weekday().num_days_from_monday().into());
    [("day", day), ("week", monday), ("month", day.with_day(1).expect("every month has a first day"))]
}
