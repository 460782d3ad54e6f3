//! `questions report`: a player finds something wrong with a question.

use trivia_domain::model::{QuestionId, QuestionReport, ReportNote, ReportReason, UserId};
use trivia_domain::ports::{FileReport, Store};
use trivia_domain::{Refusal, StoreError, StoreResult};

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The question
    id: QuestionId,
    /// Who says so
    #[arg(long, value_name = "USER")]
    player: UserId,
    /// What is wrong: wrong_answer, unclear, outdated, duplicate, offensive or other
    #[arg(long)]
    reason: ReportReason,
    /// More about it, up to 500 characters
    #[arg(long, value_name = "TEXT")]
    note: Option<ReportNote>,
    /// The version that the player was shown [default: the newest]
    #[arg(long, value_name = "N")]
    shown: Option<u32>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let report = app
        .with_database(async |database| match file(database, args).await {
            Err(StoreError::Refused(refusal @ Refusal::TooManyReports { .. })) => {
                let hint = "look at them with `trivia-db questions review`, then `trivia-db questions settle ID`";
                Err(Failure::new(refusal.to_string(), hint))
            }
            other => Ok(other?),
        })
        .await?;
    let QuestionReport { question_id, version, user_id, reason, .. } = &report;
    writeln!(output, "Player {user_id} reported question {question_id} (version {version}): {reason}.")?;
    writeln!(output, "Next: `trivia-db questions review` shows it until it is settled.")?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn file(store: &dyn Store, args: &Args) -> StoreResult<QuestionReport> {
    let newest = store.questions().get(args.id).await?.version;
    let report = FileReport {
        question_id: args.id,
        version: args.shown.unwrap_or(newest),
        user_id: args.player,
        reason: args.reason,
        note: args.note.clone(),
    };
    store.reports().file(report).await
}
