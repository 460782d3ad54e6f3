//! The rules as they are stored.

use std::sync::{Arc, PoisonError};

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::model::{Calendar, Language};
use trivia_domain::play::{Catalog, RuleBook};
use trivia_domain::{StoreError, StoreResult};

use super::rows;
use crate::database::Core;
use crate::entity::{achievement_definitions, rule_book};
use crate::error::{During, bad_row};

/// The one row of `rule_book`.
const BOOK: i64 = 1;

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

/// The rules as they are stored.
pub(crate) async fn load(connection: &impl ConnectionTrait) -> StoreResult<RuleBook> {
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
    let language = book.challenge_language.map(|language| Language::new(&language)).transpose();
    let challenge_language = language.map_err(|error| bad_row("rule_book", BOOK, error))?;
    Ok(RuleBook { catalog: Catalog::new(revisions)?, calendar, challenge_language })
}

/// Adds what is new and marks what was retired; nothing else about a revision ever changes.
pub(super) async fn store(connection: &impl ConnectionTrait, rules: &RuleBook) -> StoreResult<()> {
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
        .col_expr(
            rule_book::Column::ChallengeLanguage,
            Expr::value(rules.challenge_language.as_ref().map(Language::to_string)),
        )
        .filter(rule_book::Column::Id.eq(BOOK))
        .exec(connection)
        .await
        .during("changing the rules")?;
    Ok(())
}
