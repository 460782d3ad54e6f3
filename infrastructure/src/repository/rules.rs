use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::model::{AchievementDefinition, AchievementId, Calendar};
use trivia_domain::play::{Catalog, RuleBook};
use trivia_domain::ports::RulesPort;
use trivia_domain::{StoreError, StoreResult};

use super::{Repository, drift, rows};
use crate::database::Core;
use crate::entity::{achievement_definitions, ledger, rule_book};
use crate::error::{During, bad_row};
use crate::read_model::Effects;

/// The one row of `rule_book`.
const BOOK: i64 = 1;

#[async_trait]
impl RulesPort for Repository {
    async fn rules(&self) -> StoreResult<RuleBook> {
        let snapshot = self.scope.snapshot("reading the rules").await?;
        Ok(RuleBook::clone(&*current(self.scope.core(), &*snapshot).await?))
    }

    async fn define_achievement(&self, definition: AchievementDefinition) -> StoreResult<u64> {
        self.change(|rules, at| rules.catalog.define(definition, at)).await
    }

    async fn retire_achievement(&self, id: &AchievementId) -> StoreResult<()> {
        let retire = |rules: &mut RuleBook, at| match rules.catalog.retire(id, at) {
            true => Ok(true),
            false => Err(StoreError::missing("achievement", id)),
        };
        self.change(retire).await.map(drop)
    }

    async fn set_calendar(&self, calendar: Calendar) -> StoreResult<u64> {
        let set = |rules: &mut RuleBook, _| {
            let changed = rules.calendar != calendar;
            rules.calendar = calendar;
            Ok(changed)
        };
        self.change(set).await
    }
}

impl Repository {
    /// Changes the rules and everything that follows from them, in one transaction. Returns how many
    /// players changed.
    async fn change(
        &self,
        change: impl FnOnce(&mut RuleBook, DateTime<Utc>) -> StoreResult<bool> + Send,
    ) -> StoreResult<u64> {
        let writing = self.scope.write("changing the rules", Effects::UNKNOWN).await?;
        let mut rules = RuleBook::clone(&*current(self.scope.core(), &*writing).await?);
        let now = self.scope.core().clock.now();
        // when the clock went back, what counted for the newest fact counts on
        let at = newest_fact(&*writing).await?.filter(|newest| *newest > now).unwrap_or(now);
        if !change(&mut rules, at)? {
            return Ok(0);
        }
        store(&*writing, &rules).await?;
        let changed = drift::refold(&*writing, &rules).await?;
        writing.commit().await?;
        Ok(changed)
    }
}

/// When the newest fact was recorded.
async fn newest_fact(connection: &impl ConnectionTrait) -> StoreResult<Option<DateTime<Utc>>> {
    let newest: Vec<Option<DateTime<Utc>>> = ledger::Entity::find()
        .select_only()
        .column_as(ledger::Column::At.max(), "newest")
        .into_tuple()
        .all(connection)
        .await
        .during("looking for the newest fact")?;
    Ok(newest.into_iter().next().flatten())
}

/// The rules that hold on this connection; read again only when somebody has changed them, in this process
/// or another.
pub(super) async fn current(core: &Core, connection: &impl ConnectionTrait) -> StoreResult<Arc<RuleBook>> {
    let revisions: Vec<i64> = rule_book::Entity::find_by_id(BOOK)
        .select_only()
        .column(rule_book::Column::Revision)
        .into_tuple()
        .all(connection)
        .await
        .during("looking for new rules")?;
    let revision = revisions.first().copied().ok_or_else(|| bad_row("rule_book", BOOK, "it is missing"))?;
    let known = || core.rules.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, rules)) = known().as_ref().filter(|(known, _)| *known == revision) {
        return Ok(Arc::clone(rules));
    }
    let rules = Arc::new(load(connection).await?);
    *known() = Some((revision, Arc::clone(&rules)));
    Ok(rules)
}

async fn load(connection: &impl ConnectionTrait) -> StoreResult<RuleBook> {
    let book = rule_book::Entity::find_by_id(BOOK).all(connection).await.during("reading the calendar")?.pop();
    let book = book.ok_or_else(|| bad_row("rule_book", BOOK, "it is missing"))?;
    let bad = |error: StoreError| bad_row("rule_book", BOOK, error);
    let zone = book.zone.parse().map_err(bad)?;
    let calendar = Calendar { zone, week_start: book.week_start.parse().map_err(bad)? };
    let revisions = achievement_definitions::Entity::find()
        .order_by_asc(achievement_definitions::Column::Revision)
        .all(connection)
        .await
        .during("reading the achievements")?
        .into_iter()
        .map(rows::revision)
        .collect::<StoreResult<_>>()?;
    Ok(RuleBook { catalog: Catalog::new(revisions)?, calendar })
}

/// Adds what is new and marks what was retired; nothing else about a revision ever changes.
async fn store(connection: &impl ConnectionTrait, rules: &RuleBook) -> StoreResult<()> {
    use achievement_definitions::{Column, Entity};

    let stored = load(connection).await?;
    let revisions = || rules.catalog.revisions().iter().zip(1..);
    for (revision, number) in revisions().take(stored.catalog.revisions().len()) {
        if let Some(retired_at) = revision.retired_at {
            Entity::update_many()
                .col_expr(Column::RetiredAt, Expr::value(retired_at))
                .filter(Column::Revision.eq(number))
                .filter(Column::RetiredAt.is_null())
                .exec(connection)
                .await
                .during("retiring an achievement")?;
        }
    }
    for (revision, number) in revisions().skip(stored.catalog.revisions().len()) {
        Entity::insert(rows::revision_row(revision, number)?.into_active_model())
            .exec_without_returning(connection)
            .await
            .during("defining an achievement")?;
    }
    rule_book::Entity::update_many()
        .col_expr(rule_book::Column::Revision, Expr::col(rule_book::Column::Revision).add(1))
        .col_expr(rule_book::Column::Zone, rules.calendar.zone.as_str().into())
        .col_expr(rule_book::Column::WeekStart, rules.calendar.week_start.as_str().into())
        .filter(rule_book::Column::Id.eq(BOOK))
        .exec(connection)
        .await
        .during("changing the rules")?;
    Ok(())
}
