//! When maintenance last ran, and what of it fails.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel};
use trivia_domain::StoreResult;
use trivia_domain::model::{Failing, Task, TaskRecord};

use super::core::Core;
use super::transaction::{Needs, Transaction};
use crate::entity::maintenance_runs::{Column, Entity, Model};
use crate::error::During;
use crate::read_model::Effects;

/// Name of the row that says since when a task fails; the row under the task's own name says when it was done.
fn failing(task: Task) -> String {
    format!("{task}:failing")
}

/// What is known of each task.
pub(super) async fn load(connection: &impl ConnectionTrait) -> StoreResult<Vec<TaskRecord>> {
    let rows = Entity::find().all(connection).await.during("reading maintenance runs")?;
    let mut rows: HashMap<String, Model> = rows.into_iter().map(|row| (row.task.clone(), row)).collect();
    let record = |task: Task| {
        let failing = rows.remove(&failing(task)).map(|row| Failing { since: row.ran_at, reason: row.detail });
        match rows.remove(task.as_str()) {
            Some(done) => TaskRecord { task, done_at: Some(done.ran_at), detail: done.detail, failing },
            None => TaskRecord { failing, ..TaskRecord::new(task) },
        }
    };
    Ok(Task::ALL.map(record).into())
}

/// Remembers an attempt at a task.
pub(super) async fn note(
    core: &Arc<Core>,
    task: Task,
    at: DateTime<Utc>,
    outcome: Result<String, String>,
) -> StoreResult<()> {
    let transaction = Transaction::begin(core, "remembering a task", Needs::Nothing, Effects::NONE).await?;
    match outcome {
        Ok(detail) => {
            let done = Model { task: task.as_str().to_owned(), ran_at: at, ok: true, detail };
            put(&*transaction, done, &[Column::RanAt, Column::Ok, Column::Detail]).await?;
            let mended = Entity::delete_by_id(failing(task)).exec(&*transaction).await;
            mended.during("remembering a task")?;
        }
        // the instant stays that of the first failure
        Err(detail) => {
            put(&*transaction, Model { task: failing(task), ran_at: at, ok: false, detail }, &[Column::Detail]).await?;
        }
    }
    transaction.commit().await
}

/// Writes a row, or these columns of it when there is one.
pub(super) async fn put(connection: &impl ConnectionTrait, row: Model, columns: &[Column]) -> StoreResult<()> {
    let replace = OnConflict::column(Column::Task).update_columns(columns.iter().copied()).to_owned();
    Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(connection)
        .await
        .during("remembering a task")
        .map(drop)
}
