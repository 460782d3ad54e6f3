//! What became of the records.

use std::collections::BTreeMap;

use serde::Serialize;
use trivia_domain::ports::{AddOutcome, QuestionRepository};
use trivia_domain::{StoreError, StoreResult};

use super::{Fix, Parsed, Place, Record};

/// Most diagnostics of one code: thousands of fixes must not hide a rejected record.
const MAX_PER_CODE: u64 = 1_000;
/// Longest message of a diagnostic, in characters.
const MAX_MESSAGE: usize = 300;

/// The result of an import; `read` is the sum of `accepted`, `duplicates` and `rejected`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ImportReport {
    /// Records found.
    pub(crate) read: u64,
    /// Questions that are new.
    pub(crate) accepted: u64,
    /// Accepted ones that were changed first.
    pub(crate) fixed: u64,
    /// Questions that were there already.
    pub(crate) duplicates: u64,
    /// Accepted ones whose stem is there with another right answer.
    pub(crate) contradictions: u64,
    /// Records that are no questions.
    pub(crate) rejected: u64,
    /// First what was left out, then contradictions, duplicates and fixes, each in order of the
    /// files and at most a thousand of each code. The last one says how many are not listed.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnostic {
    /// File, as it was found.
    pub(crate) file: String,
    /// Line where the record starts; 0 when it is about the whole file.
    pub(crate) line: u64,
    /// A stable word.
    pub(crate) code: &'static str,
    /// The same for people.
    pub(crate) message: String,
}

/// In which part of the report a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    LeftOut,
    Contradiction,
    Duplicate,
    Fix,
}

/// A report that is being made.
#[derive(Default)]
pub(super) struct Tally {
    report: ImportReport,
    told: Vec<(Part, Diagnostic)>,
    codes: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) const fn read(&self) -> u64 {
        self.report.read
    }

    /// Tells of a file that was not read.
    pub(super) fn unread(&mut self, diagnostic: Diagnostic) {
        self.tell(Part::LeftOut, diagnostic);
    }

    /// Adds the questions among the records to the store, all or none.
    pub(super) async fn add(&mut self, records: Vec<Record>, questions: &dyn QuestionRepository) -> StoreResult<()> {
        let mut contents = Vec::with_capacity(records.len());
        let mut results = Vec::with_capacity(records.len());
        for Record { place, parsed } in records {
            let result = match parsed {
                Parsed::Ok { content, fixes } => {
                    contents.push(*content);
                    Ok(fixes)
                }
                Parsed::Rejected { code, message } => Err((code, message)),
            };
            results.push((place, result));
        }
        let mut outcomes = questions.add(contents).await?.into_iter();
        for (place, result) in results {
            self.report.read += 1;
            match result {
                Ok(fixes) => {
                    let missing = || StoreError::backend("adding questions", "an outcome is missing");
                    self.count(&place, outcomes.next().ok_or_else(missing)?, &fixes);
                }
                Err((code, message)) => {
                    self.report.rejected += 1;
                    self.tell(Part::LeftOut, place.says(code, &message));
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, place: &Place, outcome: AddOutcome, fixes: &[Fix]) {
        for fix in fixes {
            self.tell(Part::Fix, place.says(fix.code(), fix.message()));
        }
        match outcome {
            AddOutcome::Added { .. } => {}
            AddOutcome::Duplicate { of } => {
                self.report.duplicates += 1;
                self.tell(Part::Duplicate, place.says("duplicate", &format!("it is question {of}")));
                return;
            }
            AddOutcome::Contradiction { id, with } => {
                self.report.contradictions += 1;
                let message = format!("question {id} has the text of question {with} and another right answer");
                self.tell(Part::Contradiction, place.says("contradiction", &message));
            }
        }
        self.report.accepted += 1;
        self.report.fixed += u64::from(!fixes.is_empty());
    }

    fn tell(&mut self, part: Part, mut diagnostic: Diagnostic) {
        let told = self.codes.entry(diagnostic.code).or_default();
        *told += 1;
        if *told > MAX_PER_CODE {
            return;
        }
        if let Some((at, _)) = diagnostic.message.char_indices().nth(MAX_MESSAGE) {
            diagnostic.message.truncate(at);
            diagnostic.message.push('…');
        }
        self.told.push((part, diagnostic));
    }

    pub(super) fn finish(mut self) -> ImportReport {
        self.told.sort_by_key(|(part, _)| *part);
        self.report.diagnostics.extend(self.told.into_iter().map(|(_, diagnostic)| diagnostic));
        let not_listed: Vec<String> = self
            .codes
            .iter()
            .filter(|(_, count)| **count > MAX_PER_CODE)
            .map(|(code, count)| format!("{} of {code}", count - MAX_PER_CODE))
            .collect();
        if !not_listed.is_empty() {
            let message = format!("not listed: {}", not_listed.join(", "));
            self.report.diagnostics.push(Diagnostic { file: String::new(), line: 0, code: "not_listed", message });
        }
        self.report
    }
}
