use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use trivia_domain::{StoreError, StoreResult};

/// Errors older than this no longer count against health.
const ERROR_MEMORY: TimeDelta = TimeDelta::hours(1);

/// Kinds of failures of the backend; all others are mistakes of a caller.
const OURS: [&str; 7] = ["busy", "unreachable", "corrupt", "read_only", "disk_full", "outcome_unknown", "backend"];

/// What has happened on the connections since the process started.
#[derive(Debug)]
pub(crate) struct Monitor {
    slow_after: Duration,
    errors: AtomicU64,
    by_kind: Mutex<BTreeMap<&'static str, u64>>,
    recent_errors: AtomicU64,
    last_error_micros: AtomicI64,
    slow: AtomicU64,
    busy_retries: AtomicU64,
    /// What is wrong with the file, since damage was met: nothing is written then.
    damage: Mutex<Option<Damage>>,
}

/// Damage that was met.
#[derive(Debug, Clone)]
struct Damage {
    what: String,
    reason: String,
}

impl Monitor {
    pub(crate) const fn new(slow_after: Duration) -> Self {
        Self {
            slow_after,
            errors: AtomicU64::new(0),
            by_kind: Mutex::new(BTreeMap::new()),
            recent_errors: AtomicU64::new(0),
            last_error_micros: AtomicI64::new(i64::MIN),
            slow: AtomicU64::new(0),
            busy_retries: AtomicU64::new(0),
            damage: Mutex::new(None),
        }
    }

    /// Counts a failure of the backend; a caller's mistake is none.
    pub(crate) fn observe<T>(&self, result: &StoreResult<T>, now: impl FnOnce() -> DateTime<Utc>) {
        let Err(error) = result else { return };
        if OURS.contains(&error.kind()) {
            let now = now();
            if self.last_error().is_none_or(|last| now - last > ERROR_MEMORY) {
                self.recent_errors.store(0, Ordering::Relaxed);
            }
            self.last_error_micros.store(now.timestamp_micros(), Ordering::Relaxed);
            self.recent_errors.fetch_add(1, Ordering::Relaxed);
            self.errors.fetch_add(1, Ordering::Relaxed);
            *self.kinds().entry(error.kind()).or_default() += 1;
            tracing::error!(error = %error, "database operation failed");
        }
    }

    /// Refuses to write from now on: what is acknowledged on a damaged file may be lost with it. Whether that is new.
    pub(crate) fn stop(&self, what: &str, reason: &str) -> bool {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = damage.is_none();
        if is_new {
            tracing::error!(what, reason, "damage was met, nothing is written any more");
            *damage = Some(Damage { what: what.to_owned(), reason: reason.to_owned() });
        }
        is_new
    }

    /// [`Self::stop`] when an error says that the file is damaged.
    pub(crate) fn stop_if_damaged(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Corrupt { what, reason } if self.stop(what, reason))
    }

    /// Writes again: the file was found whole, or another one took its place.
    pub(crate) fn mended(&self) {
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// `Corrupt` since damage was met.
    pub(crate) fn refuse_if_damaged(&self) -> StoreResult<()> {
        match self.damage.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(Damage { what, reason }) => Err(StoreError::Corrupt { what, reason }),
            None => Ok(()),
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

    /// The same by their kind; those that did not happen are there, too.
    pub(crate) fn errors_by_kind(&self) -> BTreeMap<String, u64> {
        let kinds = self.kinds();
        OURS.into_iter().map(|kind| (kind.to_owned(), kinds.get(kind).copied().unwrap_or(0))).collect()
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.by_kind.lock().unwrap_or_else(PoisonError::into_inner)
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
