//! Everything that is stored about one person.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Board, ChallengeAttempt, GameSession, LedgerEntry, PeriodScore, QuestionId, QuestionReport, Receipt,
    UserAchievement, UserProfile,
};
use crate::ports::UserBreakdown;

/// Everything that a store keeps about one person, for that person to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalRecord {
    /// The profile.
    pub profile: UserProfile,
    /// Sums per difficulty and category.
    pub breakdown: UserBreakdown,
    /// Everything that happened, oldest first.
    pub facts: Vec<RecordedFact>,
    /// Achievements, newest first.
    pub achievements: Vec<UserAchievement>,
    /// Results of days, weeks and months.
    pub scores: Vec<(Board, PeriodScore)>,
    /// Attempts at challenges.
    pub challenges: Vec<ChallengeAttempt>,
    /// Sessions that the person started, or that ran in the person's own channel.
    pub sessions: Vec<GameSession>,
    /// Questions that are remembered so that they do not come twice, the oldest first.
    pub picks: Vec<QuestionId>,
    /// What the person said about questions, in order.
    pub reports: Vec<QuestionReport>,
    /// Rows of the original system that did not fit, as JSON.
    pub originals: Vec<String>,
    /// When this was read.
    pub exported_at: DateTime<Utc>,
}

/// A fact and what the player was told about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFact {
    /// The fact.
    pub entry: LedgerEntry,
    /// What the player was told.
    pub receipt: Receipt,
}
