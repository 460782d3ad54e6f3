//! Work that comes again and again: what it is called, and when it is due.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use serde::{Deserialize, Serialize};

use super::names::define_names;

/// What has to be done regularly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Recovers the store when damage was met.
    Recover,
    /// Makes the backup of the day.
    DailyBackup,
    /// Makes the backup of the week.
    WeeklyBackup,
    /// Deletes the backups that are not kept any longer.
    Retention,
    /// Checks all backups.
    VerifyBackups,
    /// Checks the integrity of the store.
    Scrub,
    /// Ends live sessions that were abandoned.
    ExpireSessions,
    /// Forgets sessions that ended long ago.
    ForgetSessions,
}

define_names!(
    Task,
    "task",
    Recover = "recover",
    DailyBackup = "daily_backup",
    WeeklyBackup = "weekly_backup",
    Retention = "retention",
    VerifyBackups = "verify_backups",
    Scrub = "scrub",
    ExpireSessions = "expire_sessions",
    ForgetSessions = "forget_sessions"
);

/// How often.
enum Rhythm {
    /// Once in each day, in UTC.
    Daily,
    /// Once in each week that starts on Monday, in UTC.
    Weekly,
    /// So many hours after the last time.
    Hours(i64),
    /// Not by the clock, but when it is needed.
    AsNeeded,
}

impl Task {
    const fn rhythm(self) -> Rhythm {
        match self {
            Self::DailyBackup | Self::Retention | Self::ForgetSessions => Rhythm::Daily,
            Self::WeeklyBackup | Self::VerifyBackups => Rhythm::Weekly,
            // health complains after twice that
            Self::Scrub => Rhythm::Hours(6),
            Self::ExpireSessions => Rhythm::Hours(1),
            Self::Recover => Rhythm::AsNeeded,
        }
    }

    /// From when on the task is due. What was never done is due now, and so is what was done in the future:
    /// the clock was wrong then. However many times were missed, they are made up by doing it once. The end of time
    /// for [`Task::Recover`], which no clock makes due.
    ///
    /// ```
    /// use trivia_domain::model::Task;
    ///
    /// let (wednesday, now) = ("2026-03-04T23:59:59Z".parse().unwrap(), "2026-03-20T08:00:00Z".parse().unwrap());
    /// let due = |task: Task| task.due_at(Some(wednesday), now).to_rfc3339();
    /// assert_eq!(due(Task::DailyBackup), "2026-03-05T00:00:00+00:00");
    /// assert_eq!(due(Task::WeeklyBackup), "2026-03-09T00:00:00+00:00");
    /// assert_eq!(Task::DailyBackup.due_at(None, now), now);
    /// ```
    #[must_use]
    pub fn due_at(self, done_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
        let done_at = done_at.filter(|at| *at <= now);
        let after = |day: NaiveDate| Some(day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN).and_utc());
        let next = match (self.rhythm(), done_at) {
            (Rhythm::AsNeeded, _) => None,
            (_, None) => Some(now),
            (Rhythm::Daily, Some(done_at)) => after(done_at.date_naive()),
            (Rhythm::Weekly, Some(done_at)) => {
                done_at.date_naive().week(Weekday::Mon).checked_last_day().and_then(after)
            }
            (Rhythm::Hours(hours), Some(done_at)) => done_at.checked_add_signed(TimeDelta::hours(hours)),
        };
        next.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// How long to wait after so many failures in a row before the next attempt: a minute, then twice as long
    /// each time, up to an hour; up to six for a check, which finds the same again until somebody acts.
    ///
    /// ```
    /// use trivia_domain::model::Task;
    /// let minutes = [1, 2, 3, 6, 7, 1_000].map(|failures| Task::DailyBackup.pause_after(failures).num_minutes());
    /// assert_eq!(minutes, [1, 2, 4, 32, 60, 60]);
    /// ```
    #[must_use]
    pub fn pause_after(self, failures: u32) -> TimeDelta {
        let longest = match self {
            Self::Scrub | Self::VerifyBackups => TimeDelta::hours(6),
            _ => TimeDelta::hours(1),
        };
        // more doublings than fit are longer than the longest pause
        let doubled = TimeDelta::minutes(1 << failures.saturating_sub(1).min(20));
        doubled.min(longest)
    }
}

/// What is known of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Which one.
    pub task: Task,
    /// When it was last done: the instant at which that was begun.
    pub done_at: Option<DateTime<Utc>>,
    /// What was done then.
    pub detail: String,
    /// What is wrong, when it has failed since.
    pub failing: Option<Failing>,
}

/// A task that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The first failure since it was last done.
    pub since: DateTime<Utc>,
    /// Why the last attempt failed.
    pub reason: String,
}

