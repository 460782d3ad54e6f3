//! The fold over what the ledger holds of a player.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::StoreResult;
use trivia_domain::model::UserProfile;
use trivia_domain::play::{Catalog, PlayerState, fold};

use super::rows;
use crate::entity::ledger;
use crate::error::During;

/// Facts that are read at a time.
const PAGE: u64 = 2_000;

/// What the ledger makes of a player.
pub(crate) async fn profile(
    connection: &impl ConnectionTrait,
    stored: &UserProfile,
    catalog: &Catalog,
) -> StoreResult<UserProfile> {
    let mut state = PlayerState::new(stored.user_id, stored.created_at);
    loop {
        let facts = ledger::Entity::find()
            .filter(ledger::Column::UserId.eq(stored.user_id.get()))
            .filter(ledger::Column::Seq.gt(rows::stored(state.profile.last_seq)))
            .order_by_asc(ledger::Column::Seq)
            .limit(PAGE)
            .all(connection)
            .await
            .during("reading the ledger")?;
        if facts.is_empty() {
            return Ok(state.profile);
        }
        for row in facts {
            let (entry, _) = rows::ledger_entry(row)?;
            fold(&mut state, &entry, catalog)?;
        }
    }
}
