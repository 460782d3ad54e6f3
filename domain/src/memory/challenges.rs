use async_trait::async_trait;

use super::Tables;
use crate::error::StoreResult;
use crate::model::{Challenge, ChallengeAttempt, ChallengeId, ChallengeKind, UserId};
use crate::ports::ChallengeRepository;

#[async_trait]
impl ChallengeRepository for Tables {
    async fn present(&self, kind: ChallengeKind) -> StoreResult<ChallengeId> {
        Ok(ChallengeId::at(kind, self.clock.now(), &self.read().rules.calendar))
    }

    async fn find(&self, id: ChallengeId) -> StoreResult<Option<Challenge>> {
        Ok(self.read().play.challenges.get(&id).cloned())
    }

    async fn attempt(&self, user: UserId, id: ChallengeId) -> StoreResult<Option<ChallengeAttempt>> {
        Ok(self.read().play.players.get(&user).and_then(|player| player.challenges.get(&id)).cloned())
    }

    async fn history(&self, user: UserId, kind: ChallengeKind, limit: u32) -> StoreResult<Vec<ChallengeAttempt>> {
        let state = self.read();
        let attempts = state.play.players.get(&user).into_iter().flat_map(|player| player.challenges.values().rev());
        Ok(attempts.filter(|attempt| attempt.challenge.kind == kind).take(limit as usize).cloned().collect())
    }
}
