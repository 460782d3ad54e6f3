//! What became of the records.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use serde::Serialize;
use trivia_domain::model::{Pack, PackName, PackPart};
use trivia_domain::ports::AddOutcome;
use trivia_domain::{StoreError, StoreResult};

use super::addition::{Addition, Target};
use super::error::ImportError;
use super::files::Source;
use super::{Fix, Parsed, Place, Record};

/// Most diagnostics of one code that are held in memory: thousands of fixes must not hide a rejected record.
const MAX_PER_CODE: u64 = 1_000;
/// Longest message of a diagnostic, in characters.
const MAX_MESSAGE: usize = 300;

/// How many records ended how; `read` is the sum of `accepted`, `duplicates` and `rejected`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records found.
    pub read: u64,
    /// Questions that are new.
    pub accepted: u64,
    /// Accepted ones that were changed first.
    pub fixed: u64,
    /// Questions that were there already.
    pub duplicates: u64,
    /// Accepted ones whose stem is there with another right answer.
    pub contradictions: u64,
    /// Records that are no questions.
    pub rejected: u64,
}

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Over all files.
    #[serde(flatten)]
    pub total: Counts,
    /// How many diagnostics there are, in this list or not.
    pub told: u64,
    /// The files that were read, in order.
    pub files: Vec<FileReport>,
    /// How many records, whether new or there already, belong to each pack.
    pub packs: BTreeMap<PackName, u64>,
    /// First what was left out, then contradictions, duplicates, fixes and notes, each in order of the
    /// files and at most a thousand of each code. The last one says how many are not listed.
    pub diagnostics: Vec<Diagnostic>,
}

/// What became of the records of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// File, as it was found.
    pub file: String,
    /// Its format.
    pub format: &'static str,
    /// Its records.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something was left out.
    Error,
    /// Something was changed, or should be looked at.
    Warning,
    /// Good to know.
    Note,
}

/// Something to know about a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// File, as it was found.
    pub file: String,
    /// Line where the record starts; 0 when it is about the whole file.
    pub line: u64,
    /// How the record starts.
    pub text: String,
    /// A stable word.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What was done about it.
    pub done: String,
}

impl Diagnostic {
    /// About a whole file that was left out.
    pub(super) fn of_file(file: String, code: &'static str, message: String) -> Self {
        let done = "left out".to_owned();
        Self { level: Level::Error, file, line: 0, text: String::new(), code, message, done }
    }
}

/// In which part of the report a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    LeftOut,
    Contradiction,
    Duplicate,
    Fix,
    Note,
}

/// A report that is being made.
pub(super) struct Tally<'a> {
    report: ImportReport,
    told: Vec<(Part, Diagnostic)>,
    codes: BTreeMap<&'static str, u64>,
    /// Gets every diagnostic as a line of JSON.
    journal: Option<BufWriter<&'a File>>,
}

impl<'a> Tally<'a> {
    /// Begins a report, and the journal from its start.
    pub(super) fn new(sources: &[Source], journal: Option<&'a File>) -> Result<Self, ImportError> {
        if let Some(mut file) = journal {
            file.rewind().and_then(|()| file.set_len(0)).map_err(ImportError::Journal)?;
        }
        let files = sources.iter().map(|source| FileReport {
            file: source.path.display().to_string(),
            format: source.format.as_str(),
            counts: Counts::default(),
        });
        let report = ImportReport { files: files.collect(), ..ImportReport::default() };
        Ok(Self { report, told: Vec::new(), codes: BTreeMap::new(), journal: journal.map(BufWriter::new) })
    }

    pub(super) const fn read(&self) -> u64 {
        self.report.total.read
    }

    /// Tells of a file that was not read.
    pub(super) fn unread(&mut self, diagnostic: Diagnostic) -> Result<(), ImportError> {
        self.tell(Part::LeftOut, diagnostic)
    }

