//! `questions review`: what a person should look at.

use std::collections::HashMap;

use serde::Serialize;
use trivia_domain::model::{Page, Question, QuestionId};
use trivia_domain::play::{Doubt, Review};
use trivia_domain::ports::{QuestionFilter, ReportedQuestion, Store};

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count, printable};
use crate::wiring::App;

/// Questions that are read at once.
const PAGE: u32 = 500;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Show no more than so many findings
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

#[derive(Serialize)]
struct Report {
    /// Questions that were looked at.
    questions: usize,
    contradictions: usize,
    near_duplicates: usize,
    /// The first findings.
    doubts: Vec<Shown>,
    /// Questions with open reports of players, those with the most first.
    reported: Vec<Reported>,
}

#[derive(Serialize)]
struct Reported {
    #[serde(flatten)]
    reports: ReportedQuestion,
    details: Question,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    doubt: Doubt,
    details: Vec<Question>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let report = app.with_database(async |database| load(database, args.limit).await).await?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(store: &dyn Store, limit: usize) -> Result<Report, Failure> {
    let reported = reported(store, limit).await?;
    let questions = store.questions();
    let (mut review, mut looked_at) = (Review::default(), 0);
    let mut page = Page::first(PAGE);
    loop {
        let batch = questions.list(&QuestionFilter::default(), page).await?;
        let Some(last) = batch.last() else { break };
        page = Page::after(last.id.get(), PAGE);
        looked_at += batch.iter().filter(|question| question.retired_at.is_none()).count();
        batch.iter().for_each(|question| review.add(question));
    }
    let mut doubts = review.doubts();
    let contradictions = doubts.iter().filter(|doubt| matches!(doubt, Doubt::Contradiction { .. })).count();
    let near_duplicates = doubts.len() - contradictions;
    doubts.truncate(limit);
    let mut known: HashMap<QuestionId, Question> = HashMap::new();
    let mut shown = Vec::with_capacity(doubts.len());
    for doubt in doubts {
        let mut details = Vec::with_capacity(doubt.questions().len());
        for id in doubt.questions() {
            if !known.contains_key(id) {
                known.insert(*id, questions.get(*id).await?);
            }
            details.extend(known.get(id).cloned());
        }
        shown.push(Shown { doubt, details });
    }
    Ok(Report { questions: looked_at, contradictions, near_duplicates, doubts: shown, reported })
}

async fn reported(store: &dyn Store, limit: usize) -> Result<Vec<Reported>, Failure> {
    let mut reported = Vec::new();
    for reports in store.reports().reported(u32::try_from(limit).unwrap_or(u32::MAX)).await? {
        let details = store.questions().get(reports.question_id).await?;
        reported.push(Reported { reports, details });
    }
    Ok(reported)
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    for Reported { reports: ReportedQuestion { open, reasons, .. }, details } in &report.reported {
        let given: Vec<_> = reasons.iter().map(|(reason, times)| format!("{reason} {times}")).collect();
        let open = count(usize::try_from(*open).unwrap_or(usize::MAX), "report");
        writeln!(output, "{}: {}", style.bad(open), given.join(", "))?;
        tell_question(details, output)?;
    }
    for Shown { doubt, details } in &report.doubts {
        match doubt {
            Doubt::Contradiction { .. } => writeln!(output, "{}", style.bad("contradiction"))?,
            Doubt::NearDuplicate { alike, .. } => writeln!(output, "{alike} % of the words are the same")?,
            _ => writeln!(output, "doubtful")?,
        }
        for question in details {
            tell_question(question, output)?;
        }
    }
    let found = report.contradictions + report.near_duplicates;
    if found > report.doubts.len() {
        writeln!(output, "and {} more; see --limit", found - report.doubts.len())?;
    }
    writeln!(
        output,
        "{}: {}, {}.",
        count(report.questions, "question"),
        count(report.contradictions, "contradiction"),
        count(report.near_duplicates, "near duplicate")
    )?;
    if found > 0 || !report.reported.is_empty() {
        writeln!(output, "\nNext: `trivia-db questions retire ID` for what should not be asked.")?;
    }
    if !report.reported.is_empty() {
        writeln!(output, "Then `trivia-db questions settle ID` closes what players reported.")?;
    }
    Ok(())
}

fn tell_question(question: &Question, output: &mut Output) -> Result<(), Failure> {
    let (text, answer) = (printable(question.content.text()), printable(question.content.answer()));
    writeln!(output, "  {} {text} Right: {answer}", question.id)
}
