//! Leaderboards: competition ranking by points (1, 2, 2, 4); only players with points are on a board;
//! equal points are listed by who reached them first, then by id.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Accuracy, DayKey, IdempotencyKey, Period, Points, Tally, UserId};
use crate::error::{StoreError, StoreResult};

/// Which ranking is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Board {
    /// All points, bonuses included.
    AllTime,
    /// Points from answers and awards within one period.
    Period {
        /// Its length.
        period: Period,
        /// Its first day.
        start: DayKey,
    },
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllTime => f.write_str("all-time"),
            Self::Period { period, start } => write!(f, "{period}:{start}"),
        }
    }
}

/// A player's sum over one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodScore {
    /// Answers and points.
    pub tally: Tally,
    /// When the points were reached.
    pub reached_at: DateTime<Utc>,
}

/// One line of a board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaderboardEntry {
    /// Competition rank, from 1.
    pub rank: u64,
    /// The player.
    pub user_id: UserId,
    /// Points on this board.
    pub points: Points,
    /// When they were reached.
    pub reached_at: DateTime<Utc>,
    /// Answers on this board.
    pub questions_answered: u64,
    /// Right ones among them.
    pub questions_correct: u64,
    /// Share of right answers on this board.
    pub accuracy: Accuracy,
    /// Right answers in a row, up to now.
    pub current_streak: u64,
}

/// A stretch of a board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaderboardPage {
    /// Its lines, best first.
    pub entries: Vec<LeaderboardEntry>,
    /// Players on the board.
    pub total: u64,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Cursor>,
}

/// Where one player stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Competition rank, from 1.
    pub rank: u64,
    /// Players on the board.
    pub total: u64,
    /// The player's points on it.
    pub points: Points,
}

/// A player's result of one week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeeklyRanking {
    /// The player.
    pub user_id: UserId,
    /// First day of the week.
    pub week_start: DayKey,
    /// Points of the week.
    pub points: Points,
    /// Rank in it; `None` without points.
    pub rank: Option<u64>,
}

/// The end of a period, declared exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The length of the period.
    pub period: Period,
    /// Its first day.
    pub starts_on: DayKey,
    /// The request that closed it: whoever sent this key announces the winners, and nobody else.
    pub key: IdempotencyKey,
    /// When it was closed.
    pub closed_at: DateTime<Utc>,
    /// Players with points then.
    pub players: u64,
}

/// A place in the order of one board: the next page starts after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// The board that it belongs to.
    pub board: Board,
    /// Points of the last entry.
    pub points: Points,
    /// When they were reached.
    pub reached_at: DateTime<Utc>,
    /// The last entry's player.
    pub user_id: UserId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.reached_at.timestamp_micros();
        write!(f, "{}/{}/{micros}/{}", self.board, self.points, self.user_id)
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> StoreResult<Self> {
        let parse = || {
            let mut parts = text.split('/');
            let board = match parts.next()? {
                "all-time" => Board::AllTime,
                period => {
                    let (period, start) = period.split_once(':')?;
                    Board::Period { period: period.parse().ok()?, start: start.parse().ok()? }
                }
            };
            let points = Points::new(parts.next()?.parse().ok()?).ok()?;
            let reached_at = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
            let user_id = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Self { board, points, reached_at, user_id })
        };
        parse().ok_or_else(|| StoreError::invalid("cursor", format!("{text:?} is not one that a page returned")))
    }
}

impl TryFrom<String> for Cursor {
    type Error = StoreError;
    fn try_from(text: String) -> StoreResult<Self> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}
