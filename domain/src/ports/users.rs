use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::StoreResult;
use crate::model::{Category, Difficulty, Page, Points, QuestionId, Tally, TimeZone, UserId, UserProfile};

/// Players. What is in a profile follows from the ledger, so nothing here changes points:
/// see [`PlayPort`](super::PlayPort).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// The profile, or `None` when there is no such player.
    async fn find(&self, id: UserId) -> StoreResult<Option<UserProfile>>;

    /// The profile.
    ///
    /// Returns `Missing` when there is no such player.
    async fn get(&self, id: UserId) -> StoreResult<UserProfile>;

    /// The profile, made first if there is none. Any number of concurrent calls make one player and
    /// return equal profiles.
    async fn get_or_create(&self, id: UserId) -> StoreResult<UserProfile>;

    /// Sets where the player's days turn, for the facts to come.
    ///
    /// Returns `Missing` when there is no such player.
    async fn set_time_zone(&self, id: UserId, zone: TimeZone) -> StoreResult<UserProfile>;

    /// Profiles in order of id.
    async fn list(&self, page: Page) -> StoreResult<Vec<UserProfile>>;

    /// Sums per difficulty and category and the last ten answers, newest first. Starting over clears
    /// the sums, not the answers.
    ///
    /// Returns `Missing` when there is no such player.
    async fn breakdown(&self, id: UserId) -> StoreResult<UserBreakdown>;
}

/// A player's history in sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserBreakdown {
    /// Answers by difficulty.
    pub by_difficulty: BTreeMap<Difficulty, Tally>,
    /// Answers by category.
    pub by_category: BTreeMap<Category, Tally>,
    /// The last ten answers, newest first.
    pub recent: Vec<RecentAnswer>,
}

/// One answer of a player, for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentAnswer {
    /// The question.
    pub question_id: QuestionId,
    /// Whether the answer was right.
    pub correct: bool,
    /// Points for it.
    pub points: Points,
    /// When it was given.
    pub at: DateTime<Utc>,
}
