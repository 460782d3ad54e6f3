//! A transaction that may write, and the time that it takes. On a file there is one at a time.

use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use trivia_domain::model::UserId;
use trivia_domain::{StoreError, StoreResult};

use super::core::{Core, WriterGuard};
use super::head;
use super::line::Lease;
use crate::dialect::{self, Gate};
use crate::error::{During, is_read_only, is_uncommitted, translate};
use crate::read_model::{Effects, Flight, Warm};
use crate::repository::projection;

/// A transaction that may write: of a file the only one.
pub(crate) struct Transaction {
    // dropped in this order: rolled back first, then the next caller may begin
    statements: Statements,
    flight: Flight,
    effects: Mutex<Effects>,
    /// Its number among the commits, when it does something that somebody is told of.
    number: AtomicI64,
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
        let mut guard = core.writer().await?;
        let mut begun = guard.begin(&core.monitor).await;
        if begun.as_ref().is_err_and(is_read_only) {
            // SQLite decided this when it opened the files: it may be over
            drop(guard);
            core.renew().await;
            guard = core.writer().await?;
            begun = guard.begin(&core.monitor).await;
        }
        let begun = match core.explained(begun).await {
            Ok((begun, lease)) => {
                let statements = Statements::new(core, begun, lease);
                dialect::enter(&statements, needs.gate()).await.map(|()| statements)
            }
            Err(error) => Err(core.not_begun(error)),
        };
        core.monitor.observe(&begun, || core.clock.now());
        let begun = begun.inspect_err(|error| core.stop_if_damaged(error));
        let (statements, flight) = (begun?, core.model.begin());
        let timer = Timer::start(core, what);
        let mut transaction =
            Self { statements, flight, effects: Mutex::new(effects), number: AtomicI64::default(), guard, timer };
        transaction.meet(needs).await.inspect_err(|error| core.stop_if_damaged(error))?;
        Ok(transaction)
    }

    /// Projects what must not wait.
    async fn meet(&mut self, needs: Needs) -> StoreResult<()> {
        if matches!(needs, Needs::Nothing | Needs::Alone) || self.timer.core.is_shared() {
            return Ok(());
        }
        let Some(warm) = self.flight.warm() else {
            projection::catch_up(&self.statements).await?;
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
            projection::project(&self.timer.core, &self.statements, warm, &ids).await?;
            warm.projected(&ids);
        }
        Ok(())
    }

    /// The connection, and what the writer has at hand.
    pub(crate) fn parts(&mut self) -> (&Statements, Option<&mut Warm>) {
        (&self.statements, self.flight.warm())
    }

    /// Whether what the writer has at hand will still be there for the next transaction.
    pub(crate) const fn is_remembered(&self) -> bool {
        self.flight.is_remembered()
    }

    /// Adds to what the transaction does to the read model.
    pub(crate) fn tell(&self, effects: Effects) {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).add(effects);
    }

    /// Notes the number that it has among the commits.
    pub(crate) fn is_commit(&self, number: i64) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Makes ready for the commit. On a server that is to ask whether all statements went well: it takes COMMIT for
    /// ROLLBACK otherwise, and says nothing. On a file it is counted among the commits.
    pub(crate) async fn complete(&self) -> StoreResult<()> {
        let Some(advance) = head::advance(&self.statements) else {
            return dialect::is_whole(&self.statements).await;
        };
        let row = self.query_one_raw(advance).await.during("counting a commit")?;
        row.map_or(Ok(()), |row| head::number(&row).map(|number| self.is_commit(number)))
    }

    pub(crate) async fn commit(self) -> StoreResult<()> {
        let Self { statements, flight, effects, number, guard, timer } = self;
        let core = Arc::clone(&timer.core);
        let committed = statements.lease.watch(statements.inner.commit()).await;
        let is_certain = committed.as_ref().is_err_and(is_uncommitted);
        let committed = core.explained(committed).await.map_err(|error| match translate(error, &core.name()) {
            // refused before anything was written
            busy @ StoreError::Busy { .. } => busy,
            full @ StoreError::DiskFull { .. } if is_certain => full,
            other => {
                core.stop_if_damaged(&other);
                StoreError::OutcomeUnknown { reason: other.to_string() }
            }
        });
        if committed.is_ok() {
            match number.into_inner() {
                0 => {}
                number => core.head.note(number),
            }
            // before anybody is told, and before anybody else can write
            flight.land(effects.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        drop(guard);
        core.monitor.observe(&committed, || core.clock.now());
        committed
    }
}

impl Deref for Transaction {
    type Target = Statements;
    fn deref(&self) -> &Statements {
        &self.statements
    }
}

/// The statements of a transaction, whose errors say what is used up when the disk is the cause, and which wait only for
/// a host that answers.
pub(crate) struct Statements {
    inner: DatabaseTransaction,
    lease: Lease,
    core: Arc<Core>,
}

impl Statements {
    pub(super) fn new(core: &Arc<Core>, inner: DatabaseTransaction, lease: Lease) -> Self {
        Self { inner, lease, core: Arc::clone(core) }
    }

    async fn ask<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.core.explained(self.lease.watch(statement).await).await
    }
}

#[async_trait]
impl ConnectionTrait for Statements {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.ask(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.ask(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.ask(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.ask(self.inner.query_all_raw(statement)).await
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
