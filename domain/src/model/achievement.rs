//! Achievements are data: an id, a rule and a bonus.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::names::{define_names, define_text};
use super::text::checked;
use super::{Difficulty, Points, UserId};
use crate::error::{StoreError, StoreResult};

/// Name of an achievement: 1 to 64 of `a-z`, `0-9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AchievementId(Cow<'static, str>);

define_text!(AchievementId);

impl AchievementId {
    /// Builds an id.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it has other characters or another length.
    pub fn new(id: &str) -> StoreResult<Self> {
        let valid = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !valid {
            return Err(StoreError::invalid("achievement id", format!("{id:?} is not 1 to 64 of a-z, 0-9 and _")));
        }
        Ok(Self(Cow::Owned(id.to_owned())))
    }

    /// A built-in id.
    pub(crate) const fn built_in(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }
}

/// When an achievement unlocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AchievementRule {
    /// Right answers in a row.
    Streak {
        /// How many.
        at_least: u64,
    },
    /// Days in a row with an answer.
    DayStreak {
        /// How many.
        at_least: u64,
    },
    /// Points of all time.
    TotalPoints {
        /// How many.
        at_least: u64,
    },
    /// Answers given.
    Answered {
        /// How many.
        at_least: u64,
    },
    /// Share of right answers.
    Accuracy {
        /// Percent, 0 to 100.
        percent: u64,
        /// Answers needed before it counts.
        answered: u64,
    },
    /// Right answers of one difficulty.
    DifficultyCorrect {
        /// Which one.
        difficulty: Difficulty,
        /// How many.
        at_least: u64,
    },
    /// Daily challenges completed.
    DailyChallenges {
        /// How many.
        at_least: u64,
    },
    /// Weekly challenges completed.
    WeeklyChallenges {
        /// How many.
        at_least: u64,
    },
}

/// Groups of achievements, for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AchievementCategory {
    /// Right answers in a row.
    Streaks,
    /// Days in a row.
    Dedication,
    /// Points.
    Points,
    /// Answers given.
    Participation,
    /// Share of right answers.
    Accuracy,
    /// Right answers of one difficulty.
    Difficulty,
    /// Challenges.
    Challenges,
}

define_names!(
    AchievementCategory,
    "category of an achievement",
    Streaks = "streaks",
    Dedication = "dedication",
    Points = "points",
    Participation = "participation",
    Accuracy = "accuracy",
    Difficulty = "difficulty",
    Challenges = "challenges"
);

/// An achievement that players can unlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AchievementDefinition {
    /// Its id.
    pub id: AchievementId,
    /// Name for people.
    pub name: Cow<'static, str>,
    /// One character for people.
    pub emoji: Cow<'static, str>,
    /// Its group.
    pub category: AchievementCategory,
    /// When it unlocks.
    pub rule: AchievementRule,
    /// Points that it pays, once.
    pub bonus: Points,
    /// Not shown before it is unlocked.
    pub hidden: bool,
}

impl AchievementDefinition {
    /// The definition as it is stored, with blanks in name and emoji put right.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name that is empty or longer than 100 characters, an emoji longer than
    /// 16, a rule that asks for nothing, or more than 100 percent.
    pub fn checked(self) -> StoreResult<Self> {
        use AchievementRule as Rule;
        let name = checked("name of an achievement", &self.name, 100)?.into();
        let emoji = checked("emoji of an achievement", &self.emoji, 16)?.into();
        let (Rule::Streak { at_least }
        | Rule::DayStreak { at_least }
        | Rule::TotalPoints { at_least }
        | Rule::Answered { at_least }
        | Rule::Accuracy { answered: at_least, .. }
        | Rule::DifficultyCorrect { at_least, .. }
        | Rule::DailyChallenges { at_least }
        | Rule::WeeklyChallenges { at_least }) = self.rule;
        if at_least == 0 {
            return Err(StoreError::invalid("rule of an achievement", "it asks for nothing"));
        }
        match self.rule {
            Rule::Accuracy { percent: 101.., .. } => {
                Err(StoreError::invalid("rule of an achievement", "it asks for more than 100 percent"))
            }
            _ => Ok(Self { name, emoji, ..self }),
        }
    }
}

/// An achievement that a player has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAchievement {
    /// The player.
    pub user_id: UserId,
    /// Which one.
    pub achievement_id: AchievementId,
    /// Number of the fact that unlocked it.
    pub seq: u64,
    /// When.
    pub unlocked_at: DateTime<Utc>,
    /// Points that it paid.
    pub bonus: Points,
}
