//! `cargo xtask bench`: builds the benchmark and runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::packages::{has_postgres, install, succeeds};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Tiny sizes in the dev profile: only checks that everything works, and writes no documents
    #[arg(long)]
    quick: bool,
    /// Write machine and targets to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only this measurement: answers, users, ranks, picks, server, import, backup or memory; writes no documents
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// Measures, and writes `docs/benchmarks.md` when everything was measured in full.
pub(crate) fn run(args: &Args) -> ExitCode {
    if !has_redis() {
        eprintln!("there is no redis-server, and it could not be installed: that peer is left out");
    }
    if !has_postgres() {
        eprintln!("there is no PostgreSQL, and it could not be installed: what is measured there is left out");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let profile: &[&str] = if args.quick { &[] } else { &["--release"] };
    let mut bench = Command::new("cargo");
    bench.args(["run", "--locked", "--package", "trivia-tests", "--features", "bench", "--bin", "bench"]).args(profile);
    bench.arg("--").arg("--docs").arg(root.join("docs"));
    if args.quick {
        bench.arg("--quick");
    } else {
        // the program whose memory is measured; the benchmark looks for it beside itself
        let mut program = Command::new("cargo");
        program.args(["build", "--locked", "--package", "trivia-app", "--bin", "trivia-db"]).args(profile);
        if !succeeds(program.current_dir(&root)) {
            return ExitCode::FAILURE;
        }
    }
    for (option, value) in [("--json", args.json.as_deref()), ("--only", args.only.as_deref().map(Path::new))] {
        if let Some(value) = value {
            bench.arg(option).arg(value);
        }
    }
    // a relative FILE means the directory of the caller
    if succeeds(&mut bench) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether there is a Redis to compare with; as root, one is installed.
fn has_redis() -> bool {
    let present = || succeeds(Command::new("redis-server").arg("--version").stdout(Stdio::null()));
    present() || install("redis-server") && present()
}
