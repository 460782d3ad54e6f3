//! `cargo xtask faults`: builds the fault harness and runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A sample of each row, in about a minute; the default
    #[arg(long, conflicts_with = "deep")]
    quick: bool,
    /// As much as the time allows; writes docs/reliability.md
    #[arg(long)]
    deep: bool,
    /// Time for a deep run
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// Only this row; writes no document
    #[arg(long, value_name = "ROW")]
    only: Option<String>,
    /// Repeats the chance of an earlier run
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only this case of the row
    #[arg(long, value_name = "N", requires = "only")]
    case: Option<u64>,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Injects faults, in the dev profile: its checks of overflows are wanted here.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut faults = Command::new("cargo");
    faults.args(["run", "--locked", "--package", "trivia-tests", "--features", "faults", "--bin", "faults", "--"]);
    faults.arg(if args.deep { "--deep" } else { "--quick" });
    faults.arg("--docs").arg(root.join("docs")).args(["--minutes", &args.minutes.to_string()]);
    let numbers = [("--seed", args.seed), ("--case", args.case)];
    for (option, value) in numbers.map(|(option, value)| (option, value.map(|value| value.to_string()))) {
        if let Some(value) = value {
            faults.args([option, &value]);
        }
    }
    for (option, value) in [("--json", args.json.as_deref()), ("--only", args.only.as_deref().map(Path::new))] {
        if let Some(value) = value {
            faults.arg(option).arg(value);
        }
    }
    if faults.status().is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
