use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Tables;
use crate::error::{StoreError, StoreResult};
use crate::model::{ChannelId, GameSession, Page, SessionId};
use crate::ports::SessionRepository;

#[async_trait]
impl SessionRepository for Tables {
    async fn find(&self, id: SessionId) -> StoreResult<Option<GameSession>> {
        Ok(self.read().play.sessions.get(&id).cloned())
    }

    async fn get(&self, id: SessionId) -> StoreResult<GameSession> {
        self.find(id).await?.ok_or_else(|| StoreError::missing("session", id))
    }

    async fn live(&self, channel: ChannelId) -> StoreResult<Option<GameSession>> {
        let state = self.read();
        Ok(state.play.live.get(&channel).and_then(|id| state.play.sessions.get(id)).cloned())
    }

    async fn list_live(&self, page: Page) -> StoreResult<Vec<GameSession>> {
        let state = self.read();
        let mut live: Vec<_> = state.play.live.iter().collect();
        live.retain(|(channel, _)| page.after.is_none_or(|after| channel.get() > after));
        live.sort_unstable_by_key(|(channel, _)| **channel);
        let sessions = live.into_iter().take(page.limit as usize);
        Ok(sessions.filter_map(|(_, id)| state.play.sessions.get(id)).cloned().collect())
    }

    async fn forget_ended(&self, before: DateTime<Utc>) -> StoreResult<u64> {
        let mut state = self.write();
        let sessions = &mut state.play.sessions;
        let count = sessions.len();
        sessions.retain(|_, session| session.ended_at.is_none_or(|ended_at| ended_at >= before));
        Ok((count - sessions.len()) as u64)
    }
}
