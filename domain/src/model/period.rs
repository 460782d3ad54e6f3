//! Days, weeks and months.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::names::define_names;
use crate::error::{StoreError, StoreResult};

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DayKey(NaiveDate);

impl DayKey {
    /// The day of an instant in UTC.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(at.date_naive())
    }

    /// A known day.
    #[must_use]
    pub const fn new(date: NaiveDate) -> Self {
        Self(date)
    }

    /// The date.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }

    /// Whether this day comes right after `other`.
    #[must_use]
    pub fn follows(self, other: Self) -> bool {
        other.0.succ_opt() == Some(self.0)
    }
}

impl fmt::Display for DayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DayKey {
    type Err = StoreError;
    fn from_str(text: &str) -> StoreResult<Self> {
        text.parse()
            .map(Self)
            .map_err(|_| StoreError::invalid("date", format!("{text:?} is not a day such as 2026-03-31")))
    }
}

/// The Monday on which a week of the original system starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct WeekStart(NaiveDate);

impl WeekStart {
    /// A known Monday.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for another day of the week.
    pub fn new(monday: NaiveDate) -> StoreResult<Self> {
        if monday.weekday() != chrono::Weekday::Mon {
            return Err(StoreError::invalid("week", format!("{monday} is not a Monday")));
        }
        Ok(Self(monday))
    }

    /// The Monday.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }
}

impl<'de> Deserialize<'de> for WeekStart {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(NaiveDate::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for WeekStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The stretch of time that a ranking covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A calendar day.
    Day,
    /// Seven days.
    Week,
    /// A calendar month.
    Month,
}

define_names!(Period, "period", Day = "day", Week = "week", Month = "month");

impl Period {
    /// First day after the period that starts on `start`.
    #[must_use]
    pub fn end(self, start: DayKey) -> DayKey {
        let date = start.0;
        let next = match self {
            Self::Day => date.checked_add_days(Days::new(1)),
            Self::Week => date.checked_add_days(Days::new(7)),
            Self::Month => date.checked_add_months(Months::new(1)),
        };
        DayKey(next.unwrap_or(date))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> DayKey {
        text.parse().unwrap()
    }

    #[test]
    fn t5_a_day_ends_at_midnight_utc() {
        let of = |text: &str| DayKey::of(text.parse().unwrap());
        assert_eq!(of("2026-03-04T23:59:59.999999Z"), day("2026-03-04"));
        assert_eq!(of("2026-03-05T00:00:00Z"), day("2026-03-05"));
        assert_eq!(of("2026-03-05T01:00:00+14:00"), day("2026-03-04"));
        assert_eq!(of("2026-03-04T22:00:00-11:00"), day("2026-03-05"));
    }

    #[test]
    fn l10_a_day_follows_exactly_one_other() {
        assert!(day("2028-02-29").follows(day("2028-02-28")));
        assert!(day("2028-03-01").follows(day("2028-02-29")));
        assert!(day("2027-01-01").follows(day("2026-12-31")));
        for other in ["2026-03-04", "2026-03-05", "2026-03-02", "2027-03-03"] {
            assert!(!day("2026-03-04").follows(day(other)), "{other}");
        }
    }
}
