use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::StoreResult;
use crate::model::{ChannelId, GameSession, Page, SessionId};

/// Games in channels, to look at; [`PlayPort`](super::PlayPort) moves them.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// The session, or `None` when there is no such one.
    async fn find(&self, id: SessionId) -> StoreResult<Option<GameSession>>;

    /// The session.
    ///
    /// Returns `Missing` when there is no such one.
    async fn get(&self, id: SessionId) -> StoreResult<GameSession>;

    /// The live session of a channel. After a restart this is how a game is resumed: its deadline
    /// and remaining time are in it.
    async fn live(&self, channel: ChannelId) -> StoreResult<Option<GameSession>>;

    /// Live sessions in order of their channels, also those whose time is up; the page counts by channel.
    async fn list_live(&self, page: Page) -> StoreResult<Vec<GameSession>>;

    /// Forgets sessions that ended before an instant and returns how many. What was answered in them
    /// stays: no statistic and no board changes.
    async fn forget_ended(&self, before: DateTime<Utc>) -> StoreResult<u64>;
}
