use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::NotSet;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter,
    QueryOrder, QuerySelect,
};
use trivia_domain::model::{Page, QuestionId, QuestionReport, ReportId, ReportOutcome, ReportReason, UserId};
use trivia_domain::play::unite_reports;
use trivia_domain::ports::{FileReport, ReportFilter, ReportRepository, ReportedQuestion};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::{Repository, questions, rows, users};
use crate::database::Needs;
use crate::dialect;
use crate::entity::question_reports::{ActiveModel, Column, Entity};
use crate::error::{During, bad_row};
use crate::read_model::Effects;

/// Rows of one statement.
const CHUNK: usize = 1_000;

#[async_trait]
impl ReportRepository for Repository {
    async fn file(&self, report: FileReport) -> StoreResult<QuestionReport> {
        let writing = self.scope.write("reporting a question", Needs::Nothing, Effects::NONE).await?;
        dialect::lock_players(&*writing, &BTreeSet::from([report.user_id])).await?;
        require(&*writing, &report).await?;
        let report = file(&*writing, report, self.scope.core().clock.now()).await?;
        writing.commit().await?;
        Ok(report)
    }

    async fn list(&self, filter: &ReportFilter, page: Page) -> StoreResult<Vec<QuestionReport>> {
        let reading = self.scope.read("listing reports").await?;
        let matching = Condition::all()
            .add(Column::Id.gt(page.after.unwrap_or(-1)))
            .add_option(filter.question.map(|question| Column::QuestionId.eq(question.get())))
            .add_option((!filter.settled).then(is_open));
        Entity::find()
            .filter(matching)
            .order_by_asc(Column::Id)
            .limit(u64::from(page.limit))
            .all(&reading.connection())
            .await
            .during("listing reports")?
            .into_iter()
            .map(rows::report)
            .collect()
    }

    async fn reported(&self, limit: u32) -> StoreResult<Vec<ReportedQuestion>> {
        let snapshot = self.scope.snapshot("summing up reports").await?;
        let most: Vec<(i64, i64, DateTime<Utc>)> = Entity::find()
            .select_only()
            .column(Column::QuestionId)
            .column_as(Column::Id.count(), "open")
            .column_as(Column::ReportedAt.min(), "since")
            .filter(is_open())
            .group_by(Column::QuestionId)
            .order_by(Column::Id.count(), Order::Desc)
            .order_by_asc(Column::QuestionId)
            .limit(u64::from(limit))
            .into_tuple()
            .all(&*snapshot)
            .await
            .during("summing up reports")?;
        let mut reported = Vec::with_capacity(most.len());
        for most in most.chunks(CHUNK) {
            let mut reasons = reasons(&*snapshot, most.iter().map(|(question, ..)| *question)).await?;
            for &(question, open, since) in most {
                let bad = |error: StoreError| bad_row("question_reports", question, error);
                reported.push(ReportedQuestion {
                    question_id: QuestionId::new(question).map_err(bad)?,
                    open: u64::try_from(open).unwrap_or(0),
                    reasons: reasons.remove(&question).unwrap_or_default(),
                    since,
                });
            }
        }
        Ok(reported)
    }

    async fn settle(&self, question: QuestionId, outcome: ReportOutcome) -> StoreResult<u64> {
        let writing = self.scope.write("settling reports", Needs::Alone, Effects::NONE).await?;
        questions::require(&*writing, question).await?;
        let settled = Entity::update_many()
            .col_expr(Column::Outcome, Expr::value(outcome.as_str()))
            .col_expr(Column::SettledAt, Expr::value(self.scope.core().clock.now()))
            .filter(Column::QuestionId.eq(question.get()))
            .filter(is_open())
            .exec(&*writing)
            .await
            .during("settling reports")?;
        writing.commit().await?;
        Ok(settled.rows_affected)
    }
}

fn is_open() -> sea_orm::sea_query::SimpleExpr {
    Column::SettledAt.is_null()
}

