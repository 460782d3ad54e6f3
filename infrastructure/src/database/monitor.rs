use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use trivia_domain::{StoreError, StoreResult};

/// Errors older than this no longer count against health.
const ERROR_MEMORY: TimeDelta = TimeDelta::hours(1);

/// What has happened on the connections since the process started.
#[derive(Debug)]
pub(crate) struct Monitor {
    slow_after: Duration,
    errors: AtomicU64,
    recent_errors: AtomicU64,
    last_error_micros: AtomicI64,
    slow: AtomicU64,
    busy_retries: AtomicU64,
}

impl Monitor {
    pub(crate) const fn new(slow_after: Duration) -> Self {
        Self {
            slow_after,
            errors: AtomicU64::new(0),
            recent_errors: AtomicU64::new(0),
            last_error_micros: AtomicI64::new(i64::MIN),
            slow: AtomicU64::new(0),
            busy_retries: AtomicU64::new(0),
        }
    }

    /// Counts a failure of the backend; a caller's mistake is none.
    pub(crate) fn observe<T>(&self, result: &StoreResult<T>, now: impl FnOnce() -> DateTime<Utc>) {
        let Err(error) = result else { return };
        let is_ours = matches!(
            error,
            StoreError::Busy { .. }
                | StoreError::Corrupt { .. }
                | StoreError::ReadOnly { .. }
                | StoreError::DiskFull { .. }
                | StoreError::OutcomeUnknown { .. }
                | StoreError::Backend { .. }
        );
        if is_ours {
            let now = now();
            if self.last_error().is_none_or(|last| now - last > ERROR_MEMORY) {
                self.recent_errors.store(0, Ordering::Relaxed);
            }
            self.last_error_micros.store(now.timestamp_micros(), Ordering::Relaxed);
            self.recent_errors.fetch_add(1, Ordering::Relaxed);
            self.errors.fetch_add(1, Ordering::Relaxed);
            tracing::error!(error = %error, "database operation failed");
        }
    }

    pub(crate) fn retried(&self) {
        self.busy_retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how long an operation held its connection.
    pub(crate) fn finished(&self, what: &'static str, started: Instant) {
        let elapsed = started.elapsed();
        if elapsed > self.slow_after {
            self.slow.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(operation = what, elapsed_ms = elapsed.as_millis(), "slow database operation");
        }
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Errors of a run of errors with less than an hour between two of them; 0 when the last is older.
    pub(crate) fn recent_errors(&self, now: DateTime<Utc>) -> u64 {
        match self.last_error() {
            Some(last) if now - last <= ERROR_MEMORY => self.recent_errors.load(Ordering::Relaxed),
            _ => 0,
        }
    }

    pub(crate) fn last_error(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.last_error_micros.load(Ordering::Relaxed))
            .filter(|at| *at > DateTime::<Utc>::UNIX_EPOCH)
    }

    pub(crate) fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    pub(crate) fn busy_retries(&self) -> u64 {
        self.busy_retries.load(Ordering::Relaxed)
    }
}
