//! Facts: what happened, in the order in which it was acknowledged.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    AchievementId, Category, ChallengeId, DayKey, Difficulty, Given, IdempotencyKey, Points, QuestionId, SessionId,
    UserId, WeekStart,
};

/// One line of the append-only ledger. Everything else that is stored about a player follows from these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The player.
    pub user_id: UserId,
    /// 1 for the player's first fact, without gaps.
    pub seq: u64,
    /// The request that caused it.
    pub key: IdempotencyKey,
    /// When it was received.
    pub at: DateTime<Utc>,
    /// The day then in the player's time zone.
    pub day: DayKey,
    /// What happened.
    pub fact: Fact,
}

/// What can happen to a player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Fact {
    /// An answer to a question.
    Answer(AnswerFact),
    /// Points for something outside the questions.
    Award {
        /// How many.
        points: Points,
        /// What for.
        reason: String,
    },
    /// An achievement given by hand; its bonus is paid unless it is owned already.
    Grant {
        /// Which one.
        achievement_id: AchievementId,
    },
    /// What a player had when the ledger began: a database of the original system has totals without facts.
    Opening(OpeningBalance),
    /// The player starts over: points, streaks, boards and achievements are cleared; attempts at
    /// challenges stay, so nobody gets a second one.
    Reset,
}

/// Totals that no fact explains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningBalance {
    /// Points of all time.
    pub total_points: Points,
    /// Answers given.
    pub questions_answered: u64,
    /// Right ones among them.
    pub questions_correct: u64,
    /// Right answers in a row.
    pub current_streak: u64,
    /// Most right answers in a row.
    pub best_streak: u64,
    /// Instant of the last answer.
    pub last_played: Option<DateTime<Utc>>,
    /// Difficulty to offer next.
    pub preferred_difficulty: Option<Difficulty>,
    /// Day of the last completed daily challenge.
    pub daily_challenge_completed: Option<DayKey>,
    /// Day on which the last weekly challenge was completed.
    pub weekly_challenge_completed: Option<DayKey>,
    /// Points of weeks, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekly: Vec<OpeningWeek>,
    /// Achievements by id; what they paid is part of the points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub achievements: Vec<OpeningAchievement>,
}

/// Points of a week that no fact explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningWeek {
    /// The week.
    pub week_start: WeekStart,
    /// Points in it.
    pub points: Points,
}

/// An achievement that no fact explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningAchievement {
    /// Which one.
    pub achievement_id: AchievementId,
    /// When it was unlocked.
    pub unlocked_at: DateTime<Utc>,
}

/// An answer, with all that the fold needs: rebuilding reads nothing but the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerFact {
    /// The session.
    pub session_id: SessionId,
    /// The question.
    pub question_id: QuestionId,
    /// Its version.
    pub question_version: u32,
    /// Its difficulty then.
    pub difficulty: Difficulty,
    /// Its category then.
    pub category: Category,
    /// What was answered.
    pub given: Given,
    /// Whether it was right.
    pub correct: bool,
    /// Points for it, without bonuses.
    pub points: Points,
    /// Version of the scoring rule that gave them.
    pub rule_version: u16,
    /// Microseconds from the opening of the question to the answer.
    pub elapsed_us: u64,
    /// The challenge that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<InChallenge>,
}

/// The challenge of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InChallenge {
    /// Which one.
    pub id: ChallengeId,
    /// Its questions.
    pub size: u32,
}

/// What a caller is told about a fact; every retry of the same key gets the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The player.
    pub user_id: UserId,
    /// The request.
    pub key: IdempotencyKey,
    /// Number of the fact in the player's ledger.
    pub seq: u64,
    /// When it was received.
    pub at: DateTime<Utc>,
    /// For an answer: whether it was right.
    pub correct: Option<bool>,
    /// Points for it, without bonuses.
    pub points: Points,
    /// Points of all time afterwards, bonuses included.
    pub total_points: Points,
    /// Right answers in a row afterwards.
    pub streak: u64,
    /// Achievements that it unlocked.
    pub unlocked: Vec<AchievementId>,
}
