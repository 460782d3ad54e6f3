//! The one transaction that may write at a time, and the time that it takes.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use sea_orm::{DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use trivia_domain::{StoreError, StoreResult};

use super::core::{Core, WriterGuard};
use super::retry;
use crate::error::translate;

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
    pub(super) fn start(core: &Arc<Core>, what: &'static str) -> Self {
        Self { core: Arc::clone(core), what, started: Instant::now() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.core.monitor.finished(self.what, self.started);
    }
}