    /// Adds the questions among the records to the store, all or none.
    pub(super) async fn add(
        &mut self,
        records: Vec<Record>,
        said: Option<&Pack>,
        target: Target<'_>,
    ) -> Result<(), ImportError> {
        let mut addition = Addition::default();
        let mut results = Vec::with_capacity(records.len());
        for Record { place, parsed } in records {
            let result = match parsed {
                Parsed::Ok { content, labels, fixes } => {
                    for pack in &labels.packs {
                        *self.report.packs.entry(pack.clone()).or_default() += 1;
                    }
                    addition.questions.push((*content, labels));
                    Ok(fixes)
                }
                Parsed::Pack(pack) => {
                    addition.declared.push(pack.clone());
                    Err(Parsed::Pack(pack))
                }
                other => Err(other),
            };
            results.push((place, result));
        }
        if !addition.questions.is_empty() {
            addition.said = said.cloned();
        }
        let added = target.take(&addition).await?;
        let (mut outcomes, mut kept) = (added.outcomes.into_iter(), added.kept.into_iter());
        for (place, result) in results {
            match result {
                Ok(fixes) => {
                    let missing = || StoreError::backend("adding questions", "an outcome is missing");
                    let outcome: StoreResult<_> = outcomes.next().ok_or_else(missing);
                    self.count(&place, outcome?, &fixes)?;
                }
                Err(Parsed::Rejected { code, message }) => {
                    self.each(&place, |counts| {
                        counts.read += 1;
                        counts.rejected += 1;
                    });
                    self.tell(Part::LeftOut, place.says(Level::Error, code, &message, "left out"))?;
                }
                Err(Parsed::Note { code, message, done }) => {
                    self.tell(Part::Note, place.says(Level::Note, code, &message, done))?;
                }
                Err(Parsed::Pack(pack)) => {
                    let parts: Vec<_> = kept.next().unwrap_or_default();
                    if !parts.is_empty() {
                        self.tell(Part::Note, differing(&place, &pack, &parts))?;
                    }
                }
                Err(Parsed::Ok { .. }) => {}
            }
        }
        Ok(())
    }

    fn count(&mut self, place: &Place, outcome: AddOutcome, fixes: &[Fix]) -> Result<(), ImportError> {
        for fix in fixes {
            self.tell(Part::Fix, place.says(Level::Warning, fix.code(), fix.message(), fix.done()))?;
        }
        let contradicts = matches!(outcome, AddOutcome::Contradiction { .. });
        let duplicate = matches!(outcome, AddOutcome::Duplicate { .. });
        self.each(place, |counts| {
            counts.read += 1;
            counts.duplicates += u64::from(duplicate);
            counts.contradictions += u64::from(contradicts);
            counts.accepted += u64::from(!duplicate);
            counts.fixed += u64::from(!duplicate && !fixes.is_empty());
        });
        match outcome {
            AddOutcome::Added { .. } => Ok(()),
            AddOutcome::Duplicate { of } => {
                let message = format!("it is question {of}");
                self.tell(Part::Duplicate, place.says(Level::Note, "duplicate", &message, "not added again"))
            }
            AddOutcome::Contradiction { id, with } => {
                let message = format!("question {with} has the same text and another right answer");
                let done = format!("added as question {id}; retire the one that is wrong");
                self.tell(Part::Contradiction, place.says(Level::Warning, "contradiction", &message, &done))
            }
        }
    }

    /// Counts in the file of a record and over all.
    fn each(&mut self, place: &Place, count: impl Fn(&mut Counts)) {
        count(&mut self.report.total);
        if let Some(file) = self.report.files.get_mut(place.source) {
            count(&mut file.counts);
        }
    }

    fn tell(&mut self, part: Part, mut diagnostic: Diagnostic) -> Result<(), ImportError> {
        if let Some((at, _)) = diagnostic.message.char_indices().nth(MAX_MESSAGE) {
            diagnostic.message.truncate(at);
            diagnostic.message.push('…');
        }
        if let Some(journal) = &mut self.journal {
            write_line(journal, &diagnostic).map_err(ImportError::Journal)?;
        }
        self.report.told += 1;
        let told = self.codes.entry(diagnostic.code).or_default();
        *told += 1;
        if *told <= MAX_PER_CODE {
            self.told.push((part, diagnostic));
        }
        Ok(())
    }

    /// The report; the last line of the journal has the counts.
    pub(super) fn finish(mut self) -> Result<ImportReport, ImportError> {
        if let Some(journal) = &mut self.journal {
            let written = write_line(journal, &self.report).and_then(|()| journal.flush());
            written.map_err(ImportError::Journal)?;
        }
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
            let done = "all are in the file of --report".to_owned();
            let (file, text) = (String::new(), String::new());
            let level = Level::Note;
            self.report.diagnostics.push(Diagnostic { level, file, line: 0, text, code: "not_listed", message, done });
        }
        Ok(self.report)
    }
}

/// A file says something else about a pack than what is known.
fn differing(place: &Place, pack: &Pack, parts: &[PackPart]) -> Diagnostic {
    let said = parts.iter().filter_map(|part| Some(format!("{part} {:?}", pack.part(*part)?)));
    let message = format!("the file says of pack {}: {}", pack.name(), said.collect::<Vec<_>>().join(", "));
    let done = format!("kept what is known; `trivia-db packs set {}` changes it", pack.name());
    place.says(Level::Note, "pack_differs", &message, &done)
}

fn write_line(journal: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *journal, line)?;
    journal.write_all(b"\n")
}
