use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::ports::Clock;

/// A [`Clock`] that stands still until a test moves it.
///
/// ```
/// use chrono::TimeDelta;
/// use trivia_domain::memory::ManualClock;
/// use trivia_domain::ports::Clock;
///
/// let clock = ManualClock::new("2026-12-31T23:59:59.999999Z".parse().unwrap());
/// clock.advance(TimeDelta::microseconds(1));
/// assert_eq!(clock.now().to_string(), "2027-01-01 00:00:00 UTC");
/// ```
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// A clock that shows `at`, cut to whole microseconds.
    #[must_use]
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(Mutex::new(at.trunc_subsecs(6)))
    }

    /// Sets the clock, forwards or back.
    pub fn set(&self, at: DateTime<Utc>) {
        self.change(|_| at);
    }

    /// Moves the clock; a negative step goes back.
    ///
    /// # Panics
    /// When the instant lies outside the years that chrono knows.
    pub fn advance(&self, step: TimeDelta) {
        self.change(|now| now + step);
    }

    fn change(&self, change: impl FnOnce(DateTime<Utc>) -> DateTime<Utc>) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = change(*now).trunc_subsecs(6);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
