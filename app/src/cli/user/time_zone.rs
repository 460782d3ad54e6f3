//! `user time-zone`: where a player's days turn.

use serde::Serialize;
use trivia_domain::model::{TimeZone, UserId, UserProfile};
use trivia_domain::ports::Repositories;

use crate::cli::{CommandResult, Verdict};
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The player's id
    id: UserId,
    /// An IANA name, such as Atlantic/Reykjavik
    zone: TimeZone,
}

#[derive(Serialize)]
struct Report {
    profile: UserProfile,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let profile =
        app.with_database(async |database| Ok(database.users().set_time_zone(args.id, args.zone).await?)).await?;
    writeln!(output, "From now on the days of player {} turn at midnight in {}.", args.id, profile.time_zone)?;
    writeln!(output, "Days in a row that were reached before stay as they are.")?;
    output.report(&Report { profile })?;
    Ok(Verdict::Good)
}
