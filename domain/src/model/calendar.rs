//! Where days turn and weeks start.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};

use super::names::define_names;
use super::{Board, DayKey, Period};
use crate::error::{StoreError, StoreResult};

/// A time zone by its IANA name, such as `Atlantic/Reykjavik`: summer time and its history are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(chrono_tz::Tz);

impl TimeZone {
    /// Universal time.
    pub const UTC: Self = Self(chrono_tz::Tz::UTC);

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0.name()
    }

    /// The calendar day here at an instant.
    ///
    /// ```
    /// use trivia_domain::model::TimeZone;
    /// let at = "2026-03-04T12:00:00Z".parse().unwrap();
    /// assert_eq!("Pacific/Kiritimati".parse::<TimeZone>()?.day(at).to_string(), "2026-03-05");
    /// assert_eq!("Pacific/Pago_Pago".parse::<TimeZone>()?.day(at).to_string(), "2026-03-04");
    /// # Ok::<(), trivia_domain::StoreError>(())
    /// ```
    #[must_use]
    pub fn day(self, at: DateTime<Utc>) -> DayKey {
        DayKey::new(at.with_timezone(&self.0).date_naive())
    }

    /// What a clock here shows at an instant.
    pub(super) fn wall(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// The instants at which a clock here showed this; see [`ServerClock::readings`](super::ServerClock::readings).
    pub(super) fn readings(self, wall: NaiveDateTime) -> Vec<DateTime<Utc>> {
        match self.0.from_local_datetime(&wall) {
            MappedLocalTime::Single(at) => vec![at.to_utc()],
            MappedLocalTime::Ambiguous(first, second) => vec![first.to_utc(), second.to_utc()],
            MappedLocalTime::None => {
                // clocks are turned by less than a day, so the day before has the offset of before
                let day = TimeDelta::days(1);
                let before = self.0.from_local_datetime(&(wall - day)).earliest();
                vec![before.map_or_else(|| wall.and_utc(), |at| at.to_utc() + day)]
            }
        }
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TimeZone {
    type Err = StoreError;
    fn from_str(name: &str) -> StoreResult<Self> {
        name.parse().map(Self).map_err(|_| {
            StoreError::invalid("time zone", format!("{name:?} is not an IANA name such as Atlantic/Reykjavik"))
        })
    }
}

impl TryFrom<String> for TimeZone {
    type Error = StoreError;
    fn try_from(name: String) -> StoreResult<Self> {
        name.parse()
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        zone.as_str().to_owned()
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

define_names!(
    Weekday,
    "day of the week",
    Monday = "monday",
    Tuesday = "tuesday",
    Wednesday = "wednesday",
    Thursday = "thursday",
    Friday = "friday",
    Saturday = "saturday",
    Sunday = "sunday"
);

/// Where days turn and weeks start, for boards and challenges: the same for all players of a store.
/// The default is UTC and Monday.
///
/// ```
/// use trivia_domain::model::{Calendar, DayKey, Period, TimeZone, Weekday};
/// let new_year: DayKey = "2027-01-01".parse()?;
/// assert_eq!(Calendar::default().start(Period::Week, new_year).to_string(), "2026-12-28");
/// let american = Calendar { zone: "America/New_York".parse()?, week_start: Weekday::Sunday };
/// assert_eq!(american.start(Period::Week, new_year).to_string(), "2026-12-27");
/// assert_eq!(american.day("2027-01-01T04:59:59Z".parse().unwrap()).to_string(), "2026-12-31");
/// # Ok::<(), trivia_domain::StoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Where days turn.
    pub zone: TimeZone,
    /// On which day weeks start.
    pub week_start: Weekday,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, week_start: Weekday::Monday }
    }
}

impl Calendar {
    /// The day of an instant.
    #[must_use]
    pub fn day(&self, at: DateTime<Utc>) -> DayKey {
        self.zone.day(at)
    }

    /// First day of the period that holds `day`.
    #[must_use]
    pub fn start(&self, period: Period, day: DayKey) -> DayKey {
        let date: NaiveDate = day.date();
        let back = match period {
            Period::Day => 0,
            Period::Week => (date.weekday().num_days_from_monday() + 7 - self.week_start as u32) % 7,
            Period::Month => date.day0(),
        };
        DayKey::new(date.checked_sub_days(Days::new(back.into())).unwrap_or(date))
    }

    /// First day of the period that holds an instant.
    #[must_use]
    pub fn start_at(&self, period: Period, at: DateTime<Utc>) -> DayKey {
        self.start(period, self.day(at))
    }

    /// First day of the period before the one that starts on `start`.
    #[must_use]
    pub fn before(&self, period: Period, start: DayKey) -> DayKey {
        start.date().pred_opt().map_or(start, |last| self.start(period, DayKey::new(last)))
    }

    /// The board of the period that holds `day`.
    #[must_use]
    pub fn board(&self, period: Period, day: DayKey) -> Board {
        Board::Period { period, start: self.start(period, day) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> DayKey {
        text.parse().unwrap()
    }

    #[test]
    fn l12_a_period_starts_once_and_holds_each_of_its_days() {
        for week_start in Weekday::ALL {
            let calendar = Calendar { week_start, ..Calendar::default() };
            // two years with a leap day, week 53 and both ends of a year
            let days: Vec<_> = day("2027-12-01").date().iter_days().take(800).map(DayKey::new).collect();
            for period in Period::ALL {
                for day in &days {
                    let start = calendar.start(period, *day);
                    assert!(start <= *day && *day < period.end(start), "{period} of {day} from {week_start}");
                    assert_eq!(calendar.start(period, start), start);
                    assert_eq!(period.end(calendar.before(period, start)), start);
                }
            }
        }
    }

    #[test]
    fn t5_weeks_start_on_monday_also_across_years() {
        let utc = Calendar::default();
        for (any, monday, next) in [
            ("2026-03-04", "2026-03-02", "2026-03-09"),
            ("2026-03-02", "2026-03-02", "2026-03-09"),
            ("2026-03-08", "2026-03-02", "2026-03-09"),
            // ISO week 53 of 2026 and week 1 of 2025
            ("2027-01-01", "2026-12-28", "2027-01-04"),
            ("2024-12-31", "2024-12-30", "2025-01-06"),
        ] {
            assert_eq!(utc.start(Period::Week, day(any)), day(monday), "{any}");
            assert_eq!(Period::Week.end(day(monday)), day(next), "{any}");
        }
    }

    #[test]
    fn t5_months_have_their_length() {
        let utc = Calendar::default();
        for (any, first, next) in [
            ("2028-02-29", "2028-02-01", "2028-03-01"),
            ("2026-02-28", "2026-02-01", "2026-03-01"),
            ("2026-12-31", "2026-12-01", "2027-01-01"),
        ] {
            assert_eq!(utc.start(Period::Month, day(any)), day(first));
            assert_eq!(Period::Month.end(day(first)), day(next));
        }
    }

    #[test]
    fn t5_days_turn_at_the_midnight_of_the_zone_through_summer_time() {
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        for (at, expected) in [
            // the night in which the clock goes forward has 23 hours, the one in which it goes back 25
            ("2026-03-28T22:59:59Z", "2026-03-28"),
            ("2026-03-28T23:00:00Z", "2026-03-29"),
            ("2026-03-29T21:59:59Z", "2026-03-29"),
            ("2026-03-29T22:00:00Z", "2026-03-30"),
            ("2026-10-24T22:00:00Z", "2026-10-25"),
            ("2026-10-25T22:59:59Z", "2026-10-25"),
            ("2026-10-25T23:00:00Z", "2026-10-26"),
            ("2028-02-28T23:00:00Z", "2028-02-29"),
        ] {
            assert_eq!(berlin.day(at.parse().unwrap()), day(expected), "{at}");
        }
    }

    #[test]
    fn l10_the_most_distant_zones_are_25_hours_apart() {
        let at = "2026-12-31T10:30:00Z".parse().unwrap();
        for (zone, expected) in
            [("Pacific/Kiritimati", "2027-01-01"), ("UTC", "2026-12-31"), ("Pacific/Pago_Pago", "2026-12-30")]
        {
            assert_eq!(zone.parse::<TimeZone>().unwrap().day(at), day(expected), "{zone}");
        }
    }

    #[test]
    fn a_zone_that_nobody_knows_is_refused() {
        for name in ["", "Mars/Olympus", "europe/berlin", "+02:00"] {
            assert!(name.parse::<TimeZone>().is_err(), "{name}");
        }
    }
}
