use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sea_orm::DbErr;

use super::Monitor;
use crate::error::is_busy;

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
