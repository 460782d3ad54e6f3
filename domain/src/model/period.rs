//! Days, weeks and months as pure functions of an instant (in UTC, weeks start on Monday).

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
    /// The day of an instant.
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

/// The Monday on which a week starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct WeekStart(NaiveDate);

impl WeekStart {
    /// The week of a day.
    #[must_use]
    pub fn of(day: DayKey) -> Self {
        Self(Period::Week.start(day).date())
    }

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
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

define_names!(Period, "period", Day = "day", Week = "week", Month = "month");

impl Period {
    /// First day of the period that holds `day`.
    ///
    /// ```
    /// use trivia_domain::model::{DayKey, Period};
    /// let new_year: DayKey = "2027-01-01".parse()?;
    /// assert_eq!(Period::Week.start(new_year).to_string(), "2026-12-28");
    /// assert_eq!(Period::Month.start(new_year).to_string(), "2027-01-01");
    /// # Ok::<(), trivia_domain::StoreError>(())
    /// ```
    #[must_use]
    pub fn start(self, day: DayKey) -> DayKey {
        let date = day.0;
        let back = match self {
            Self::Day => 0,
            Self::Week => date.weekday().num_days_from_monday(),
            Self::Month => date.day0(),
        };
        DayKey(date.checked_sub_days(Days::new(back.into())).unwrap_or(date))
    }

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
    fn t5_weeks_start_on_monday_also_across_years() {
        for (any, monday, next) in [
            ("2026-03-04", "2026-03-02", "2026-03-09"),
            ("2026-03-02", "2026-03-02", "2026-03-09"),
            ("2026-03-08", "2026-03-02", "2026-03-09"),
            // ISO week 53 of 2026 and week 1 of 2025
            ("2027-01-01", "2026-12-28", "2027-01-04"),
            ("2024-12-31", "2024-12-30", "2025-01-06"),
        ] {
            assert_eq!(Period::Week.start(day(any)), day(monday), "{any}");
            assert_eq!(Period::Week.end(day(monday)), day(next), "{any}");
            assert_eq!(WeekStart::of(day(any)), WeekStart::new(day(monday).date()).unwrap());
        }
        assert!(WeekStart::new(day("2026-03-04").date()).is_err(), "a Wednesday");
    }

    #[test]
    fn t5_months_have_their_length() {
        for (any, first, next) in [
            ("2028-02-29", "2028-02-01", "2028-03-01"),
            ("2026-02-28", "2026-02-01", "2026-03-01"),
            ("2026-12-31", "2026-12-01", "2027-01-01"),
        ] {
            assert_eq!(Period::Month.start(day(any)), day(first));
            assert_eq!(Period::Month.end(day(first)), day(next));
        }
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

    #[test]
    fn l12_every_period_holds_its_days_and_no_other() {
        let mut date = day("2023-12-25");
        for _ in 0..1_500 {
            for period in Period::ALL {
                let start = period.start(date);
                assert!(start <= date && date < period.end(start), "{period} of {date}");
                assert_eq!(period.start(start), start);
                assert_eq!(period.start(period.end(start)), period.end(start));
            }
            date = Period::Day.end(date);
        }
    }
}
