//! `questions show`: a question as it is and as it was.

use std::fmt::Display;

use serde::Serialize;
use trivia_domain::model::{Labels, Page, Question, QuestionBody, QuestionContent, QuestionId, QuestionReport};
use trivia_domain::ports::{ReportFilter, Store};

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, printable};
use crate::wiring::App;

/// Reports that are shown.
const MOST_REPORTS: u32 = 100;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its id
    id: QuestionId,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    question: Question,
    #[serde(flatten)]
    labels: Labels,
    /// What earlier versions said, oldest first.
    earlier: Vec<QuestionContent>,
    /// What players said about it, also what was settled; the first ones.
    reports: Vec<QuestionReport>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let report = app.with_database(async |database| load(database, args.id).await).await?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(store: &dyn Store, id: QuestionId) -> Result<Report, Failure> {
    let questions = store.questions();
    let question = questions.get(id).await?;
    let mut earlier = Vec::new();
    for version in 1..question.version {
        earlier.push(questions.version(id, version).await?);
    }
    let labels = questions.labels(&[id]).await?.remove(&id).unwrap_or_default();
    let filter = ReportFilter { question: Some(id), settled: true };
    let reports = store.reports().list(&filter, Page::first(MOST_REPORTS)).await?;
    Ok(Report { question, labels, earlier, reports })
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    let Report { question, labels, earlier, reports } = report;
    let content = &question.content;
    writeln!(output, "{}", style.strong(printable(content.text())))?;
    if let QuestionBody::MultipleChoice { options, .. } = content.body() {
        for option in options {
            writeln!(output, "  - {}", printable(option))?;
        }
    }
    writeln!(output, "Right: {}", printable(content.answer()))?;
    if let QuestionBody::FillBlank { variations, .. } = content.body()
        && !variations.is_empty()
    {
        writeln!(output, "Also right: {}", printable(&variations.join(", ")))?;
    }
    if let Some(explanation) = content.explanation() {
        writeln!(output, "{}", style.faint(printable(explanation)))?;
    }
    writeln!(
        output,
        "{}, {}, {}, {}, {} points",
        printable(content.category().as_str()),
        content.difficulty(),
        content.kind(),
        content.language(),
        content.base_points()
    )?;
    writeln!(
        output,
        "Version {} of {}, answered {} times, {} right ({})",
        question.version,
        question.created_at.format("%Y-%m-%d"),
        question.times_asked,
        question.times_correct,
        question.success_rate()
    )?;
    for (what, names) in [("Tags", comma_separated(&labels.tags)), ("Packs", comma_separated(&labels.packs))] {
        if !names.is_empty() {
            writeln!(output, "{what}: {names}")?;
        }
    }
    if let Some(at) = question.retired_at {
        writeln!(output, "{} since {}", style.bad("Retired"), at.format("%Y-%m-%d %H:%M UTC"))?;
    }
    for (version, content) in (1..).zip(earlier) {
        let (text, answer) = (printable(content.text()), printable(content.answer()));
        writeln!(output, "Version {version} was: {text} Right: {answer}")?;
    }
    for QuestionReport { version, user_id, reason, note, reported_at, settled, .. } in reports {
        let state = settled.map_or_else(|| style.bad("open"), |settled| settled.outcome.to_string());
        let day = reported_at.format("%Y-%m-%d");
        writeln!(output, "Player {user_id} said of version {version} on {day}: {reason} ({state})")?;
        if let Some(note) = note {
            writeln!(output, "  {}", printable(note.as_str()))?;
        }
    }
    Ok(())
}

/// Names one after the other.
pub(super) fn comma_separated<'a, T: Display + 'a>(names: impl IntoIterator<Item = &'a T>) -> String {
    printable(&names.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// A text on one line, with its end cut off when it is long.
pub(super) fn short(text: &str, max_chars: usize) -> String {
    let line = printable(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(max_chars) {
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
        None => line,
    }
}
