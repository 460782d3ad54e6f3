//! A transaction that may write, and the time that it takes. On a file there is one at a time.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sea_orm::{DatabaseTransaction, TransactionTrait};
use trivia_domain::model::UserId;
use trivia_domain::{StoreError, StoreResult};

use super::core::{Core, WriterGuard};
use super::retry;
use crate::dialect::{self, Gate};
use crate::error::translate;
use crate::read_model::{Effects, Flight, Warm};
use crate::repository::projection;

/// A transaction that may write: of a file the only one.
pub(crate) struct Transaction {
    // dropped in this order: rolled back first, then the next caller may begin
    inner: DatabaseTransaction,
    flight: Flight,
    effects: Mutex<Effects>,
    guard: WriterGuard,
    timer: Timer,
}

/// What a transaction needs: which of the facts that wait it must find projected and, on a server, whether others may
/// write meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// No facts: it neither reads nor changes what is derived.
    Nothing,
    /// No facts, but that nobody else writes.
    Alone,
    /// Those that the writer has not at hand.
    AtHand,
    /// Those of a player.
    Player(UserId),
    /// All, and that nobody else writes.
    Everything,
}

impl Needs {
    const fn gate(self) -> Gate {
        match self {
            Self::Nothing | Self::AtHand | Self::Player(_) => Gate::Shared,
            Self::Alone | Self::Everything => Gate::Alone,
        }
    }
}

impl Transaction {
    /// Begins one that does nothing to the read model but `effects`, and what it is told of later.
    pub(crate) async fn begin(
        core: &Arc<Core>,
        what: &'static str,
        needs: Needs,
        effects: Effects,
    ) -> StoreResult<Self> {
        core.monitor.refuse_if_damaged()?;
        let guard = core.writer().await?;
        let options = dialect::writing(guard.connection.get_database_backend());
        let begun = retry::while_busy(&core.monitor, || guard.connection.begin_with_options(options.clone())).await;
        let begun = match begun {
            Ok(begun) => dialect::enter(&begun, needs.gate()).await.map(|()| begun),
            Err(error) => Err(core.not_begun(error)),
        };
        core.monitor.observe(&begun, || core.clock.now());
        let begun = begun.inspect_err(|error| core.monitor.stop_if_damaged(error));
        let (inner, flight) = (begun?, core.model.begin());
        let timer = Timer::start(core, what);
        let mut transaction = Self { inner, flight, effects: Mutex::new(effects), guard, timer };
        transaction.meet(needs).await.inspect_err(|error| core.monitor.stop_if_damaged(error))?;
        Ok(transaction)
    }

    /// Projects what must not wait.
    async fn meet(&mut self, needs: Needs) -> StoreResult<()> {
        if matches!(needs, Needs::Nothing | Needs::Alone) || self.timer.core.is_shared() {
            return Ok(());
        }
        let Some(warm) = self.flight.warm() else {
            projection::catch_up(&self.inner).await?;
            self.flight.caught_up();
            return Ok(());
        };
        let ids: Vec<_> = match needs {
            Needs::Nothing | Needs::Alone | Needs::AtHand => Vec::new(),
            Needs::Player(id) => warm.pending().contains_key(&id).then_some(id).into_iter().collect(),
            Needs::Everything => warm.pending().keys().copied().collect(),
        };
        self.project_these(ids).await
    }

    /// Projects facts of at most so many of those who wait longest, and since this instant or longer.
    pub(crate) async fn project(&mut self, most: usize, until: Option<Instant>) -> StoreResult<()> {
        let Some(warm) = self.flight.warm() else { return Ok(()) };
        let is_due = |since: Instant| until.is_none_or(|until| since <= until);
        let due = warm.pending().iter().take(most).take_while(|(_, pending)| is_due(pending.since));
        let ids = due.map(|(id, _)| *id).collect();
        self.project_these(ids).await
    }

    async fn project_these(&mut self, ids: Vec<UserId>) -> StoreResult<()> {
        if let Some(warm) = self.flight.warm().filter(|_| !ids.is_empty()) {
            projection::project(&self.timer.core, &self.inner, warm, &ids).await?;
            warm.projected(&ids);
        }
        Ok(())
    }

    /// The connection, and what the writer has at hand.
    pub(crate) fn parts(&mut self) -> (&DatabaseTransaction, Option<&mut Warm>) {
        (&self.inner, self.flight.warm())
    }

    /// Whether what the writer has at hand will still be there for the next transaction.
    pub(crate) const fn is_remembered(&self) -> bool {
        self.flight.is_remembered()
    }

    /// Adds to what the transaction does to the read model.
    pub(crate) fn tell(&self, effects: Effects) {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).add(effects);
    }

    pub(crate) async fn commit(self) -> StoreResult<()> {
        let Self { inner, flight, effects, guard, timer } = self;
        let core = Arc::clone(&timer.core);
        let committed = inner.commit().await.map_err(|error| match translate(error, &core.name()) {
            // refused before anything was written
            busy @ StoreError::Busy { .. } => busy,
            other => {
                core.monitor.stop_if_damaged(&other);
                StoreError::OutcomeUnknown { reason: other.to_string() }
            }
        });
        if committed.is_ok() {
            // before anybody is told, and before anybody else can write
            flight.land(effects.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        drop(guard);
        core.monitor.observe(&committed, || core.clock.now());
        committed
    }
}

impl Deref for Transaction {
    type Target = DatabaseTransaction;
    fn deref(&self) -> &DatabaseTransaction {
        &self.inner
    }
}

/// Tells the monitor how long a connection was held.
pub(crate) struct Timer {
    core: Arc<Core>,
    what: &'static str,
    started: Instant,
}

impl Timer {
    pub(super) fn start(core: &Arc<Core>, what: &'static str) -> Self {
        Self { core: Arc::clone(core), what, started: Instant::now() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.core.monitor.finished(self.what, self.started);
    }
}
