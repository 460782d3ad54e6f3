use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{State, Tables};
use crate::error::{Refusal, StoreError, StoreResult};
use crate::model::{Page, QuestionId, QuestionReport, ReportId, ReportOutcome, Settlement, UserId};
use crate::play::unite_reports;
use crate::ports::{FileReport, ReportFilter, ReportRepository, ReportedQuestion};

/// All reports.
#[derive(Debug, Clone, Default)]
pub(super) struct Reports {
    by_id: BTreeMap<ReportId, QuestionReport>,
    /// How many there ever were: ids are never given twice.
    ever: u64,
}

impl Reports {
    /// Those of a player, in order.
    pub(super) fn of(&self, user: UserId) -> Vec<QuestionReport> {
        self.by_id.values().filter(|report| report.user_id == user).cloned().collect()
    }

    /// Forgets those of a player.
    pub(super) fn remove(&mut self, user: UserId) {
        self.by_id.retain(|_, report| report.user_id != user);
    }

    /// Lets one player have said what two have said.
    pub(super) fn merge(&mut self, from: UserId, into: UserId) {
        let united = unite_reports(into, self.of(into), self.of(from));
        self.remove(from);
        self.remove(into);
        self.by_id.extend(united.into_iter().map(|report| (report.id, report)));
    }

    fn open(&self) -> impl Iterator<Item = &QuestionReport> {
        self.by_id.values().filter(|report| report.is_open())
    }
}

impl State {
    fn require_question(&self, id: QuestionId) -> StoreResult<()> {
        self.questions.get(id).map(drop)
    }
}

#[async_trait]
impl ReportRepository for Tables {
    async fn file(&self, report: FileReport) -> StoreResult<QuestionReport> {
        let mut state = self.write();
        let FileReport { question_id, version, user_id, reason, note } = report;
        if !state.play.players.contains_key(&user_id) {
            return Err(StoreError::missing("user", user_id));
        }
        state.require_question(question_id)?;
        if !state.play.contents.contains_key(&(question_id, version)) {
            return Err(StoreError::missing("version of a question", format!("{question_id}/{version}")));
        }
        let mine: Vec<_> = state.reports.open().filter(|open| open.user_id == user_id).cloned().collect();
        let before = mine.iter().find(|open| open.question_id == question_id).cloned();
        if before.is_none() && mine.len() as u64 >= QuestionReport::MOST_OPEN {
            return Err(Refusal::TooManyReports { most: QuestionReport::MOST_OPEN }.into());
        }
        let id = match &before {
            Some(before) => before.id,
            None => {
                state.reports.ever += 1;
                ReportId::try_from(state.reports.ever)?
            }
        };
        let reported_at = self.clock.now();
        let said = QuestionReport { id, question_id, version, user_id, reason, note, reported_at, settled: None };
        let report = match before {
            Some(before) => before.followed_by(said),
            None => said,
        };
        state.reports.by_id.insert(id, report.clone());
        Ok(report)
    }

    async fn list(&self, filter: &ReportFilter, page: Page) -> StoreResult<Vec<QuestionReport>> {
        let state = self.read();
        let matching = state.reports.by_id.values().filter(|report| {
            page.after.is_none_or(|after| report.id.get() > after)
                && filter.question.is_none_or(|question| question == report.question_id)
                && (filter.settled || report.is_open())
        });
        Ok(matching.take(page.limit as usize).cloned().collect())
    }

    async fn reported(&self, limit: u32) -> StoreResult<Vec<ReportedQuestion>> {
        let state = self.read();
        let mut reported = BTreeMap::<QuestionId, ReportedQuestion>::new();
        for QuestionReport { question_id, reason, reported_at, .. } in state.reports.open() {
            let question = reported.entry(*question_id).or_insert_with(|| ReportedQuestion {
                question_id: *question_id,
                open: 0,
                reasons: BTreeMap::new(),
                since: *reported_at,
            });
            question.open += 1;
            *question.reasons.entry(*reason).or_default() += 1;
            question.since = question.since.min(*reported_at);
        }
        let mut reported: Vec<_> = reported.into_values().collect();
        reported.sort_by_key(|question| Reverse(question.open));
        reported.truncate(limit as usize);
        Ok(reported)
    }

    async fn settle(&self, question: QuestionId, outcome: ReportOutcome) -> StoreResult<u64> {
        let mut state = self.write();
        state.require_question(question)?;
        let settled = Some(Settlement { outcome, at: self.clock.now() });
        let open = state.reports.by_id.values_mut().filter(|one| one.question_id == question && one.is_open());
        let mut count = 0;
        for report in open {
            report.settled = settled;
            count += 1;
        }
        Ok(count)
    }
}
