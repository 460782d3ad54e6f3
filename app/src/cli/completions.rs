//! `completions`: a script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;
use serde::Serialize;

use super::{Cli, CommandResult, Verdict};
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For which shell
    shell: Shell,
}

#[derive(Serialize)]
struct Report {
    shell: String,
    script: String,
}

pub(super) fn run(args: &Args, output: &mut Output) -> CommandResult {
    // into a buffer: the generator panics when its writer fails, as a closed pipe does
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "trivia-db", &mut script);
    if output.is_json() {
        let script = String::from_utf8_lossy(&script).into_owned();
        output.report(&Report { shell: args.shell.to_string(), script })?;
    } else {
        output.raw(&script)?;
    }
    Ok(Verdict::Good)
}
