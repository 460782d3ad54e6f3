//! `user`: players.

mod delete;
mod merge;
mod show;
mod time_zone;

use super::CommandResult;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show everything about a player
    Show(show::Args),
    /// Remove players and everything that is stored about them, for good
    Delete(delete::Args),
    /// Make two players one: what the first has played counts for the second
    Merge(merge::Args),
    /// Set where a player's days turn
    TimeZone(time_zone::Args),
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    match command {
        Command::Show(args) => show::run(app, args, output).await,
        Command::Delete(args) => delete::run(app, args, output).await,
        Command::Merge(args) => merge::run(app, args, output).await,
        Command::TimeZone(args) => time_zone::run(app, args, output).await,
    }
}
