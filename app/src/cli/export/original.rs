//! `export original`: the way back to the system that this one replaced.

use std::path::PathBuf;

use trivia_domain::StoreError;

use crate::cli::adopt::{Clock, tell_odd};
use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file to write
    file: PathBuf,
    #[command(flatten)]
    clock: Clock,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    app.require_file("`export original`", "copy the database into a file first, and name that with --database-url")?;
    let export = app.adoption().release(&args.file, args.clock.server(), args.force).await;
    let export = export.map_err(|error| match error {
        StoreError::Conflict { entity: "file", .. } => {
            let message = error.to_string();
            Failure::because(message, "choose another name, or add --force to replace it", error)
        }
        other => other.into(),
    })?;
    writeln!(
        output,
        "Wrote {}: {} players, {} questions, {} achievements, {} results of weeks, {} games.",
        export.file, export.users, export.questions, export.achievements, export.rankings, export.sessions
    )?;
    writeln!(output, "Its times are those of a clock at {}.", export.clock)?;
    tell_odd(&export.changed, "changed or left out, because the original could not read them", output)?;
    output.report(&export)?;
    Ok(Verdict::Good)
}
