//! `questions`: looking after what is asked.

mod retire;
mod review;
mod show;

use super::CommandResult;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show a question with its earlier versions
    Show(show::Args),
    /// List questions that contradict each other, and those that ask nearly the same
    Review(review::Args),
    /// Ask these no more; answers to them stay
    Retire(retire::Args),
    /// Ask retired questions again
    Restore(retire::Args),
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    match command {
        Command::Show(args) => show::run(app, args, output).await,
        Command::Review(args) => review::run(app, args, output).await,
        Command::Retire(args) => retire::run(app, args, retire::Change::Retire, output).await,
        Command::Restore(args) => retire::run(app, args, retire::Change::Restore, output).await,
    }
}