/// Player, question and version must be there.
async fn require(connection: &impl ConnectionTrait, report: &FileReport) -> StoreResult<()> {
    let FileReport { question_id, version, user_id, .. } = *report;
    users::find(connection, user_id).await?.ok_or_else(|| StoreError::missing("user", user_id))?;
    let newest = questions::require(connection, question_id).await?;
    if newest != i64::from(version) && questions::earlier(connection, question_id, version).await?.is_none() {
        return Err(StoreError::missing("version of a question", format!("{question_id}/{version}")));
    }
    Ok(())
}

async fn file(connection: &impl ConnectionTrait, said: FileReport, now: DateTime<Utc>) -> StoreResult<QuestionReport> {
    let FileReport { question_id, version, user_id, reason, note } = said;
    let action = "reporting a question";
    let open: Vec<(i64, i64)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::QuestionId])
        .filter(Column::UserId.eq(user_id.get()))
        .filter(is_open())
        .into_tuple()
        .all(connection)
        .await
        .during(action)?;
    let before = open.iter().find(|(_, question)| *question == question_id.get()).map(|(id, _)| *id);
    let id = ReportId::new(before.unwrap_or_default())?;
    let said = QuestionReport { id, question_id, version, user_id, reason, note, reported_at: now, settled: None };
    if let Some(before) = before {
        let mut found = Entity::find_by_id(before).all(connection).await.during(action)?;
        let before = found.pop().ok_or_else(|| StoreError::backend(action, "the open report is gone"))?;
        let report = rows::report(before)?.followed_by(said);
        rows::report_row(&report).into_active_model().reset_all().update(connection).await.during(action)?;
        return Ok(report);
    }
    if open.len() as u64 >= QuestionReport::MOST_OPEN {
        return Err(Refusal::TooManyReports { most: QuestionReport::MOST_OPEN }.into());
    }
    let row = ActiveModel { id: NotSet, ..rows::report_row(&said).into_active_model() };
    rows::report(row.insert(connection).await.during(action)?)
}

/// How many open reports of each question give which reason.
async fn reasons(
    connection: &impl ConnectionTrait,
    questions: impl Iterator<Item = i64>,
) -> StoreResult<BTreeMap<i64, BTreeMap<ReportReason, u64>>> {
    let found: Vec<(i64, String, i64)> = Entity::find()
        .select_only()
        .columns([Column::QuestionId, Column::Reason])
        .column_as(Column::Id.count(), "open")
        .filter(Column::QuestionId.is_in(questions))
        .filter(is_open())
        .group_by(Column::QuestionId)
        .group_by(Column::Reason)
        .into_tuple()
        .all(connection)
        .await
        .during("summing up reports")?;
    let mut reasons: BTreeMap<i64, BTreeMap<ReportReason, u64>> = BTreeMap::new();
    for (question, reason, open) in found {
        let reason = reason.parse().map_err(|error: StoreError| bad_row("question_reports", question, error))?;
        reasons.entry(question).or_default().insert(reason, u64::try_from(open).unwrap_or(0));
    }
    Ok(reasons)
}

/// The reports of a player, in order of id.
pub(super) async fn of(connection: &impl ConnectionTrait, user: UserId) -> StoreResult<Vec<QuestionReport>> {
    Entity::find()
        .filter(Column::UserId.eq(user.get()))
        .order_by_asc(Column::Id)
        .all(connection)
        .await
        .during("reading the reports of a player")?
        .into_iter()
        .map(rows::report)
        .collect()
}

/// What one player has reported who is both; both lose their own.
pub(super) async fn take_both(
    connection: &impl ConnectionTrait,
    from: UserId,
    into: UserId,
) -> StoreResult<Vec<QuestionReport>> {
    let united = unite_reports(into, of(connection, into).await?, of(connection, from).await?);
    Entity::delete_many()
        .filter(Column::UserId.is_in([from.get(), into.get()]))
        .exec(connection)
        .await
        .during("uniting reports")?;
    Ok(united)
}

/// Puts reports back under their ids.
pub(super) async fn put(connection: &impl ConnectionTrait, reports: &[QuestionReport]) -> StoreResult<()> {
    for reports in reports.chunks(CHUNK) {
        let rows = reports.iter().map(|report| rows::report_row(report).into_active_model());
        Entity::insert_many(rows).exec_without_returning(connection).await.during("uniting reports")?;
    }
    Ok(())
}
