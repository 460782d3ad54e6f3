//! `user merge`: two players who are one person.

use serde::Serialize;
use trivia_domain::model::{UserId, UserProfile};
use trivia_domain::ports::Store;

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The player who goes
    from: UserId,
    /// The player who stays and gets everything
    into: UserId,
    /// Confirm that they may become one; there is no way back
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Report {
    merged: UserId,
    into: UserId,
    profile: UserProfile,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let Args { from, into, yes } = *args;
    if !yes {
        return Err(Failure::unconfirmed("merging two players"));
    }
    let profile = app
        .with_database(async |database| {
            let store: &dyn Store = database;
            Ok(store.people().merge(from, into).await?)
        })
        .await?;
    writeln!(
        output,
        "Player {from} is player {into} now: {} points from {} answers, {} right ({}).",
        profile.total_points,
        profile.questions_answered,
        profile.questions_correct,
        profile.accuracy()
    )?;
    output.report(&Report { merged: from, into, profile })?;
    Ok(Verdict::Good)
}
