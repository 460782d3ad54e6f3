use std::collections::BTreeMap;

use async_trait::async_trait;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::model::{Fact, Page, TimeZone, UserId, UserProfile};
use trivia_domain::play::Dimension;
use trivia_domain::ports::{RecentAnswer, UserBreakdown, UserRepository};
use trivia_domain::{StoreError, StoreResult};

use super::Repository;
use super::{players, rows};
use crate::database::Needs;
use crate::entity::{ledger, users};
use crate::error::During;
use crate::read_model::{Changed, Effects, Whose};

/// Answers that a breakdown shows.
const RECENT: u64 = 10;

#[async_trait]
impl UserRepository for Repository {
    async fn find(&self, id: UserId) -> StoreResult<Option<UserProfile>> {
        let Some(model) = self.scope.model().await else {
            return find(&self.scope.read("finding a user").await?.connection(), id).await;
        };
        if let Some(profile) = model.profile(id) {
            return Ok(Some(profile));
        }
        let is_whole = self.scope.settle(Whose::Player(id)).await?;
        let moment = model.moment();
        let profile = find(&self.scope.read("finding a user").await?.connection(), id).await?;
        if let Some(profile) = profile.as_ref().filter(|_| is_whole) {
            model.keep_profile(moment, profile);
        }
        Ok(profile)
    }

    async fn get(&self, id: UserId) -> StoreResult<UserProfile> {
        UserRepository::find(self, id).await?.ok_or_else(|| StoreError::missing("user", id))
    }

    async fn get_or_create(&self, id: UserId) -> StoreResult<UserProfile> {
        if let Some(profile) = UserRepository::find(self, id).await? {
            return Ok(profile);
        }
        let writing = self.scope.write("creating a user", Needs::Nothing, Effects::NONE).await?;
        let fresh = UserProfile::new(id, self.scope.core().clock.now());
        users::Entity::insert(users::Model::from(&fresh).into_active_model())
            .on_conflict(OnConflict::column(users::Column::UserId).do_nothing().to_owned())
            .exec_without_returning(&*writing)
            .await
            .during("creating a user")?;
        // somebody else may have been first
        let profile = find(&*writing, id).await?.ok_or_else(|| StoreError::missing("user", id))?;
        writing.commit().await?;
        Ok(profile)
    }

    async fn set_time_zone(&self, id: UserId, zone: TimeZone) -> StoreResult<UserProfile> {
        let writing = self.scope.write("setting a time zone", Needs::Player(id), Effects::NONE).await?;
        users::Entity::update_many()
            .col_expr(users::Column::TimeZone, zone.as_str().into())
            .filter(users::Column::UserId.eq(id.get()))
            .exec(&*writing)
            .await
            .during("setting a time zone")?;
        let profile = find(&*writing, id).await?.ok_or_else(|| StoreError::missing("user", id))?;
        writing.tell(Effects::on(vec![Changed::profile(profile.clone())]));
        writing.commit().await?;
        Ok(profile)
    }

    async fn list(&self, page: Page) -> StoreResult<Vec<UserProfile>> {
        self.scope.settle(Whose::Everybody).await?;
        let reading = self.scope.read("listing users").await?;
        users::Entity::find()
            .filter(users::Column::UserId.gt(page.after.unwrap_or(-1)))
            .order_by_asc(users::Column::UserId)
            .limit(u64::from(page.limit))
            .all(&reading.connection())
            .await
            .during("listing users")?
            .into_iter()
            .map(UserProfile::try_from)
            .collect()
    }

    async fn breakdown(&self, id: UserId) -> StoreResult<UserBreakdown> {
        self.scope.settle(Whose::Player(id)).await?;
        let snapshot = self.scope.snapshot("reading a user's breakdown").await?;
        breakdown(&*snapshot, id).await
    }
}

/// A player's history in sums.
pub(super) async fn breakdown(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<UserBreakdown> {
    let profile = find(connection, id).await?.ok_or_else(|| StoreError::missing("user", id))?;
    let (mut by_difficulty, mut by_category) = (BTreeMap::new(), BTreeMap::new());
    for (dimension, tally) in players::tallies(connection, id).await? {
        match dimension {
            Dimension::Difficulty(difficulty) => drop(by_difficulty.insert(difficulty, tally)),
            Dimension::Category(category) => drop(by_category.insert(category, tally)),
        }
    }
    let recent = ledger::Entity::find()
        .filter(ledger::Column::UserId.eq(id.get()))
        .filter(ledger::Column::Kind.eq("answer"))
        // newer ones are not in the sums yet
        .filter(ledger::Column::Seq.lte(rows::stored(profile.last_seq)))
        .order_by_desc(ledger::Column::Seq)
        .limit(RECENT)
        .all(connection)
        .await
        .during("reading a user's last answers")?
        .into_iter()
        .filter_map(|row| match rows::ledger_entry(row) {
            Ok((entry, _)) => match entry.fact {
                Fact::Answer(answer) => Some(Ok(RecentAnswer {
                    question_id: answer.question_id,
                    correct: answer.correct,
                    points: answer.points,
                    at: entry.at,
                })),
                _ => None,
            },
            Err(error) => Some(Err(error)),
        })
        .collect::<StoreResult<_>>()?;
    Ok(UserBreakdown { by_difficulty, by_category, recent })
}

pub(super) async fn find(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<Option<UserProfile>> {
    // `all` and not `one`: a bound LIMIT makes SQLite prepare the statement again each time
    let mut found = users::Entity::find_by_id(id.get()).all(connection).await.during("finding a user")?;
    found.pop().map(UserProfile::try_from).transpose()
}
