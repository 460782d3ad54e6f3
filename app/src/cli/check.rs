//! `check`: is the database whole?

use serde::Serialize;
use trivia_domain::StoreError;
use trivia_domain::ports::{CheckOutcome, MaintenancePort};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, printable};
use crate::wiring::App;

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    problems: &'a [String],
}

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let problems = problems(app).await?;
    let style = output.style();
    for problem in &problems {
        writeln!(output, "{} {}", style.bad("damaged:"), printable(problem))?;
    }
    if problems.is_empty() {
        writeln!(output, "{} pages, keys, constraints and sums are right.", style.good("ok:"))?;
    } else {
        writeln!(
            output,
            "\nNext: `trivia-db recover --dry-run` says what can be rescued; `trivia-db rebuild` mends numbers."
        )?;
    }
    output.report(&Report { ok: problems.is_empty(), problems: &problems })?;
    Ok(Verdict::of(problems.is_empty()))
}

/// What is wrong with the database; an error when that is not known.
pub(super) async fn problems(app: &App) -> Result<Vec<String>, Failure> {
    match app.with_database(async |database| Ok(database.check().await)).await {
        Ok(CheckOutcome::Ok) => Ok(Vec::new()),
        Ok(CheckOutcome::Bad { problems }) => Ok(problems),
        Ok(CheckOutcome::CouldNotCheck { reason }) => {
            Err(Failure::new(format!("could not check: {reason}"), "this says nothing about the data; try again"))
        }
        // too damaged to be opened
        Err(Failure::Store(error @ StoreError::Corrupt { .. })) => Ok(vec![error.to_string()]),
        Err(failure) => Err(failure),
    }
}
