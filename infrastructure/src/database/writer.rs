//! Group commit: the moves that wait are judged together and share one transaction.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use trivia_domain::play::{Command, Outcome};
use trivia_domain::{StoreError, StoreResult};

use super::core::Core;
use super::transaction::Transaction;
use crate::error::repeat;
use crate::read_model::Effects;
use crate::repository::moves::{self, Trust};

/// Most moves of one transaction.
const BATCH: usize = 256;

/// A move and who waits for it.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) at: DateTime<Utc>,
    pub(crate) reply: oneshot::Sender<StoreResult<Outcome>>,
}

/// Serves moves until nobody can send one any more. A batch is what waits: a single caller is
/// never delayed to form one.
pub(crate) async fn run(core: Arc<Core>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let waiting = std::mem::take(&mut batch);
        // a task of its own, so that a panic fails this batch and not the writer
        if let Err(error) = tokio::spawn(serve(Arc::clone(&core), waiting)).await {
            tracing::error!(%error, "a batch of moves failed");
        }
    }
}

async fn serve(core: Arc<Core>, jobs: Vec<Job>) {
    let moves: Vec<_> = jobs.iter().map(|job| (&job.command, job.at)).collect();
    match commit(&core, &moves).await {
        Ok(outcomes) => {
            for (job, outcome) in jobs.into_iter().zip(outcomes) {
                // a caller who has gone away can ask again with the same key
                let _ = job.reply.send(outcome);
            }
        }
        Err(error @ StoreError::Backend { .. }) if jobs.len() > 1 => {
            tracing::warn!(%error, moves = jobs.len(), "a batch failed, its moves are tried one by one");
            for job in jobs {
                let alone = commit(&core, &[(&job.command, job.at)]).await;
                let _ = job.reply.send(alone.and_then(|mut outcomes| {
                    outcomes.pop().unwrap_or_else(|| Err(StoreError::backend("a move", "it has no outcome")))
                }));
            }
        }
        Err(error) => {
            for job in jobs {
                let _ = job.reply.send(Err(repeat(&error)));
            }
        }
    }
}

/// Judges the moves in order, stores what they changed, and commits; only then is anybody told. They are
/// taken for new ones first; when that fails, most likely because one of them is not, all are looked up.
async fn commit(core: &Arc<Core>, moves: &[(&Command, DateTime<Utc>)]) -> StoreResult<Vec<StoreResult<Outcome>>> {
    match attempt(core, moves, Trust::New).await {
        Err(StoreError::Backend { .. }) => attempt(core, moves, Trust::Nothing).await,
        result => result,
    }
}

async fn attempt(
    core: &Arc<Core>,
    moves: &[(&Command, DateTime<Utc>)],
    trust: Trust,
) -> StoreResult<Vec<StoreResult<Outcome>>> {
    let transaction = Transaction::begin(core, "moves", Effects::NONE).await?;
    let applied = moves::apply(&*transaction, core, moves, core.model.take_warm(), trust).await;
    if trust == Trust::Nothing {
        core.monitor.observe(&applied, || core.clock.now());
    }
    let (outcomes, effects) = applied?;
    transaction.tell(effects);
    transaction.commit().await?;
    Ok(outcomes)
}
