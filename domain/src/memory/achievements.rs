use std::cmp::Reverse;

use async_trait::async_trait;

use super::Tables;
use crate::error::{StoreError, StoreResult};
use crate::model::{AchievementDefinition, UserAchievement, UserId};
use crate::ports::{AchievementProgress, AchievementRepository};

#[async_trait]
impl AchievementRepository for Tables {
    async fn definitions(&self) -> StoreResult<Vec<AchievementDefinition>> {
        Ok(self.read().rules.catalog.definitions().cloned().collect())
    }

    async fn of(&self, user: UserId) -> StoreResult<Vec<UserAchievement>> {
        let state = self.read();
        let player = state.play.players.get(&user);
        // the map is in order of id, which the stable sort keeps for those of one fact
        let mut unlocked: Vec<_> =
            player.into_iter().flat_map(|player| player.achievements.values()).cloned().collect();
        unlocked.sort_by_key(|achievement| Reverse(achievement.seq));
        Ok(unlocked)
    }

    async fn progress(&self, user: UserId) -> StoreResult<Vec<AchievementProgress>> {
        let state = self.read();
        let player = state.play.players.get(&user).ok_or_else(|| StoreError::missing("user", user))?;
        Ok(state.rules.catalog.progress(player))
    }
}
