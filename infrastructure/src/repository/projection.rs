//! What is derived about players, brought to its tables: for facts that were just recorded, and for those
//! that wait in the ledger.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, IntoActiveModel, JoinType, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Statement, TransactionTrait,
};
use trivia_domain::StoreResult;
use trivia_domain::model::{Fact, LedgerEntry, Period, Receipt, UserId};
use trivia_domain::play::{Dimension, PlayerState, RuleBook, fold};

use super::players::{self, Part, PlayerRows};
use super::portions::portions;
use super::{rows, rule_book};
use crate::database::Core;
use crate::dialect;
use crate::entity::{ledger, unprojected, users};
use crate::error::During;
use crate::read_model::Warm;

/// Players that are brought up to date at a time.
const PLAYERS: u64 = 256;

/// A player with facts that the tables do not show yet.
pub(crate) struct Waiting<'a> {
    /// As the facts leave the player.
    pub(crate) state: &'a PlayerState,
    /// In order.
    pub(crate) facts: &'a [(LedgerEntry, Receipt)],
}

/// Writes what follows from facts about players.
pub(crate) async fn store(
    connection: &impl ConnectionTrait,
    rules: &RuleBook,
    players: &[Waiting<'_>],
) -> StoreResult<()> {
    let mut rows = PlayerRows::default();
    for Waiting { state, facts } in players {
        if facts.iter().any(|(entry, _)| entry.fact == Fact::Reset) {
            players::clear(connection, state.profile.user_id).await?;
        }
        rows.profile(state);
        for (entry, receipt) in *facts {
            // what a later reset took away is not there any more
            for id in &receipt.unlocked {
                rows.achievement(state, id);
            }
            if let Fact::Answer(answer) = &entry.fact {
                rows.tally(state, &Dimension::Difficulty(answer.difficulty));
                rows.tally(state, &Dimension::Category(answer.category.clone()));
                if let Some(challenge) = answer.challenge {
                    rows.attempt(state, challenge.id)?;
                }
            }
            for period in Period::ALL {
                rows.score(state, period, rules.calendar.start_at(period, entry.at));
            }
        }
    }
    rows.store(connection).await
}

/// Statements that note whose facts wait, so that a process that starts after a crash finds them.
pub(super) fn note(users: &[UserId], backend: DbBackend) -> impl Iterator<Item = Statement> {
    portions(users, backend).map(move |users| {
        let rows = users.into_iter().map(|id| unprojected::Model { user_id: id.get() }.into_active_model());
        unprojected::Entity::insert_many(rows).build(backend)
    })
}

/// Takes players from the list.
async fn done(connection: &impl ConnectionTrait, users: &[UserId]) -> StoreResult<()> {
    for users in portions(users, connection.get_database_backend()) {
        unprojected::Entity::delete_many()
            .filter(unprojected::Column::UserId.is_in(users.into_iter().map(|id| id.get())))
            .exec(connection)
            .await
            .during("noting whose facts wait")?;
    }
    Ok(())
}

/// Whether facts of somebody wait in the ledger.
pub(crate) async fn is_behind(connection: &impl ConnectionTrait) -> StoreResult<bool> {
    let first: Vec<Option<i64>> = unprojected::Entity::find()
        .select_only()
        .column_as(unprojected::Column::UserId.min(), "first")
        .into_tuple()
        .all(connection)
        .await
        .during("looking for facts that wait")?;
    Ok(first.into_iter().flatten().next().is_some())
}

/// Those of some players whose facts wait.
pub(crate) async fn behind(
    connection: &impl ConnectionTrait,
    among: &BTreeSet<UserId>,
) -> StoreResult<BTreeSet<UserId>> {
    unprojected::Entity::find()
        .filter(unprojected::Column::UserId.is_in(among.iter().map(|id| id.get())))
        .all(connection)
        .await
        .during("looking for facts that wait")?
        .into_iter()
        .map(|row| UserId::new(row.user_id))
        .collect()
}

/// Projects facts of these players that the writer has at hand.
pub(crate) async fn project(
    core: &Core,
    connection: &impl ConnectionTrait,
    warm: &Warm,
    ids: &[UserId],
) -> StoreResult<()> {
    let rules = match warm.rules() {
        Some(rules) => rules,
        None => rule_book::current(core, connection).await?,
    };
    let waiting: Vec<_> = ids
        .iter()
        .filter_map(|id| warm.pending().get(id))
        .map(|pending| Waiting { state: &pending.player.state, facts: &pending.facts })
        .collect();
    store(connection, &rules, &waiting).await?;
    done(connection, ids).await
}

/// Folds all facts that wait, as a process that crashed or another one has left them.
pub(crate) async fn catch_up(connection: &impl ConnectionTrait) -> StoreResult<()> {
    let rules = rule_book::load(connection).await?;
    loop {
        let listed = unprojected::Entity::find().limit(PLAYERS).all(connection).await;
        let listed = listed.during("looking for facts that wait")?;
        if listed.is_empty() {
            return Ok(());
        }
        let ids = listed.into_iter().map(|row| UserId::new(row.user_id)).collect::<StoreResult<BTreeSet<_>>>()?;
        let mut players = players::load(connection, &ids, Part::Whole).await?;
        let mut facts: HashMap<UserId, Vec<_>> = HashMap::new();
        for row in waiting(connection, &ids).await? {
            let (entry, receipt) = rows::ledger_entry(row)?;
            if let Some(player) = players.get_mut(&entry.user_id) {
                fold(Arc::make_mut(player), &entry, &rules)?;
                facts.entry(entry.user_id).or_default().push((entry, receipt));
            }
        }
        let waiting: Vec<_> =
            facts.iter().filter_map(|(id, facts)| Some(Waiting { state: players.get(id)?, facts })).collect();
        store(connection, &rules, &waiting).await?;
        done(connection, &Vec::from_iter(ids)).await?;
    }
}

/// The same in a transaction of its own, on a connection that nobody else uses.
pub(crate) async fn catch_up_alone(connection: &DatabaseConnection) -> StoreResult<()> {
    if !is_behind(connection).await? {
        return Ok(());
    }
    let transaction = connection
        .begin_with_options(dialect::writing(connection.get_database_backend()))
        .await
        .during("catching up")?;
    catch_up(&transaction).await?;
    transaction.commit().await.during("catching up")
}

/// Facts of these players that are newer than what is derived.
async fn waiting(connection: &impl ConnectionTrait, ids: &BTreeSet<UserId>) -> StoreResult<Vec<ledger::Model>> {
    ledger::Entity::find()
        .join(
            JoinType::InnerJoin,
            ledger::Entity::belongs_to(users::Entity).from(ledger::Column::UserId).to(users::Column::UserId).into(),
        )
        .filter(ledger::Column::UserId.is_in(ids.iter().map(|id| id.get())))
        .filter(Expr::col((ledger::Entity, ledger::Column::Seq)).gt(Expr::col((users::Entity, users::Column::LastSeq))))
        .order_by_asc(ledger::Column::UserId)
        .order_by_asc(ledger::Column::Seq)
        .all(connection)
        .await
        .during("reading facts that wait")
}
