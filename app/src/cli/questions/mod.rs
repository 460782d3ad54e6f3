//! `questions`: looking after what is asked.

pub(super) mod filter;
mod list;
mod report;
mod retire;
mod review;
mod settle;
mod show;
mod tag;

use super::CommandResult;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List questions with their tags and packs
    List(list::Args),
    /// Show a question with its earlier versions, and what players said about it
    Show(show::Args),
    /// Add tags to a question, or remove them
    Tag(tag::Args),
    /// List questions that players reported, that contradict each other, and that ask nearly the same
    Review(review::Args),
    /// Note down that a player finds something wrong with a question
    Report(report::Args),
    /// Close all open reports of a question
    Settle(settle::Args),
    /// Ask these no more; answers to them stay
    Retire(retire::Args),
    /// Ask retired questions again
    Restore(retire::Args),
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    match command {
        Command::List(args) => list::run(app, args, output).await,
        Command::Show(args) => show::run(app, args, output).await,
        Command::Tag(args) => tag::run(app, args, output).await,
        Command::Review(args) => review::run(app, args, output).await,
        Command::Report(args) => report::run(app, args, output).await,
        Command::Settle(args) => settle::run(app, args, output).await,
        Command::Retire(args) => retire::run(app, args, retire::Change::Retire, output).await,
        Command::Restore(args) => retire::run(app, args, retire::Change::Restore, output).await,
    }
}
