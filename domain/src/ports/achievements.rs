use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::StoreResult;
use crate::model::{AchievementDefinition, UserAchievement, UserId};

/// Achievements, to look at; answers unlock them.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AchievementRepository: Send + Sync {
    /// All definitions that this store plays by, without retired ones.
    async fn definitions(&self) -> StoreResult<Vec<AchievementDefinition>>;

    /// What a player has, newest first, those of one fact by id. Empty for an unknown player.
    async fn of(&self, user: UserId) -> StoreResult<Vec<UserAchievement>>;

    /// How far a player is with every definition, in their order. Hidden ones appear once they are
    /// unlocked.
    ///
    /// Returns `Missing` when there is no such player.
    async fn progress(&self, user: UserId) -> StoreResult<Vec<AchievementProgress>>;
}

/// How far a player is with an achievement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AchievementProgress {
    /// Which one.
    pub definition: AchievementDefinition,
    /// What the player has reached, at most `target`.
    pub reached: u64,
    /// What is needed.
    pub target: u64,
    /// Whether the player has it.
    pub unlocked: bool,
}
