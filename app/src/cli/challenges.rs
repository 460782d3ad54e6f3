//! `challenges`: the questions of the day and of the week, and which language they have.

use serde::Serialize;
use trivia_domain::model::{ChallengeId, ChallengeKind, Language};
use trivia_domain::ports::Store;

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Set which language new challenges have; those that were started keep their questions
    Set(Change),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Change {
    /// Only this language, such as is or pt-br
    #[arg(long)]
    language: Option<Language>,
    /// Any language
    #[arg(long)]
    any_language: bool,
}

#[derive(Serialize)]
struct Report {
    /// The only language of new challenges; none is any.
    language: Option<Language>,
    present: Vec<Present>,
}

/// A challenge that can be played now.
#[derive(Serialize)]
struct Present {
    #[serde(flatten)]
    id: ChallengeId,
    /// Somebody has started it, so its questions are fixed.
    started: bool,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let report = app
        .with_database(async |database| {
            let store: &dyn Store = database;
            if let Some(Command::Set(change)) = &args.command {
                store.rules().set_challenge_language(change.language.clone()).await?;
            }
            load(store).await
        })
        .await?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(store: &dyn Store) -> Result<Report, Failure> {
    let mut present = Vec::new();
    for kind in ChallengeKind::ALL {
        let id = store.challenges().present(kind).await?;
        present.push(Present { id, started: store.challenges().find(id).await?.is_some() });
    }
    Ok(Report { language: store.rules().rules().await?.challenge_language, present })
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    match &report.language {
        Some(language) => writeln!(output, "New challenges are drawn from questions in {language}.")?,
        None => writeln!(output, "New challenges are drawn from questions in any language.")?,
    }
    for Present { id: ChallengeId { kind, starts_on }, started } in &report.present {
        let state = if *started { "has its questions" } else { "was not started yet" };
        writeln!(output, "The {kind} challenge of {starts_on} {state}.")?;
    }
    Ok(())
}
