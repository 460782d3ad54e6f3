//! What moves changed.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait, Statement,
};
use trivia_domain::model::{GameSession, QuestionId, SessionId, SessionStatus, UserId};
use trivia_domain::play::{Changes, WorkingSet, question_counts};
use trivia_domain::{StoreError, StoreResult};

use crate::database::{advance, number};
use crate::entity::{closed_periods, game_sessions, ledger, live_sessions, question_counters, session_questions};
use crate::error::During;
use crate::repository::portions::portions;
use crate::repository::{challenges, projection, rows, together};

/// Writes what moves changed, but not what follows about players; and notes whose facts wait for that. Returns the
/// number that the commit will have, if anything changed.
pub(super) async fn store(
    connection: &impl ConnectionTrait,
    set: &WorkingSet,
    changes: &Changes,
    waiting: &[UserId],
) -> StoreResult<Option<i64>> {
    if changes.is_empty() {
        return Ok(None);
    }
    store_sessions(connection, set, &changes.sessions).await?;
    challenges::store(connection, &changes.challenges).await?;
    if !changes.closings.is_empty() {
        let rows = changes.closings.iter().map(|closing| rows::closing_row(closing).into_active_model());
        closed_periods::Entity::insert_many(rows)
            .exec_without_returning(connection)
            .await
            .during("closing a period")?;
    }
    let backend = connection.get_database_backend();
    let facts = changes
        .entries
        .iter()
        .map(|(entry, receipt)| Ok(rows::ledger_row(entry, receipt)?.into_active_model()))
        .collect::<StoreResult<Vec<_>>>()?;
    let facts = portions(facts, backend).map(|facts| ledger::Entity::insert_many(facts).build(backend));
    let counts = count(question_counts(changes.entries.iter().map(|(entry, _)| entry)), backend);
    let noted = projection::note(waiting, backend);
    let statements = facts.chain(counts).chain(noted).chain(advance(connection));
    let rows = together::execute_all(connection, statements.collect(), "appending to the ledger").await?;
    rows.last().map(number).transpose()
}

fn count(
    counts: impl IntoIterator<Item = (QuestionId, (u64, u64))>,
    backend: DbBackend,
) -> impl Iterator<Item = Statement> {
    use question_counters::{Column, Entity};

    let rows = counts.into_iter().map(|(id, (asked, correct))| {
        question_counters::Model {
            question_id: id.get(),
            times_asked: rows::stored(asked),
            times_correct: rows::stored(correct),
            opening_asked: 0,
            opening_correct: 0,
        }
        .into_active_model()
    });
    let grown = |column: Column| Expr::col((Entity, column)).add(Expr::col(("excluded", column)));
    // the opening columns of a row that is there stay as they are: the ledger does not explain them
    let add = OnConflict::column(Column::QuestionId)
        .value(Column::TimesAsked, grown(Column::TimesAsked))
        .value(Column::TimesCorrect, grown(Column::TimesCorrect))
        .to_owned();
    portions(rows, backend).map(move |rows| Entity::insert_many(rows).on_conflict(add.clone()).build(backend))
}

async fn store_sessions(
    connection: &impl ConnectionTrait,
    set: &WorkingSet,
    changed: &BTreeSet<SessionId>,
) -> StoreResult<()> {
    let changed: Vec<&GameSession> = changed.iter().filter_map(|id| set.sessions.get(id)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    {
        use game_sessions::Column;
        let rows = changed.iter().map(|session| game_sessions::Model::from(*session).into_active_model());
        let replace = OnConflict::column(Column::Id)
            .update_columns([Column::Status, Column::Position, Column::EndedAt])
            .to_owned();
        game_sessions::Entity::insert_many(rows)
            .on_conflict(replace)
            .exec_without_returning(connection)
            .await
            .during("storing sessions")?;
    }
    {
        use session_questions::Column;
        let rows: Vec<_> = changed
            .iter()
            .flat_map(|session| {
                session.questions.iter().enumerate().map(|(position, asked)| {
                    session_questions::Model {
                        session_id: session.id.get(),
                        position: rows::stored(position as u64),
                        question_id: asked.question_id.get(),
                        version: asked.version.into(),
                        opened_at: asked.opened_at,
                    }
                    .into_active_model()
                })
            })
            .collect();
        let replace =
            OnConflict::columns([Column::SessionId, Column::Position]).update_column(Column::OpenedAt).to_owned();
        for rows in rows.chunks(CHUNK) {
            session_questions::Entity::insert_many(rows.to_vec())
                .on_conflict(replace.clone())
                .exec_without_returning(connection)
                .await
                .during("storing the questions of sessions")?;
        }
    }
    let (live, over): (Vec<&GameSession>, Vec<&GameSession>) =
        changed.into_iter().partition(|session| session.status == SessionStatus::Live);
    if !over.is_empty() {
        live_sessions::Entity::delete_many()
            .filter(live_sessions::Column::ChannelId.is_in(over.iter().map(|session| session.channel_id.get())))
            .filter(live_sessions::Column::SessionId.is_in(over.iter().map(|session| session.id.get())))
            .exec(connection)
            .await
            .during("freeing channels")?;
    }
    if !live.is_empty() {
        let rows = live.iter().map(|session| {
            live_sessions::Model { channel_id: session.channel_id.get(), session_id: session.id.get() }
                .into_active_model()
        });
        // the same session again is no news
        let occupant = |table: &'static str| Expr::col((table, live_sessions::Column::SessionId));
        let same = OnConflict::column(live_sessions::Column::ChannelId)
            .update_column(live_sessions::Column::SessionId)
            .action_and_where(occupant("live_sessions").eq(occupant("excluded")))
            .to_owned();
        let occupied = live_sessions::Entity::insert_many(rows).on_conflict(same).exec_without_returning(connection);
        if occupied.await.during(OCCUPYING)? < live.len() as u64 {
            return Err(StoreError::backend(OCCUPYING, "another session was faster in one of them"));
        }
    }
    Ok(())
}

const OCCUPYING: &str = "occupying channels";

/// Rows of one statement: five values each stay far below SQLite's limit of 32,766.
const CHUNK: usize = 1_000;
