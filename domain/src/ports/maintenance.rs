use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::StoreResult;
use crate::model::{Drift, Task, TaskRecord};

/// Looking after a store.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait MaintenancePort: Send + Sync {
    /// Checks pages, foreign keys, constraints, and the ledger against the counters.
    /// "Could not check" is not "bad": a locked file never looks damaged.
    async fn check(&self) -> CheckOutcome;

    /// Compares every derived number with the fold over the ledger. Empty means that all are right.
    async fn verify(&self) -> StoreResult<Vec<Drift>>;

    /// Replaces every derived number that [`Self::verify`] complains about and returns what it replaced.
    async fn rebuild(&self) -> StoreResult<Vec<Drift>>;

    /// Gives space that is not used any more back to the file system. Writers wait meanwhile, and it takes as much free
    /// space as the store is large.
    ///
    /// Returns `Busy` when others read for too long, `DiskFull` without space; nothing is lost then.
    async fn compact(&self) -> StoreResult<Compaction>;

    /// Figures about the store.
    async fn stats(&self) -> StoreResult<DatabaseStats>;

    /// Whether all is well, why not, and what to do.
    async fn health(&self) -> HealthReport;

    /// What is known of each task, in the order of [`Task::ALL`].
    async fn tasks(&self) -> StoreResult<Vec<TaskRecord>>;

    /// Remembers an attempt at a task that began at an instant: what was done, or why it failed. See
    /// [`TaskRecord::note`].
    async fn note_task(&self, task: Task, at: DateTime<Utc>, outcome: Result<String, String>) -> StoreResult<()>;

    /// Finishes what is under way and closes all connections.
    async fn close(&self) -> StoreResult<()>;
}

/// What a store took on the disk before and after it was compacted, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// Before.
    pub bytes_before: u64,
    /// After.
    pub bytes_after: u64,
}

/// The three outcomes of an integrity check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Everything that was checked is right.
    Ok,
    /// Damage was found.
    Bad {
        /// Each finding, naming table and row.
        problems: Vec<String>,
    },
    /// The check could not be made; nothing is known.
    CouldNotCheck {
        /// Why.
        reason: String,
    },
}

/// Figures about a store. The first keys are those of the original system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseStats {
    /// Players.
    pub users_count: u64,
    /// Questions, retired ones too.
    pub questions_count: u64,
    /// Unlocked achievements.
    pub user_achievements_count: u64,
    /// Weekly results of players.
    pub weekly_rankings_count: u64,
    /// Sessions.
    pub game_sessions_count: u64,
    /// Pages times page size.
    pub database_size_bytes: u64,
    /// The same in MiB, two decimals.
    pub database_size_mb: f64,
    /// Name of the newest migration.
    pub schema_version: String,
    /// Idle connections.
    pub connection_pool_size: u32,
    /// Most connections.
    pub max_pool_size: u32,
    /// Failed operations since the process started.
    pub error_count: u64,
    /// The same by their kind: see [`StoreError::kind`](crate::StoreError::kind).
    pub errors_by_kind: BTreeMap<String, u64>,
    /// When the last one failed.
    pub last_error_time: Option<DateTime<Utc>>,
    /// When integrity was last checked.
    pub last_integrity_check: Option<DateTime<Utc>>,
    /// When the last verified backup was made.
    pub last_backup: Option<DateTime<Utc>>,
    /// Whether backups are configured.
    pub auto_backup_enabled: bool,
    /// SQLite's journal mode.
    pub journal_mode: String,
    /// SQLite's `synchronous`: 1 normal, 2 full.
    pub synchronous_mode: i64,
    /// SQLite's `cache_size`: pages, or KiB when negative.
    pub cache_size: i64,
    /// Facts in the ledger.
    pub ledger_count: u64,
    /// Rows of every table.
    pub rows: BTreeMap<String, u64>,
    /// Questions that can be picked, by difficulty.
    pub questions_by_difficulty: BTreeMap<String, u64>,
    /// Questions that can be picked, by kind.
    pub questions_by_kind: BTreeMap<String, u64>,
    /// Questions that can be picked, by language.
    pub questions_by_language: BTreeMap<String, u64>,
    /// Pages that are free inside the file.
    pub free_pages: u64,
    /// Version of the engine.
    pub engine: String,
    /// The connections.
    pub pool: PoolStats,
}

/// The connections of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStats {
    /// Connections that write.
    pub writers: u32,
    /// Connections that read.
    pub readers: u32,
    /// Those that do nothing now.
    pub idle: u32,
    /// Operations that lasted longer than the threshold for slow ones.
    pub slow_operations: u64,
    /// Transactions that were tried again because the database was busy.
    pub busy_retries: u64,
}

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All is well.
    Healthy,
    /// It works; somebody should look.
    Warning,
    /// It does not work, or data is in danger.
    Critical,
}

/// One aspect of health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub status: HealthStatus,
    /// Why.
    pub reason: String,
    /// What to do; empty when all is well.
    pub recommendation: String,
}

/// How a store is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The worst of the checks.
    pub status: HealthStatus,
    /// All of them.
    pub checks: Vec<HealthCheck>,
}

impl HealthReport {
    /// The worst of the checks decides.
    #[must_use]
    pub fn of(checks: Vec<HealthCheck>) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Healthy);
        Self { status, checks }
    }
}
