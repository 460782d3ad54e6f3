use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::StoreResult;
use crate::model::{Page, QuestionId, QuestionReport, ReportNote, ReportOutcome, ReportReason, UserId};

/// What players say about questions that may be wrong, and what moderators think of it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ReportRepository: Send + Sync {
    /// Keeps what a player says of a question, at the store's present instant. A player has one open report of a
    /// question: a later one takes its place, and saying the same again changes nothing.
    ///
    /// Returns `Missing` for an unknown user, question or version of it, `Refused(TooManyReports)` when the
    /// player has [`QuestionReport::MOST_OPEN`] open reports of other questions.
    async fn file(&self, report: FileReport) -> StoreResult<QuestionReport>;

    /// Reports that match, in order of id.
    async fn list(&self, filter: &ReportFilter, page: Page) -> StoreResult<Vec<QuestionReport>>;

    /// Questions with open reports, those with the most first, then in order of id; at most `limit`.
    async fn reported(&self, limit: u32) -> StoreResult<Vec<ReportedQuestion>>;

    /// Closes all open reports of a question, at the store's present instant. Returns how many there were:
    /// settling again closes only what was said since.
    ///
    /// Returns `Missing` when there is no such question.
    async fn settle(&self, question: QuestionId, outcome: ReportOutcome) -> StoreResult<u64>;
}

/// What a player says of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
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
}

/// Which reports are meant; an empty filter means all that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportFilter {
    /// Only those of this question.
    pub question: Option<QuestionId>,
    /// Those that were settled as well.
    pub settled: bool,
}

/// A question with open reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedQuestion {
    /// The question.
    pub question_id: QuestionId,
    /// How many reports are open.
    pub open: u64,
    /// How many of them give which reason.
    pub reasons: BTreeMap<ReportReason, u64>,
    /// When the oldest of them was made.
    pub since: DateTime<Utc>,
}
