use async_trait::async_trait;

use crate::error::StoreResult;
use crate::model::RecoveryReport;

/// The way back from a damaged store.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RecoveryService: Send + Sync {
    /// Whether damage was met since the store was opened: nothing is written then.
    fn is_needed(&self) -> bool;

    /// Recovers the store if it is damaged. Interrupted anywhere, the next start finds the old files or the recovered
    /// ones. The damaged files are kept.
    ///
    /// Returns `Busy` when somebody uses the store, `ReadOnly` without permission, `DiskFull` without space,
    /// `Missing` when there are no files, `Incompatible` when the schema is newer than this program; then nothing
    /// was changed. That a store could not be looked at never counts as damage.
    async fn recover(&self) -> StoreResult<RecoveryReport>;

    /// Says what [`recover`](Self::recover) would do, and changes nothing. Nobody may have the store open.
    async fn rehearse(&self) -> StoreResult<RecoveryReport>;
}
