//! `export`: data for other programs.

mod attribution;
mod csv;
pub(super) mod file;
mod original;
mod questions;
mod user;

use std::path::PathBuf;

use super::CommandResult;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// All questions that are not retired, as JSON Lines or CSV: `import` reads both back
    Questions(questions::Args),
    /// Everything that is stored about a person, as one JSON document
    User(user::Args),
    /// A database that the original system can use: the way back
    Original(original::Args),
}

/// Where an export goes.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Write to this file [default: the terminal]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    force: bool,
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    match command {
        Command::Questions(args) => questions::run(app, args, output).await,
        Command::User(args) => user::run(app, args, output).await,
        Command::Original(args) => original::run(app, args, output).await,
    }
}
