//! The importers, by what becomes of each record.

mod formats;
mod golden;
mod hostile;
mod imports;
mod known;
mod labels;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trivia_domain::memory::{ManualClock, MemoryStore, SeededRandom};
use trivia_domain::model::{Page, QuestionBody, QuestionContent};
use trivia_domain::ports::{QuestionFilter, Repositories};

use super::error::ImportError;
use super::input::Input;
use super::report::ImportReport;
use super::run::{ImportOptions, import};
use super::{Assumed, Fix, Format, Found, Parsed};

/// One case of each oddity; fuzzers begin with the same files.
const OPENTDB: &str = include_str!("../../../../fuzz/corpus/opentdb/oddities");
const OPENTRIVIAQA: &[u8] = include_bytes!("../../../../fuzz/corpus/opentriviaqa/oddities");
const JSONL: &str = include_str!("../../../../fuzz/corpus/jsonl/oddities");

fn found(format: Format, bytes: &[u8], assumed: &Assumed) -> Vec<Found> {
    let mut input = Input::new(Cursor::new(bytes.to_vec())).unwrap();
    let mut parser = format.parser(Path::new("some-file"), assumed);
    std::iter::from_fn(|| parser.next(&mut input).unwrap()).collect()
}

fn records(format: Format, bytes: &[u8]) -> Vec<(u64, Parsed)> {
    found(format, bytes, &Assumed::default()).into_iter().map(|found| (found.line, found.parsed)).collect()
}

/// Line and either the fixes or the code of each record.
fn summary(format: Format, bytes: &[u8]) -> Vec<(u64, Result<Vec<Fix>, &'static str>)> {
    let short = |parsed| match parsed {
        Parsed::Ok { fixes, .. } => Ok(fixes),
        Parsed::Pack(_) => Err("pack"),
        Parsed::Rejected { code, .. } | Parsed::Note { code, .. } => Err(code),
    };
    records(format, bytes).into_iter().map(|(line, parsed)| (line, short(parsed))).collect()
}

fn questions(format: Format, bytes: &[u8]) -> Vec<QuestionContent> {
    let ok = |(_, parsed)| match parsed {
        Parsed::Ok { content, .. } => Some(*content),
        Parsed::Pack(_) | Parsed::Rejected { .. } | Parsed::Note { .. } => None,
    };
    records(format, bytes).into_iter().filter_map(ok).collect()
}

fn options(content: &QuestionContent) -> Vec<&str> {
    match content.body() {
        QuestionBody::MultipleChoice { options, .. } => options.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn store() -> MemoryStore {
    let clock = ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap());
    MemoryStore::new(Arc::new(clock), Arc::new(SeededRandom::new(7)))
}

async fn stored(store: &MemoryStore) -> usize {
    store.questions().list(&QuestionFilter::default(), Page::first(u32::MAX)).await.unwrap().len()
}

fn counts(report: &ImportReport) -> [u64; 6] {
    let total = report.total;
    [total.read, total.accepted, total.fixed, total.duplicates, total.contradictions, total.rejected]
}

/// How often each code is in the report.
fn said(report: &ImportReport, code: &str) -> usize {
    report.diagnostics.iter().filter(|diagnostic| diagnostic.code == code).count()
}

async fn imported(
    store: &MemoryStore,
    paths: &[&Path],
    options: &ImportOptions<'_>,
) -> Result<ImportReport, ImportError> {
    import(store, &paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>(), options.clone()).await
}
