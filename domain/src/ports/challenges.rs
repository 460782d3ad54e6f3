use async_trait::async_trait;

use crate::error::StoreResult;
use crate::model::{Challenge, ChallengeAttempt, ChallengeId, ChallengeKind, UserId};

/// Challenges, to look at; [`PlayPort::start_challenge`](super::PlayPort::start_challenge) plays them.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ChallengeRepository: Send + Sync {
    /// The challenge that can be played now, by the store's clock and calendar.
    async fn present(&self, kind: ChallengeKind) -> StoreResult<ChallengeId>;

    /// A challenge; `None` before somebody has started it.
    async fn find(&self, id: ChallengeId) -> StoreResult<Option<Challenge>>;

    /// What a player has answered of a challenge; `None` before the first answer.
    async fn attempt(&self, user: UserId, id: ChallengeId) -> StoreResult<Option<ChallengeAttempt>>;

    /// A player's attempts of one kind, newest challenge first, at most `limit`.
    async fn history(&self, user: UserId, kind: ChallengeKind, limit: u32) -> StoreResult<Vec<ChallengeAttempt>>;
}
