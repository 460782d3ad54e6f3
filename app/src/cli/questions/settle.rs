//! `questions settle`: what a moderator thinks of reports.

use serde::Serialize;
use trivia_domain::model::{QuestionId, ReportOutcome};
use trivia_domain::ports::Repositories;

use crate::cli::{CommandResult, Verdict};
use crate::output::{Output, count};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The question
    id: QuestionId,
    #[command(flatten)]
    opinion: Opinion,
}

/// What a moderator thinks of the reports.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Opinion {
    /// They are right
    #[arg(long)]
    accept: bool,
    /// They are not
    #[arg(long)]
    dismiss: bool,
}

#[derive(Serialize)]
struct Report {
    question_id: QuestionId,
    outcome: ReportOutcome,
    /// Reports that were open.
    settled: u64,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let outcome = if args.opinion.accept { ReportOutcome::Accepted } else { ReportOutcome::Dismissed };
    let settled = app.with_database(async |database| Ok(database.reports().settle(args.id, outcome).await?)).await?;
    let reports = count(usize::try_from(settled).unwrap_or(usize::MAX), "report");
    writeln!(output, "{reports} of question {} {outcome}.", args.id)?;
    if args.opinion.accept && settled > 0 {
        writeln!(output, "It is still asked; `trivia-db questions retire {}` takes it out.", args.id)?;
    }
    output.report(&Report { question_id: args.id, outcome, settled })?;
    Ok(Verdict::Good)
}
