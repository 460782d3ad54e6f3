use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QuerySelect};
use trivia_domain::model::{AchievementDefinition, AchievementId, Calendar, Language};
use trivia_domain::play::RuleBook;
use trivia_domain::ports::RulesPort;
use trivia_domain::{StoreError, StoreResult};

use super::{Repository, drift, rule_book};
use crate::database::Needs;
use crate::entity::ledger;
use crate::error::During;
use crate::read_model::Effects;

#[async_trait]
impl RulesPort for Repository {
    async fn rules(&self) -> StoreResult<RuleBook> {
        let snapshot = self.scope.snapshot("reading the rules").await?;
        Ok(RuleBook::clone(&*rule_book::current(self.scope.core(), &*snapshot).await?))
    }

    async fn define_achievement(&self, definition: AchievementDefinition) -> StoreResult<u64> {
        self.change(|rules, at| rules.catalog.define(definition, at)).await
    }

    async fn retire_achievement(&self, id: &AchievementId) -> StoreResult<()> {
        let retire = |rules: &mut RuleBook, at| match rules.catalog.retire(id, at) {
            true => Ok(true),
            false => Err(StoreError::missing("achievement", id)),
        };
        self.change(retire).await.map(drop)
    }

    async fn set_calendar(&self, calendar: Calendar) -> StoreResult<u64> {
        let set = |rules: &mut RuleBook, _| {
            let changed = rules.calendar != calendar;
            rules.calendar = calendar;
            Ok(changed)
        };
        self.change(set).await
    }

    async fn set_challenge_language(&self, language: Option<Language>) -> StoreResult<()> {
        // no number follows from it, so nothing is folded again
        let writing = self.scope.write("changing the rules", Needs::Alone, Effects::SESSIONS).await?;
        let rules = RuleBook::clone(&*rule_book::current(self.scope.core(), &*writing).await?);
        rule_book::store(&*writing, &RuleBook { challenge_language: language, ..rules }).await?;
        writing.commit().await
    }
}

impl Repository {
    /// Changes the rules and everything that follows from them, in one transaction. Returns how many
    /// players changed.
    async fn change(
        &self,
        change: impl FnOnce(&mut RuleBook, DateTime<Utc>) -> StoreResult<bool> + Send,
    ) -> StoreResult<u64> {
        let writing = self.scope.write("changing the rules", Needs::Everything, Effects::UNKNOWN).await?;
        let mut rules = RuleBook::clone(&*rule_book::current(self.scope.core(), &*writing).await?);
        let now = self.scope.core().clock.now();
        // when the clock went back, what counted for the newest fact counts on
        let at = newest_fact(&*writing).await?.filter(|newest| *newest > now).unwrap_or(now);
        if !change(&mut rules, at)? {
            return Ok(0);
        }
        rule_book::store(&*writing, &rules).await?;
        let changed = drift::refold(&*writing, &rules).await?;
        writing.commit().await?;
        Ok(changed)
    }
}

/// When the newest fact was recorded.
pub(crate) async fn newest_fact(connection: &impl ConnectionTrait) -> StoreResult<Option<DateTime<Utc>>> {
    let newest: Vec<Option<DateTime<Utc>>> = ledger::Entity::find()
        .select_only()
        .column_as(ledger::Column::At.max(), "newest")
        .into_tuple()
        .all(connection)
        .await
        .during("looking for the newest fact")?;
    Ok(newest.into_iter().next().flatten())
}
