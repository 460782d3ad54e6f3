//! The original's text forms of instants.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound, Utc};

/// Stands for an instant that the original did not know and that we must have.
pub(crate) const UNKNOWN: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// An instant as somebody wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// With an offset.
    Exact(DateTime<Utc>),
    /// Without: what a clock showed, in a zone that the text does not tell.
    Wall {
        /// What it showed.
        at: NaiveDateTime,
        /// Whether it is in the form of `CURRENT_TIMESTAMP` (a blank, whole seconds), which is UTC. The
        /// original's driver wrote local whole seconds in the same form.
        is_bare: bool,
    },
}

/// Reads an instant in any form that the original's code wrote or read: a blank or a `T` between day
/// and time, any fraction or none, an offset or none.
pub(crate) fn read_instant(text: &str) -> Option<Written> {
    const FORMS: [&str; 4] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    let text = text.trim();
    // PostgreSQL keeps microseconds, and other years have no sortable text
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        let at = at.to_utc();
        return (1..=9998).contains(&at.year()).then(|| Written::Exact(at.trunc_subsecs(6)));
    }
    let naive = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let at = naive.or_else(|| parse_date(text).map(|day| day.and_time(NaiveTime::MIN)))?;
    let is_bare = text.len() == "2025-09-09 09:18:12".len() && text.contains(' ');
    (1..=9998).contains(&at.year()).then(|| Written::Wall { at: at.trunc_subsecs(6), is_bare })
}

/// Reads an instant as [`read_instant`]; without an offset it is taken as UTC.
pub(crate) fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    read_instant(text).map(|written| match written {
        Written::Exact(at) => at,
        Written::Wall { at, .. } => at.and_utc(),
    })
}

/// Reads a day in the one form in which equal days are equal texts.
pub(crate) fn parse_date(text: &str) -> Option<NaiveDate> {
    let date: NaiveDate = text.parse().ok()?;
    (date.to_string() == text && (1..=9998).contains(&date.year())).then_some(date)
}

/// Writes an instant as the original's driver did: no zone, six digits of a second or none.
pub(crate) fn instant_text(at: DateTime<Utc>) -> String {
    let form = if at.timestamp_subsec_micros() == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
    at.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    #[test]
    fn every_form_of_the_original_is_read() {
        for (text, expected) in [
            ("2025-09-09 09:18:12.538327", "2025-09-09T09:18:12.538327+00:00"),
            ("2025-10-17 17:29:47", "2025-10-17T17:29:47+00:00"),
            ("2025-09-19T10:01:05.001001", "2025-09-19T10:01:05.001001+00:00"),
            ("2025-09-19T10:00:05", "2025-09-19T10:00:05+00:00"),
            ("2025-09-19T10:00:05.500-07:00", "2025-09-19T17:00:05.500+00:00"),
            ("2025-09-19T10:00:05Z", "2025-09-19T10:00:05+00:00"),
            ("2025-09-19 10:00", "2025-09-19T10:00:00+00:00"),
            ("2025-09-19", "2025-09-19T00:00:00+00:00"),
            ("2025-09-19 10:00:05.123456789", "2025-09-19T10:00:05.123456+00:00"),
        ] {
            let at = parse_instant(text).unwrap();
            assert_eq!(at.to_rfc3339_opts(SecondsFormat::AutoSi, false), expected, "{text}");
        }
        for text in ["", "yesterday-ish", "2025-13-01 00:00:00", "12025-01-01 00:00:00", "1757404692"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn instants_are_written_as_the_original_did() {
        for text in ["2025-09-09 09:18:12.538327", "2025-09-09 09:18:12.500000", "2025-10-17 17:29:47"] {
            assert_eq!(instant_text(parse_instant(text).unwrap()), text);
        }
    }

    #[test]
    fn days_have_one_form() {
        assert!(parse_date("2025-09-08").is_some());
        for text in ["2025-9-8", " 2025-09-08", "2025-09-08 00:00:00", "not a date", "2025-02-30"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
