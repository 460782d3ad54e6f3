use std::cmp::Reverse;

use async_trait::async_trait;

use super::Tables;
use crate::error::{StoreError, StoreResult};
use crate::model::{Fact, Page, UserId, UserProfile};
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
        let player = state.play.players.entry(id).or_insert_with(|| PlayerState::new(id, self.clock.now()));
        Ok(player.profile.clone())
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
        let player = state.play.players.get(&id).ok_or_else(|| StoreError::missing("user", id))?;
        let mut breakdown = UserBreakdown::default();
        for (dimension, tally) in &player.tallies {
            match dimension {
                Dimension::Difficulty(difficulty) => breakdown.by_difficulty.insert(*difficulty, *tally),
                Dimension::Category(category) => breakdown.by_category.insert(category.clone(), *tally),
            };
        }
        let mut answers: Vec<_> = state
            .play
            .recorded
            .values()
            .filter(|(entry, _)| entry.user_id == id)
            .filter_map(|(entry, _)| match &entry.fact {
                Fact::Answer(answer) => Some((entry, answer)),
                _ => None,
            })
            .collect();
        answers.sort_unstable_by_key(|(entry, _)| Reverse(entry.seq));
        breakdown.recent = answers
            .into_iter()
            .take(RECENT)
            .map(|(entry, answer)| RecentAnswer {
                question_id: answer.question_id,
                correct: answer.correct,
                points: answer.points,
                at: entry.at,
            })
            .collect();
        Ok(breakdown)
    }
}
