//! `trivia-db`: the operator's tool for a trivia store.
//!
//! [`cli`] has one file per command; [`config`] reads the settings, [`wiring`] builds the adapters
//! from them, [`output`] prints, [`progress`] shows bars, [`server`] answers over HTTP. A command parses its arguments, calls ports and prints.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod chance;
mod cli;
mod config;
mod error;
mod logging;
mod output;
mod pack;
mod progress;
mod scratch;
mod server;
mod wiring;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verdict};
use crate::error::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let mut output = Output::new(cli.global.json);
    let result = cli::run(cli, &mut output);
    let flushed = output.flush();
    match result.and_then(|verdict| flushed.map(|()| verdict)) {
        Ok(Verdict::Good) | Err(Failure::PipeClosed) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(3),
        Ok(Verdict::Interrupted) => ExitCode::from(130),
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let colours = io::stderr().is_terminal() && output::wants_colours();
        let text = error.render();
        let text = if colours { text.ansi().to_string() } else { text.to_string() };
        // all errors of this program end alike
        let _ = io::stderr().write_all(text.replace("For more information, try ", "hint: try ").as_bytes());
    } else {
        // a closed pipe: nobody wants to read the help
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
