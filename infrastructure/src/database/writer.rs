//! Group commit: the moves that wait are judged together and share one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use trivia_domain::play::{Command, Outcome};
use trivia_domain::{StoreError, StoreResult};

use super::core::Core;
use super::projector::project;
use super::transaction::{Needs, Transaction};
use crate::error::repeat;
use crate::read_model::{Effects, Whose};
use crate::repository::moves::{self, Projection, Trust};

/// Most moves of one transaction.
const BATCH: usize = 256;
/// Most players whose facts may wait, some 4 kB each.
const PENDING: usize = 16_384;
/// After how long without a move facts wait no longer.
const IDLE: Duration = Duration::from_millis(10);
/// How long the writer leaves a projection alone that has failed.
const REST: Duration = Duration::from_secs(1);

/// A move and who waits for it.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) at: DateTime<Utc>,
    pub(crate) reply: oneshot::Sender<StoreResult<Outcome>>,
}

/// Serves moves until nobody can send one any more. A batch is what waits: a single caller is
/// never delayed to form one. What follows from the facts is projected when there is nothing else to do,
/// or when it has waited long enough.
pub(crate) async fn run(core: Arc<Core>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut rest = Instant::now();
    loop {
        let waits = core.model.waiting();
        let received = jobs.recv_many(&mut batch, BATCH);
        let received = match waits {
            None => Ok(received.await),
            Some(_) => tokio::time::timeout(IDLE, received).await,
        };
        let is_idle = received.is_err();
        match received {
            Ok(0) => return,
            Ok(_) => {
                let waiting = std::mem::take(&mut batch);
                // a task of its own, so that a panic fails this batch and not the writer
                if let Err(error) = tokio::spawn(serve(Arc::clone(&core), waiting)).await {
                    tracing::error!(%error, "a batch of moves failed");
                }
            }
            Err(_) => {}
        }
        let Some((since, players)) = core.model.waiting() else { continue };
        let is_due = is_idle || players > PENDING || since.elapsed() >= core.options.projection_delay;
        if is_due && Instant::now() >= rest {
            if let Err(error) = project(&core, Whose::Everybody, Instant::now()).await {
                // nothing is lost: the facts are in the ledger
                tracing::warn!(%error, players, "what follows from the newest facts could not be stored yet");
                rest = Instant::now() + REST;
            }
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
    // closing a period counts its players, starting over clears tables
    let is_rare = |command: &Command| matches!(command, Command::Close(_) | Command::Reset(_));
    let at_once = moves.iter().any(|(command, _)| is_rare(command));
    let needs = if at_once { Needs::Everything } else { Needs::AtHand };
    let mut transaction = Transaction::begin(core, "moves", needs, Effects::NONE).await?;
    let waits = !at_once && transaction.is_remembered() && !core.options.projection_delay.is_zero();
    let projection = if waits { Projection::Later } else { Projection::Now };
    let (connection, warm) = transaction.parts();
    let applied = moves::apply(connection, core, moves, warm, trust, projection).await;
    if trust == Trust::Nothing {
        core.monitor.observe(&applied, || core.clock.now());
    }
    let (outcomes, effects) = applied?;
    transaction.tell(effects);
    transaction.commit().await?;
    Ok(outcomes)
}
