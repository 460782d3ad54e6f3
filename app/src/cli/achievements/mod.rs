//! `achievements`: what players can unlock.

mod define;
mod list;
mod retire;

use super::CommandResult;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what can be unlocked; with --json in the form that `define` reads
    List,
    /// Add or replace achievements; everybody who has earned one by earlier answers gets it
    Define(define::Args),
    /// Let nobody earn an achievement any more; whoever has it keeps it
    Retire(retire::Args),
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    match command {
        Command::List => list::run(app, output).await,
        Command::Define(args) => define::run(app, args, output).await,
        Command::Retire(args) => retire::run(app, args, output).await,
    }
}