impl TaskRecord {
    /// Of a task that was never tried.
    #[must_use]
    pub const fn new(task: Task) -> Self {
        Self { task, done_at: None, detail: String::new(), failing: None }
    }

    /// Notes an attempt that began at an instant: what was done, or why it failed.
    pub fn note(&mut self, at: DateTime<Utc>, outcome: Result<String, String>) {
        match outcome {
            Ok(detail) => (self.done_at, self.detail, self.failing) = (Some(at), detail, None),
            Err(reason) => match &mut self.failing {
                Some(failing) => failing.reason = reason,
                None => self.failing = Some(Failing { since: at, reason }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// When a task is due that was last done at an instant, seen from much later.
    fn due(task: Task, done: &str) -> DateTime<Utc> {
        task.due_at(Some(at(done)), at("2030-01-01T00:00:00Z"))
    }

    #[test]
    fn l26_daily_is_once_in_a_utc_day() {
        for done in ["2026-03-04T00:00:00Z", "2026-03-04T12:00:00Z", "2026-03-04T23:59:59.999999Z"] {
            assert_eq!(due(Task::DailyBackup, done), at("2026-03-05T00:00:00Z"), "{done}");
        }
        assert_eq!(due(Task::DailyBackup, "2027-12-31T10:00:00Z"), at("2028-01-01T00:00:00Z"));
        assert_eq!(due(Task::DailyBackup, "2028-02-28T10:00:00Z"), at("2028-02-29T00:00:00Z"));
    }

    #[test]
    fn l26_weekly_is_once_in_a_week_from_monday() {
        for done in ["2026-03-02T00:00:00Z", "2026-03-04T12:00:00Z", "2026-03-08T23:59:59.999999Z"] {
            assert_eq!(due(Task::WeeklyBackup, done), at("2026-03-09T00:00:00Z"), "{done}");
        }
        // the week of a new year
        assert_eq!(due(Task::WeeklyBackup, "2026-12-31T10:00:00Z"), at("2027-01-04T00:00:00Z"));
    }

    #[test]
    fn a_rhythm_of_hours_counts_from_the_last_time() {
        assert_eq!(due(Task::Scrub, "2026-03-04T21:30:00Z"), at("2026-03-05T03:30:00Z"));
        assert_eq!(due(Task::ExpireSessions, "2026-03-04T23:30:00Z"), at("2026-03-05T00:30:00Z"));
    }

    #[test]
    fn t4_what_was_never_done_or_done_in_the_future_is_due_now() {
        let now = at("2026-03-04T12:00:00Z");
        for task in Task::ALL.into_iter().filter(|task| *task != Task::Recover) {
            assert_eq!(task.due_at(None, now), now);
            assert_eq!(task.due_at(Some(now + TimeDelta::microseconds(1)), now), now, "{task}");
            assert!(task.due_at(Some(now), now) > now, "{task}");
        }
    }

    #[test]
    fn no_clock_makes_a_recovery_due() {
        let now = at("2026-03-04T12:00:00Z");
        for done_at in [None, Some(DateTime::UNIX_EPOCH), Some(now)] {
            assert_eq!(Task::Recover.due_at(done_at, now), DateTime::<Utc>::MAX_UTC);
        }
    }

    #[test]
    fn the_end_of_time_is_never() {
        let last = DateTime::<Utc>::MAX_UTC;
        for task in Task::ALL {
            assert_eq!(task.due_at(Some(last), last), last, "{task}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_longest_one() {
        for task in Task::ALL {
            let pauses: Vec<_> = (1..80).map(|failures| task.pause_after(failures)).collect();
            assert_eq!(pauses[..4], [1, 2, 4, 8].map(TimeDelta::minutes), "{task}");
            assert!(pauses.is_sorted(), "{task}");
            let checks = matches!(task, Task::Scrub | Task::VerifyBackups);
            assert_eq!(pauses.last(), Some(&TimeDelta::hours(if checks { 6 } else { 1 })), "{task}");
        }
    }

    #[test]
    fn a_record_says_since_when_a_task_fails() {
        let [first, second, third, fourth] =
            [1, 2, 3, 4].map(|minute| at("2026-03-04T12:00:00Z") + TimeDelta::minutes(minute));
        let mut record = TaskRecord::new(Task::Scrub);
        record.note(first, Ok("fine".to_owned()));
        record.note(second, Err("no".to_owned()));
        record.note(third, Err("still no".to_owned()));
        let failing = Some(Failing { since: second, reason: "still no".to_owned() });
        assert_eq!(record, TaskRecord { task: Task::Scrub, done_at: Some(first), detail: "fine".to_owned(), failing });
        record.note(fourth, Ok("again".to_owned()));
        let expected =
            TaskRecord { task: Task::Scrub, done_at: Some(fourth), detail: "again".to_owned(), failing: None };
        assert_eq!(record, expected);
    }
}
