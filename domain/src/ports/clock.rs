use chrono::{DateTime, Utc};

/// The time. Each operation asks once and uses that instant throughout.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Clock: Send + Sync {
    /// The present instant, in UTC, in whole microseconds.
    fn now(&self) -> DateTime<Utc>;
}
