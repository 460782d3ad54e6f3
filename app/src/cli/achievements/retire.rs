//! `achievements retire`: nobody earns it any more.

use serde::Serialize;
use trivia_domain::model::AchievementId;
use trivia_domain::ports::Store;

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its id: see `trivia-db achievements list`
    id: AchievementId,
    /// Confirm that nobody shall earn it any more
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    retired: &'a AchievementId,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    if !args.yes {
        return Err(Failure::unconfirmed("retiring an achievement"));
    }
    app.with_database(async |database| {
        let store: &dyn Store = database;
        Ok(store.rules().retire_achievement(&args.id).await?)
    })
    .await?;
    writeln!(output, "Nobody can earn {} any more; whoever has it keeps it.", args.id)?;
    output.report(&Report { retired: &args.id })?;
    Ok(Verdict::Good)
}
