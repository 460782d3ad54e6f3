//! Questions of the day and of the week: the same for everybody, one attempt a player.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::names::define_names;
use super::{Calendar, DayKey, Period, Points, QuestionId, UserId};

/// Which challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeKind {
    /// One question a day, double points, no time factor.
    Daily,
    /// Five questions a week, triple points, no time factor.
    Weekly,
}

define_names!(ChallengeKind, "challenge", Daily = "daily", Weekly = "weekly");

impl ChallengeKind {
    /// How long a challenge of this kind can be played.
    #[must_use]
    pub const fn period(self) -> Period {
        match self {
            Self::Daily => Period::Day,
            Self::Weekly => Period::Week,
        }
    }

    /// Its questions.
    #[must_use]
    pub const fn size(self) -> u32 {
        match self {
            Self::Daily => 1,
            Self::Weekly => 5,
        }
    }
}

/// The challenge of one day or one week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChallengeId {
    /// Which challenge.
    pub kind: ChallengeKind,
    /// First day of its period.
    pub starts_on: DayKey,
}

impl ChallengeId {
    /// The challenge that can be played at an instant.
    #[must_use]
    pub fn at(kind: ChallengeKind, at: DateTime<Utc>, calendar: &Calendar) -> Self {
        Self { kind, starts_on: calendar.start_at(kind.period(), at) }
    }
}

impl fmt::Display for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.starts_on)
    }
}

/// The questions of one challenge, fixed for ever by whoever started it first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Its id.
    pub id: ChallengeId,
    /// Its questions, in the order in which they are asked.
    pub questions: Vec<ChallengeQuestion>,
    /// When it was fixed.
    pub created_at: DateTime<Utc>,
}

/// One question of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeQuestion {
    /// The question.
    pub question_id: QuestionId,
    /// Its version when the challenge was fixed.
    pub version: u32,
}

/// A player's one attempt at a challenge, however many sessions it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAttempt {
    /// The player.
    pub user_id: UserId,
    /// The challenge.
    pub challenge: ChallengeId,
    /// Questions of the challenge.
    pub size: u32,
    /// What was answered so far, in order; the first answer to a question is final.
    pub answers: Vec<ChallengeAnswer>,
    /// When the last question was answered.
    pub completed_at: Option<DateTime<Utc>>,
}

/// One answer of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAnswer {
    /// The question.
    pub question_id: QuestionId,
    /// Whether the answer was right.
    pub correct: bool,
    /// Points for it.
    pub points: Points,
}

impl ChallengeAttempt {
    /// An attempt without answers.
    #[must_use]
    pub const fn new(user_id: UserId, challenge: ChallengeId, size: u32) -> Self {
        Self { user_id, challenge, size, answers: Vec::new(), completed_at: None }
    }

    /// Whether this question was answered.
    #[must_use]
    pub fn has_answered(&self, question: QuestionId) -> bool {
        self.answers.iter().any(|answer| answer.question_id == question)
    }

    /// Right answers so far.
    #[must_use]
    pub fn correct(&self) -> usize {
        self.answers.iter().filter(|answer| answer.correct).count()
    }

    /// What a completed weekly challenge is worth showing: all right, at least 80 %, at least 60 %.
    ///
    /// ```
    /// use trivia_domain::model::*;
    /// let challenge = ChallengeId { kind: ChallengeKind::Weekly, starts_on: "2026-03-02".parse()? };
    /// let mut attempt = ChallengeAttempt::new(UserId::new(1)?, challenge, 5);
    /// for n in 0..5 {
    ///     let answer = ChallengeAnswer { question_id: QuestionId::new(n)?, correct: n > 0, points: Points::ZERO };
    ///     attempt.answers.push(answer);
    /// }
    /// attempt.completed_at = Some(chrono::DateTime::UNIX_EPOCH);
    /// assert_eq!(attempt.badge(), Some(Badge::Excellent));
    /// # Ok::<(), trivia_domain::StoreError>(())
    /// ```
    #[must_use]
    pub fn badge(&self) -> Option<Badge> {
        if self.completed_at.is_none() || self.challenge.kind != ChallengeKind::Weekly {
            return None;
        }
        let (correct, size) = (self.correct(), self.size as usize);
        if correct == size {
            Some(Badge::Perfect)
        } else if correct * 5 >= size * 4 {
            Some(Badge::Excellent)
        } else if correct * 5 >= size * 3 {
            Some(Badge::Good)
        } else {
            None
        }
    }
}

/// How well a weekly challenge went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Badge {
    /// At least three of five.
    Good,
    /// Four of five.
    Excellent,
    /// All.
    Perfect,
}

define_names!(Badge, "badge", Good = "good", Excellent = "excellent", Perfect = "perfect");
