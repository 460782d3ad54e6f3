//! Trying again.

use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use sea_orm::DbErr;
use trivia_domain::StoreError;

use super::Monitor;
use super::core::Core;
use crate::error::is_busy;

/// Before a unit is tried for the second time; twice as long before the third, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a unit is tried again from its beginning: only on a server, where another transaction may have been in the
/// way, and where a connection may be lost. On a file nobody is in the way of whoever may write.
pub(super) struct Patience<'a> {
    core: &'a Core,
    until: Instant,
    pause: Duration,
}

impl<'a> Patience<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        let patience = if core.is_shared() { core.options.busy_timeout } else { Duration::ZERO };
        Self { core, until: Instant::now() + patience, pause: FIRST_PAUSE }
    }

    /// Whether a unit that failed is worth another try; waits before it says yes.
    pub(super) async fn suffices(&mut self, error: &StoreError) -> bool {
        matches!(error, StoreError::Busy { .. } | StoreError::Unreachable { .. }) && self.another().await
    }

    /// Whether there is time for another try; waits before it says yes.
    pub(super) async fn another(&mut self) -> bool {
        if Instant::now() + self.pause >= self.until {
            return false;
        }
        self.core.monitor.retried();
        tokio::time::sleep(self.pause).await;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
        true
    }
}

/// Tries again while the database is busy: after 10, 20, 40 and 80 ms. Any other error is final.
/// SQLite itself has waited for its busy timeout before each of these errors.
pub(crate) async fn while_busy<T, F>(monitor: &Monitor, attempt: impl FnMut() -> F + Send) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>> + Send,
    T: Send,
{
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(10)).with_max_times(4);
    attempt.retry(pauses).when(is_busy).notify(|_, _| monitor.retried()).await
}
