//! One game in one channel.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::names::define_names;
use super::{ChallengeId, ChannelId, QuestionId, SessionId, UserId};
use crate::error::{StoreError, StoreResult};

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// A question is open, or its time ran out and nobody went on.
    Live,
    /// All questions were asked, or the host ended it.
    Finished,
    /// Its time ran out and somebody else wanted the channel.
    Expired,
}

define_names!(SessionStatus, "session status", Live = "live", Finished = "finished", Expired = "expired");

/// Time to answer one question: 1 millisecond to 1 day. The original's default is 30 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct TimeLimit(u64);

impl TimeLimit {
    /// Builds a limit.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is below 1 millisecond or above 1 day.
    pub fn new(limit: Duration) -> StoreResult<Self> {
        Self::from_millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
    }

    /// Builds a limit from milliseconds.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_millis(millis: u64) -> StoreResult<Self> {
        if !(1..=86_400_000).contains(&millis) {
            return Err(StoreError::invalid("time limit", format!("{millis} ms is not 1 ms to 1 day")));
        }
        Ok(Self(millis))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl Default for TimeLimit {
    fn default() -> Self {
        Self(30_000)
    }
}

impl TryFrom<u64> for TimeLimit {
    type Error = StoreError;
    fn try_from(millis: u64) -> StoreResult<Self> {
        Self::from_millis(millis)
    }
}

impl From<TimeLimit> for u64 {
    fn from(limit: TimeLimit) -> Self {
        limit.0
    }
}

/// One question of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionQuestion {
    /// The question.
    pub question_id: QuestionId,
    /// Its version when the session started.
    pub version: u32,
    /// When it was opened; `None` while it waits.
    pub opened_at: Option<DateTime<Utc>>,
}

/// One game in one channel: a list of questions that are opened one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameSession {
    /// Its id.
    pub id: SessionId,
    /// Where it is played.
    pub channel_id: ChannelId,
    /// Who started it; `None` after that person was erased.
    pub host: Option<UserId>,
    /// The challenge that is played; `None` in a normal session, where quick answers give more points.
    pub challenge: Option<ChallengeId>,
    /// Where it stands.
    pub status: SessionStatus,
    /// Time to answer each question.
    pub time_limit: TimeLimit,
    /// Its questions, in the order in which they are asked.
    pub questions: Vec<SessionQuestion>,
    /// Index of the open one.
    pub position: usize,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl GameSession {
    /// The open question; `None` when the session is over.
    #[must_use]
    pub fn open_question(&self) -> Option<&SessionQuestion> {
        (self.status == SessionStatus::Live).then(|| self.questions.get(self.position)).flatten()
    }

    /// Last instant at which the open question may be answered.
    #[must_use]
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        let opened_at = self.open_question()?.opened_at?;
        let limit = TimeDelta::milliseconds(i64::try_from(self.time_limit.millis()).ok()?);
        opened_at.checked_add_signed(limit)
    }

    /// Time left for the open question at `now`; zero when it is over.
    #[must_use]
    pub fn remaining(&self, now: DateTime<Utc>) -> Duration {
        self.deadline().and_then(|deadline| (deadline - now).to_std().ok()).unwrap_or_default()
    }

    /// Whether the session is live and the time of its open question is over at `now`.
    #[must_use]
    pub fn is_overdue(&self, now: DateTime<Utc>) -> bool {
        self.deadline().is_some_and(|deadline| now > deadline)
    }
}
