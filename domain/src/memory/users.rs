use std::sync::Arc;

use async_trait::async_trait;

use super::{State, Tables};
use crate::error::{StoreError, StoreResult};
use crate::model::{Fact, Page, RecordedFact, TimeZone, UserId, UserProfile};
use crate::play::{Dimension, PlayerState};
use crate::ports::{RecentAnswer, UserBreakdown, UserRepository};

/// How many answers a breakdown lists.
const RECENT: usize = 10;

#[async_trait]
impl UserRepository for Tables {
    async fn find(&self, id: UserId) -> StoreResult<Option<UserProfile>> {
        Ok(self.read().play.players.get(&id).map(|player| player.profile.clone()))
    }

    async fn get(&self, id: UserId) -> StoreResult<UserProfile> {
        self.find(id).await?.ok_or_else(|| StoreError::missing("user", id))
    }

    async fn get_or_create(&self, id: UserId) -> StoreResult<UserProfile> {
        let mut state = self.write();
        let player = state.play.players.entry(id).or_insert_with(|| Arc::new(PlayerState::new(id, self.clock.now())));
        Ok(player.profile.clone())
    }

    async fn set_time_zone(&self, id: UserId, zone: TimeZone) -> StoreResult<UserProfile> {
        let mut state = self.write();
        let player = state.play.players.get_mut(&id).ok_or_else(|| StoreError::missing("user", id))?;
        let profile = &mut Arc::make_mut(player).profile;
        profile.time_zone = zone;
        Ok(profile.clone())
    }

    async fn list(&self, page: Page) -> StoreResult<Vec<UserProfile>> {
        let state = self.read();
        let mut profiles: Vec<&UserProfile> = state.play.players.values().map(|player| &player.profile).collect();
        profiles.retain(|profile| page.after.is_none_or(|after| profile.user_id.get() > after));
        profiles.sort_unstable_by_key(|profile| profile.user_id);
        Ok(profiles.into_iter().take(page.limit as usize).cloned().collect())
    }

    async fn breakdown(&self, id: UserId) -> StoreResult<UserBreakdown> {
        let state = self.read();
        state.breakdown(id)
    }
}

impl State {
    /// A player's history in sums.
    pub(super) fn breakdown(&self, id: UserId) -> StoreResult<UserBreakdown> {
        let player = self.play.players.get(&id).ok_or_else(|| StoreError::missing("user", id))?;
        let mut breakdown = UserBreakdown::default();
        for (dimension, tally) in &player.tallies {
            match dimension {
                Dimension::Difficulty(difficulty) => breakdown.by_difficulty.insert(*difficulty, *tally),
                Dimension::Category(category) => breakdown.by_category.insert(category.clone(), *tally),
            };
        }
        let recent = self.facts(id).into_iter().rev().filter_map(|fact| match fact.entry.fact {
            Fact::Answer(answer) => Some((fact.entry.at, answer)),
            _ => None,
        });
        breakdown.recent = recent
            .take(RECENT)
            .map(|(at, answer)| RecentAnswer {
                question_id: answer.question_id,
                correct: answer.correct,
                points: answer.points,
                at,
            })
            .collect();
        Ok(breakdown)
    }

    /// A player's ledger, oldest first.
    pub(super) fn facts(&self, id: UserId) -> Vec<RecordedFact> {
        let recorded = self.play.recorded.values().filter(|(entry, _)| entry.user_id == id).cloned();
        let mut facts: Vec<_> = recorded.map(|(entry, receipt)| RecordedFact { entry, receipt }).collect();
        facts.sort_unstable_by_key(|fact| fact.entry.seq);
        facts
    }
}
