use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use sea_orm::{
    DatabaseConnection, DatabaseExecutor, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{OwnedRwLockReadGuard, mpsc};
use trivia_domain::{StoreError, StoreResult};

use super::connect::{Pools, WriterGuard};
use super::writer::Job;
use super::{Core, retry};
use crate::error::{During, translate};

/// Where a repository works: on the store, where each call stands alone, or inside one transaction.
pub(crate) enum Scope {
    Store { core: Arc<Core>, queue: mpsc::Sender<Job> },
    Work { core: Arc<Core>, transaction: Transaction },
}

impl Scope {
    /// A new transaction.
    pub(crate) async fn work(core: &Arc<Core>) -> StoreResult<Self> {
        let transaction = Transaction::begin(core, "a unit of work").await?;
        Ok(Self::Work { core: Arc::clone(core), transaction })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        match self {
            Self::Store { core, .. } | Self::Work { core, .. } => core,
        }
    }

    /// For a single query.
    pub(crate) async fn read(&self, what: &'static str) -> StoreResult<Reading<'_>> {
        match self {
            Self::Store { core, .. } => {
                let guard = core.reader().await?;
                Ok(Reading::Own { guard, _timer: Timer::start(core, what) })
            }
            Self::Work { transaction, .. } => Ok(Reading::Joined(transaction)),
        }
    }

    /// For several queries that must see one moment.
    pub(crate) async fn snapshot(&self, what: &'static str) -> StoreResult<Snapshot<'_>> {
        match self {
            Self::Store { core, .. } => {
                let guard = core.reader().await?;
                let transaction = guard.begin().await.during(what)?;
                Ok(Snapshot::Own { transaction, _guard: guard, _timer: Timer::start(core, what) })
            }
            Self::Work { transaction, .. } => Ok(Snapshot::Joined(transaction)),
        }
    }

    /// For changes: [`Writing::commit`] makes them last, dropping undoes them. Inside a unit of work
    /// both are left to its end.
    pub(crate) async fn write(&self, what: &'static str) -> StoreResult<Writing<'_>> {
        match self {
            Self::Store { core, .. } => Ok(Writing::Own(Transaction::begin(core, what).await?)),
            Self::Work { transaction, .. } => Ok(Writing::Joined(transaction)),
        }
    }
}

/// The one transaction that may write at a time.
pub(crate) struct Transaction {
    // dropped in this order: rolled back first, then the next caller may begin
    inner: DatabaseTransaction,
    guard: WriterGuard,
    timer: Timer,
}

impl Transaction {
    pub(crate) async fn begin(core: &Arc<Core>, what: &'static str) -> StoreResult<Self> {
        let guard = core.writer().await?;
        let options = || TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = retry::while_busy(&core.monitor, || guard.connection.begin_with_options(options())).await;
        let begun = begun.map_err(|error| translate(error, &core.name()));
        core.monitor.observe(&begun, || core.clock.now());
        Ok(Self { inner: begun?, guard, timer: Timer::start(core, what) })
    }

    pub(crate) async fn commit(self) -> StoreResult<()> {
        let Self { inner, guard, timer } = self;
        let core = Arc::clone(&timer.core);
        let committed = inner.commit().await.map_err(|error| match translate(error, &core.name()) {
            // refused before anything was written
            busy @ StoreError::Busy { .. } => busy,
            other => StoreError::OutcomeUnknown { reason: other.to_string() },
        });
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
    fn start(core: &Arc<Core>, what: &'static str) -> Self {
        Self { core: Arc::clone(core), what, started: Instant::now() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.core.monitor.finished(self.what, self.started);
    }
}

/// A connection to read from.
pub(crate) enum Reading<'a> {
    Own { guard: OwnedRwLockReadGuard<Option<Pools>, DatabaseConnection>, _timer: Timer },
    Joined(&'a Transaction),
}

impl Reading<'_> {
    pub(crate) fn connection(&self) -> DatabaseExecutor<'_> {
        match self {
            Self::Own { guard, .. } => DatabaseExecutor::Connection(guard),
            Self::Joined(transaction) => DatabaseExecutor::Transaction(transaction),
        }
    }
}

/// One moment to read from.
pub(crate) enum Snapshot<'a> {
    Own {
        transaction: DatabaseTransaction,
        _guard: OwnedRwLockReadGuard<Option<Pools>, DatabaseConnection>,
        _timer: Timer,
    },
    Joined(&'a Transaction),
}

impl Deref for Snapshot<'_> {
    type Target = DatabaseTransaction;
    fn deref(&self) -> &DatabaseTransaction {
        match self {
            Self::Own { transaction, .. } => transaction,
            Self::Joined(transaction) => transaction,
        }
    }
}

/// A transaction to write in.
pub(crate) enum Writing<'a> {
    Own(Transaction),
    Joined(&'a Transaction),
}

impl Writing<'_> {
    pub(crate) async fn commit(self) -> StoreResult<()> {
        match self {
            Self::Own(transaction) => transaction.commit().await,
            Self::Joined(_) => Ok(()),
        }
    }
}

impl Deref for Writing<'_> {
    type Target = DatabaseTransaction;
    fn deref(&self) -> &DatabaseTransaction {
        match self {
            Self::Own(transaction) => transaction,
            Self::Joined(transaction) => transaction,
        }
    }
}
