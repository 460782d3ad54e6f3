//! A player's profile.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Accuracy, DayKey, Difficulty, Points, TimeZone, UserId};

/// What everybody may see of a player: the fold over the facts of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserProfile {
    /// The player.
    pub user_id: UserId,
    /// Number of the player's last fact in the ledger, 0 before the first.
    pub last_seq: u64,
    /// Points of all time, bonuses included.
    pub total_points: Points,
    /// When `total_points` was reached: equal points rank by it.
    pub points_reached_at: Option<DateTime<Utc>>,
    /// Answers given.
    pub questions_answered: u64,
    /// Right ones among them.
    pub questions_correct: u64,
    /// Right answers in a row, up to now.
    pub current_streak: u64,
    /// Most right answers in a row.
    pub best_streak: u64,
    /// Days in a row with at least one answer, up to `last_day`.
    pub day_streak: u64,
    /// Most days in a row.
    pub best_day_streak: u64,
    /// Last day with an answer.
    pub last_day: Option<DayKey>,
    /// Instant of the last answer.
    pub last_played: Option<DateTime<Utc>>,
    /// Difficulty to offer next.
    pub preferred_difficulty: Option<Difficulty>,
    /// Daily challenges completed.
    pub daily_challenges: u64,
    /// Weekly challenges completed.
    pub weekly_challenges: u64,
    /// Day on which the last daily challenge was completed.
    pub daily_challenge_completed: Option<DayKey>,
    /// Day on which the last weekly challenge was completed.
    pub weekly_challenge_completed: Option<DayKey>,
    /// Where the player's days turn.
    pub time_zone: TimeZone,
    /// When the player was first seen.
    pub created_at: DateTime<Utc>,
}

impl UserProfile {
    /// A player who has not played.
    #[must_use]
    pub fn new(user_id: UserId, created_at: DateTime<Utc>) -> Self {
        Self {
            user_id,
            last_seq: 0,
            total_points: Points::ZERO,
            points_reached_at: None,
            questions_answered: 0,
            questions_correct: 0,
            current_streak: 0,
            best_streak: 0,
            day_streak: 0,
            best_day_streak: 0,
            last_day: None,
            last_played: None,
            preferred_difficulty: None,
            daily_challenges: 0,
            weekly_challenges: 0,
            daily_challenge_completed: None,
            weekly_challenge_completed: None,
            time_zone: TimeZone::UTC,
            created_at,
        }
    }

    /// Share of right answers.
    #[must_use]
    pub fn accuracy(&self) -> Accuracy {
        Accuracy::of(self.questions_correct, self.questions_answered)
    }
}
