use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::model::{ChannelId, GameSession, Page, SessionId};
use trivia_domain::ports::SessionRepository;
use trivia_domain::{StoreError, StoreResult};

use super::{Repository, rows};
use crate::database::Needs;
use crate::entity::{game_sessions, live_sessions, session_questions};
use crate::error::During;
use crate::read_model::Effects;

#[async_trait]
impl SessionRepository for Repository {
    async fn find(&self, id: SessionId) -> StoreResult<Option<GameSession>> {
        let snapshot = self.scope.snapshot("finding a session").await?;
        Ok(load(&*snapshot, &BTreeSet::from([id])).await?.remove(&id))
    }

    async fn get(&self, id: SessionId) -> StoreResult<GameSession> {
        SessionRepository::find(self, id).await?.ok_or_else(|| StoreError::missing("session", id))
    }

    async fn live(&self, channel: ChannelId) -> StoreResult<Option<GameSession>> {
        let snapshot = self.scope.snapshot("finding a live session").await?;
        let mut live =
            live_sessions::Entity::find_by_id(channel.get()).all(&*snapshot).await.during("finding a live session")?;
        let Some(row) = live.pop() else { return Ok(None) };
        let id = SessionId::new(row.session_id);
        Ok(load(&*snapshot, &BTreeSet::from([id])).await?.remove(&id))
    }

    async fn list_live(&self, page: Page) -> StoreResult<Vec<GameSession>> {
        let snapshot = self.scope.snapshot("listing live sessions").await?;
        let live = live_sessions::Entity::find()
            .filter(live_sessions::Column::ChannelId.gt(page.after.unwrap_or(-1)))
            .order_by_asc(live_sessions::Column::ChannelId)
            .limit(u64::from(page.limit))
            .all(&*snapshot)
            .await
            .during("listing live sessions")?;
        let ids: Vec<_> = live.into_iter().map(|row| SessionId::new(row.session_id)).collect();
        let mut sessions = load(&*snapshot, &ids.iter().copied().collect()).await?;
        Ok(ids.iter().filter_map(|id| sessions.remove(id)).collect())
    }

    async fn forget_ended(&self, before: DateTime<Utc>) -> StoreResult<u64> {
        let writing = self.scope.write("forgetting sessions", Needs::Alone, Effects::SESSIONS).await?;
        let forgotten = game_sessions::Entity::delete_many()
            .filter(game_sessions::Column::EndedAt.lt(before))
            .exec(&*writing)
            .await
            .during("forgetting sessions")?;
        writing.commit().await?;
        Ok(forgotten.rows_affected)
    }
}

/// The sessions with these ids that exist.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
    ids: &BTreeSet<SessionId>,
) -> StoreResult<HashMap<SessionId, GameSession>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted = || ids.iter().map(|id| id.get());
    let rows = game_sessions::Entity::find()
        .filter(game_sessions::Column::Id.is_in(wanted()))
        .all(connection)
        .await
        .during("loading sessions")?;
    let asked = session_questions::Entity::find()
        .filter(session_questions::Column::SessionId.is_in(wanted()))
        .order_by_asc(session_questions::Column::SessionId)
        .order_by_asc(session_questions::Column::Position)
        .all(connection)
        .await
        .during("loading the questions of sessions")?;
    let mut questions: HashMap<_, Vec<_>> = HashMap::new();
    for row in asked {
        questions.entry(row.session_id).or_default().push(row);
    }
    rows.into_iter()
        .map(|row| {
            let asked = questions.remove(&row.id).unwrap_or_default();
            Ok((SessionId::new(row.id), rows::session(row, asked)?))
        })
        .collect()
}
