use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{State, Tables};
use crate::error::{StoreError, StoreResult};
use crate::model::{AchievementDefinition, AchievementId, Calendar, Language};
use crate::play::{PlayerState, RuleBook, fold};
use crate::ports::RulesPort;

impl State {
    /// The present instant, or the newest fact's when the clock went back: what counted for a fact counts on.
    fn after_all_facts(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.play.recorded.values().map(|(entry, _)| entry.at).fold(now, DateTime::max)
    }

    /// Folds all ledgers by other rules and keeps both, or neither; returns how many players changed.
    fn play_by(&mut self, rules: RuleBook) -> StoreResult<u64> {
        let mut changed = Vec::new();
        for player in self.play.players.values() {
            let profile = &player.profile;
            let mut state = PlayerState::new(profile.user_id, profile.created_at);
            state.profile.time_zone = profile.time_zone;
            for fact in self.facts(profile.user_id) {
                fold(&mut state, &fact.entry, &rules)?;
            }
            if state != **player {
                changed.push(state);
            }
        }
        let count = changed.len() as u64;
        self.play.players.extend(changed.into_iter().map(|player| (player.profile.user_id, Arc::new(player))));
        self.rules = rules;
        Ok(count)
    }
}

#[async_trait]
impl RulesPort for Tables {
    async fn rules(&self) -> StoreResult<RuleBook> {
        Ok(self.read().rules.clone())
    }

    async fn define_achievement(&self, definition: AchievementDefinition) -> StoreResult<u64> {
        let mut state = self.write();
        let mut rules = state.rules.clone();
        rules.catalog.define(definition, state.after_all_facts(self.clock.now()))?;
        state.play_by(rules)
    }

    async fn retire_achievement(&self, id: &AchievementId) -> StoreResult<()> {
        let mut state = self.write();
        let at = state.after_all_facts(self.clock.now());
        if state.rules.catalog.retire(id, at) {
            return Ok(());
        }
        Err(StoreError::missing("achievement", id))
    }

    async fn set_calendar(&self, calendar: Calendar) -> StoreResult<u64> {
        let mut state = self.write();
        let rules = RuleBook { calendar, ..state.rules.clone() };
        state.play_by(rules)
    }

    async fn set_challenge_language(&self, language: Option<Language>) -> StoreResult<()> {
        self.write().rules.challenge_language = language;
        Ok(())
    }
}
