//! Moving in from the original system, and back.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{BackupInfo, TimeZone};
use crate::error::{StoreError, StoreResult};

/// The clock of the server on which the original ran: it wrote local times and did not say where.
///
/// ```
/// use trivia_domain::model::ServerClock;
/// let clock: ServerClock = "-07:00".parse()?;
/// let wall = "2025-09-09T09:18:12".parse().unwrap();
/// assert_eq!(clock.readings(wall)[0].to_rfc3339(), "2025-09-09T16:18:12+00:00");
/// assert_eq!(clock.wall(clock.readings(wall)[0]), wall);
/// # Ok::<(), trivia_domain::StoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ServerClock {
    /// Always the same time ahead of UTC.
    Offset(FixedOffset),
    /// With summer time and its history.
    Zone(TimeZone),
}

impl ServerClock {
    /// Universal time.
    pub const UTC: Self = Self::Zone(TimeZone::UTC);

    /// The instants at which the clock showed this, earliest first: two in the hour in which it was turned
    /// back. When it was turned forward over this, the instant at which it would have shown it otherwise.
    #[must_use]
    pub fn readings(self, wall: NaiveDateTime) -> Vec<DateTime<Utc>> {
        match self {
            Self::Offset(offset) => {
                vec![wall.and_utc() - TimeDelta::seconds(offset.local_minus_utc().into())]
            }
            Self::Zone(zone) => zone.readings(wall),
        }
    }

    /// What the clock shows at an instant.
    #[must_use]
    pub fn wall(self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Offset(offset) => at.with_timezone(&offset).naive_local(),
            Self::Zone(zone) => zone.wall(at),
        }
    }
}

impl FromStr for ServerClock {
    type Err = StoreError;
    fn from_str(text: &str) -> StoreResult<Self> {
        if text.starts_with(['+', '-']) {
            let offset = (text.len() == "+HH:MM".len()).then(|| text.parse().ok()).flatten();
            return offset.map(Self::Offset).ok_or_else(|| {
                StoreError::invalid("UTC offset", format!("{text:?} is not of the form +HH:MM, such as -07:00"))
            });
        }
        text.parse().map(Self::Zone)
    }
}

impl fmt::Display for ServerClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(offset) => fmt::Display::fmt(offset, f),
            Self::Zone(zone) => fmt::Display::fmt(zone, f),
        }
    }
}

impl TryFrom<String> for ServerClock {
    type Error = StoreError;
    fn try_from(text: String) -> StoreResult<Self> {
        text.parse()
    }
}

impl From<ServerClock> for String {
    fn from(clock: ServerClock) -> Self {
        clock.to_string()
    }
}

/// A row that could not be taken as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OddRow {
    /// Its table, as the original called it.
    pub table: String,
    /// Its id there.
    pub id: String,
    /// What was wrong with it, and what became of that.
    pub problem: String,
    /// Whether the row was taken nevertheless; otherwise it is in quarantine or left out.
    pub taken: bool,
}

/// What was taken over from a database of the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptionReport {
    /// The database that was made.
    pub database: String,
    /// Players that the original had. Like all these numbers: rows of its table, whatever became of them.
    pub users: u64,
    /// Questions.
    pub questions: u64,
    /// Achievements of players.
    pub achievements: u64,
    /// Results of weeks.
    pub rankings: u64,
    /// Games.
    pub sessions: u64,
    /// Whose clock its times were read by.
    pub clock: ServerClock,
    /// Rows that were put right, and rows that could not be: nothing else differs.
    pub repaired: Vec<OddRow>,
    /// Where the original's files are, unchanged, with digests; `None` when they are where they were.
    pub original: Option<String>,
    /// The first backup of the result.
    pub backup: Option<BackupInfo>,
}

/// What was written for the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalExport {
    /// The file.
    pub file: String,
    /// Rows of `users`.
    pub users: u64,
    /// Rows of `questions`.
    pub questions: u64,
    /// Rows of `user_achievements`.
    pub achievements: u64,
    /// Rows of `weekly_rankings`.
    pub rankings: u64,
    /// Rows of `game_sessions`.
    pub sessions: u64,
    /// The clock that its times show.
    pub clock: ServerClock,
    /// What the original could not read: changed, or left out.
    pub changed: Vec<OddRow>,
}

/// A backup that the original made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalBackup {
    /// Its file.
    pub path: String,
    /// Why it was made, by its notes or else by its name: `daily`, `manual`, `backup`, ...
    pub kind: String,
    /// When, by its notes or else by its name; `None` when neither tells.
    pub created_at: Option<DateTime<Utc>>,
    /// Size of the file.
    pub bytes: u64,
    /// In which form its notes are.
    pub notes: BackupNotes,
    /// Rows of each table.
    pub rows: super::RowCounts,
    /// Whether `adopt` can take it.
    pub ok: bool,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// The original wrote notes beside its backups in two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupNotes {
    /// There are none.
    None,
    /// Three lines of text.
    Lines,
    /// A JSON document.
    Json,
    /// They can not be read.
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(clock: &str, wall: &str) -> Vec<String> {
        let readings = clock.parse::<ServerClock>().unwrap().readings(wall.parse().unwrap());
        readings.iter().map(DateTime::to_rfc3339).collect()
    }

    #[test]
    fn t5_clocks_are_turned() {
        assert_eq!(texts("+05:30", "2025-10-26T02:30:00"), ["2025-10-25T21:00:00+00:00"]);
        assert_eq!(
            texts("Europe/Berlin", "2025-10-26T02:30:00"),
            ["2025-10-26T00:30:00+00:00", "2025-10-26T01:30:00+00:00"]
        );
        assert_eq!(texts("Europe/Berlin", "2025-03-30T02:30:00"), ["2025-03-30T01:30:00+00:00"]);
        assert_eq!(texts("Europe/Berlin", "2025-07-01T02:30:00"), ["2025-07-01T00:30:00+00:00"]);
    }

    #[test]
    fn clocks_are_written_as_they_are_read() {
        for text in ["-07:00", "+05:45", "Europe/Berlin", "UTC"] {
            assert_eq!(text.parse::<ServerClock>().unwrap().to_string(), text);
        }
        for text in ["", "7", "+25:00", "-7", "Berlin", "+07:00:00"] {
            assert!(text.parse::<ServerClock>().is_err(), "{text}");
        }
    }
}
