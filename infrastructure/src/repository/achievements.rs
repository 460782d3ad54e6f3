use std::cmp::Reverse;

use async_trait::async_trait;
use sea_orm::EntityTrait;
use trivia_domain::model::{AchievementDefinition, UserAchievement, UserId, UserProfile};
use trivia_domain::play::PlayerState;
use trivia_domain::ports::{AchievementProgress, AchievementRepository};
use trivia_domain::{StoreError, StoreResult};

use super::{Repository, players, rule_book};
use crate::entity::users;
use crate::error::During;
use crate::read_model::Whose;

#[async_trait]
impl AchievementRepository for Repository {
    async fn definitions(&self) -> StoreResult<Vec<AchievementDefinition>> {
        let snapshot = self.scope.snapshot("reading achievements").await?;
        let rules = rule_book::current(self.scope.core(), &*snapshot).await?;
        Ok(rules.catalog.definitions().cloned().collect())
    }

    async fn of(&self, user: UserId) -> StoreResult<Vec<UserAchievement>> {
        self.scope.settle(Whose::Player(user)).await?;
        let reading = self.scope.read("reading achievements").await?;
        let mut unlocked = players::achievements(&reading.connection(), user).await?;
        unlocked.sort_by_key(|achievement| Reverse(achievement.seq));
        Ok(unlocked)
    }

    async fn progress(&self, user: UserId) -> StoreResult<Vec<AchievementProgress>> {
        self.scope.settle(Whose::Player(user)).await?;
        let snapshot = self.scope.snapshot("reading achievement progress").await?;
        let mut found = users::Entity::find_by_id(user.get()).all(&*snapshot).await.during("finding a user")?;
        let profile = UserProfile::try_from(found.pop().ok_or_else(|| StoreError::missing("user", user))?)?;
        let mut state = PlayerState::new(user, profile.created_at);
        state.profile = profile;
        state.tallies = players::tallies(&*snapshot, user).await?;
        state.achievements = players::achievements(&*snapshot, user)
            .await?
            .into_iter()
            .map(|achievement| (achievement.achievement_id.clone(), achievement))
            .collect();
        let rules = rule_book::current(self.scope.core(), &*snapshot).await?;
        Ok(rules.catalog.progress(&state))
    }
}
