use async_trait::async_trait;

use super::{State, Tables};
use crate::error::{StoreError, StoreResult};
use crate::model::{AchievementDefinition, AchievementId, Calendar};
use crate::play::{PlayerState, RuleBook, fold};
use crate::ports::RulesPort;

impl State {
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
            if state != *player {
                changed.push(state);
            }
        }
        let count = changed.len() as u64;
        self.play.players.extend(changed.into_iter().map(|player| (player.profile.user_id, player)));
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
        rules.catalog.define(definition, self.clock.now())?;
        state.play_by(rules)
    }

    async fn retire_achievement(&self, id: &AchievementId) -> StoreResult<()> {
        let mut state = self.write();
        if state.rules.catalog.retire(id, self.clock.now()) {
            return Ok(());
        }
        Err(StoreError::missing("achievement", id))
    }

    async fn set_calendar(&self, calendar: Calendar) -> StoreResult<u64> {
        let mut state = self.write();
        let rules = RuleBook { calendar, ..state.rules.clone() };
        state.play_by(rules)
    }
}
