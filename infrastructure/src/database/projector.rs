//! Projecting facts that wait: in slices, so that moves are made in between.

use std::sync::Arc;
use std::time::Instant;

use trivia_domain::{StoreError, StoreResult};

use super::core::Core;
use super::transaction::{Needs, Transaction};
use crate::read_model::{Behind, Effects, Whose};
use crate::repository::projection;

/// Most players whose facts are projected in one transaction.
pub(super) const SLICE: usize = 256;

/// Projects facts that wait since an instant or longer, of one player or of those who wait longest.
pub(crate) async fn project(core: &Arc<Core>, whose: Whose, until: Instant) -> StoreResult<()> {
    let needs = match whose {
        Whose::Player(id) => Needs::Player(id),
        Whose::Everybody => Needs::AtHand,
    };
    let mut transaction = Transaction::begin(core, "projecting", needs, Effects::NONE).await?;
    if whose == Whose::Everybody {
        transaction.project(SLICE, Some(until)).await?;
    }
    transaction.commit().await
}

/// Makes sure that what is read next shows the facts of a player, or of everybody, that were recorded before
/// this call. `false` when nothing can be written: then it may lack some, and must not be kept.
pub(crate) async fn settle(core: &Arc<Core>, whose: Whose) -> StoreResult<bool> {
    if core.is_shared() {
        return Ok(true);
    }
    let until = Instant::now();
    // what waits cannot be stored then; what cannot be read says so itself
    if core.monitor.refuse_if_damaged().is_err() {
        return Ok(false);
    }
    loop {
        let stored = match core.model.behind(whose, until) {
            Behind::Nothing => return Ok(true),
            Behind::Something => project(core, whose, until).await,
            Behind::Unknown(moment) => {
                let reader = core.reader().await?;
                if !projection::is_behind(&*reader).await? {
                    core.model.nothing_is_behind(moment);
                    return Ok(true);
                }
                drop(reader);
                catch_up(core).await
            }
        };
        match stored {
            Ok(()) => {}
            // reads go on when nothing can be written
            Err(
                error @ (StoreError::DiskFull { .. } | StoreError::ReadOnly { .. } | StoreError::OutcomeUnknown { .. }),
            ) => {
                tracing::warn!(%error, "what is read now may lack the newest facts of some players");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Projects what another process, or an earlier one, has left waiting.
async fn catch_up(core: &Arc<Core>) -> StoreResult<()> {
    Transaction::begin(core, "catching up", Needs::AtHand, Effects::NONE).await?.commit().await
}
