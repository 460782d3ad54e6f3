//! What players say about questions that may be wrong.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::names::{define_names, define_text};
use super::{QuestionId, ReportId, UserId, text};
use crate::error::StoreResult;

/// Longest note, in characters.
const MAX_NOTE: usize = 500;

/// What is wrong with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    /// Another answer is right.
    WrongAnswer,
    /// It can be understood in several ways.
    Unclear,
    /// It was right once.
    Outdated,
    /// Another question asks the same.
    Duplicate,
    /// It hurts somebody.
    Offensive,
    /// What the note says.
    Other,
}

define_names!(
    ReportReason,
    "reason",
    WrongAnswer = "wrong_answer",
    Unclear = "unclear",
    Outdated = "outdated",
    Duplicate = "duplicate",
    Offensive = "offensive",
    Other = "other"
);

/// What a moderator thinks of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportOutcome {
    /// They are right.
    Accepted,
    /// They are not.
    Dismissed,
}

define_names!(ReportOutcome, "outcome", Accepted = "accepted", Dismissed = "dismissed");

/// What a player adds in words of his own; it may have several lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReportNote(String);

define_text!(ReportNote);

impl ReportNote {
    /// Builds a note; blanks around it are cut.
    ///
    /// # Errors
    /// [`StoreError::Invalid`](crate::StoreError::Invalid) unless it has 1 to 500 characters, none of them NUL.
    pub fn new(note: &str) -> StoreResult<Self> {
        text::checked_lines("note", note, MAX_NOTE).map(Self)
    }
}

/// A player says that something is wrong with a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionReport {
    /// Its id; a later report has a larger one.
    pub id: ReportId,
    /// The question.
    pub question_id: QuestionId,
    /// The version that the player was shown.
    pub version: u32,
    /// Who says so.
    pub user_id: UserId,
    /// What is wrong.
    pub reason: ReportReason,
    /// More about it.
    pub note: Option<ReportNote>,
    /// When the player said so.
    pub reported_at: DateTime<Utc>,
    /// What became of it; `None` while it is open.
    pub settled: Option<Settlement>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// What a moderator thinks of it.
    pub outcome: ReportOutcome,
    /// When it was closed.
    pub at: DateTime<Utc>,
}

impl QuestionReport {
    /// How many open reports a player may have.
    pub const MOST_OPEN: u64 = 50;

    /// Whether nobody has settled it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.settled.is_none()
    }

    /// What becomes of an open report when its player reports the question again: the later words count, and
    /// the same words change nothing.
    #[must_use]
    pub fn followed_by(self, later: Self) -> Self {
        let says_the_same = (later.version, later.reason, &later.note) == (self.version, self.reason, &self.note);
        if says_the_same { self } else { Self { id: self.id, ..later } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_words_and_an_end() {
        assert_eq!(ReportNote::new(" two\nlines ").unwrap().as_str(), "two\nlines");
        assert_eq!(ReportNote::new(&"ð".repeat(500)).unwrap().as_str().chars().count(), 500);
        for bad in ["", " \n ", "a\0b", &"ð".repeat(501)] {
            assert!(ReportNote::new(bad).is_err(), "{bad:?}");
        }
    }
}
