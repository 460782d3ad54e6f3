//! The project's own chores.
//!
//! `cargo xtask test` does all that a change must pass; CI runs exactly this. `cargo xtask bench` measures
//! the library beside its peers and writes `docs/benchmarks.md`. `cargo xtask faults` injects faults and counts
//! what is lost; a deep run writes `docs/reliability.md`. `cargo xtask fuzz` reads random bytes with every parser,
//! and as databases.

mod bench;
mod faults;
mod fuzz;
mod packages;

use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The project's own chores")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Formatting, lints, unit, contract, migration, command-line and doc tests
    Test,
    /// Measures the library beside SQLite, plain SeaORM and Redis, and writes docs/benchmarks.md
    Bench(bench::Args),
    /// Injects faults into the library and counts what is lost
    Faults(faults::Args),
    /// Feeds every parser of question files, and the move from the original, with random bytes
    Fuzz(fuzz::Args),
}

/// A step of `cargo xtask test`.
struct Step {
    title: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const STEPS: &[Step] = &[
    Step { title: "formatting", program: "cargo", args: &["fmt", "--all", "--check"], environment: &[] },
    Step {
        title: "lints",
        program: "cargo",
        args: &["clippy", "--locked", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"],
        environment: &[],
    },
    Step {
        title: "programs that the tests run",
        program: "cargo",
        args: &["build", "--locked", "--workspace", "--all-features", "--bins"],
        environment: &[],
    },
    Step {
        title: "unit, contract, migration and command-line tests",
        program: "cargo",
        args: &["test", "--locked", "--workspace", "--all-features", "--bins", "--lib", "--tests", "--examples"],
        environment: &[],
    },
    Step {
        // apart from the other tests: it needs the machine for itself, and tells what it could not run
        title: "quick fault matrix",
        program: "cargo",
        args: &[
            "test",
            "--locked",
            "--workspace",
            "--all-features",
            "--test",
            "faults",
            "--",
            "--include-ignored",
            "--nocapture",
        ],
        environment: &[],
    },
    Step {
        title: "documentation tests",
        program: "cargo",
        args: &["test", "--locked", "--workspace", "--all-features", "--doc"],
        environment: &[],
    },
    Step {
        title: "documentation",
        program: "cargo",
        args: &["doc", "--locked", "--workspace", "--all-features", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "--deny warnings")],
    },
];

fn main() -> ExitCode {
    match Args::parse().task {
        Task::Test => test(),
        Task::Bench(args) => bench::run(&args),
        Task::Faults(args) => faults::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
    }
}

/// Adds the parts of the toolchain that a minimal installation lacks.
fn set_up() {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let present = Command::new("cargo").args([subcommand, "--version"]).output();
        if !present.is_ok_and(|output| output.status.success()) {
            eprintln!("adding {component} to the toolchain");
            // when this fails, the step that needs it says so
            let _ = Command::new("rustup").args(["component", "add", component]).status();
        }
    }
}

/// Runs every step and stops at the first that fails.
fn test() -> ExitCode {
    let started = Instant::now();
    set_up();
    let mut environment = Vec::new();
    if packages::has_postgres() {
        environment.push(("TRIVIA_TEST_REQUIRE_POSTGRES", "1"));
    } else {
        eprintln!("there is no PostgreSQL, and it could not be installed: its tests say so and are left out");
    }
    for (step, number) in STEPS.iter().zip(1..) {
        eprintln!("\n[{number}/{}] {}", STEPS.len(), step.title);
        let status = Command::new(step.program)
            .args(step.args)
            .envs(step.environment.iter().copied())
            .envs(environment.iter().copied())
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => {
                eprintln!("\nfailed: {} ({status})\nhint: run `{} {}`", step.title, step.program, step.args.join(" "));
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("\nfailed: {} could not be started: {error}", step.program);
                return ExitCode::FAILURE;
            }
        }
    }
    eprintln!("\nall {} steps passed in {} s", STEPS.len(), started.elapsed().as_secs());
    ExitCode::SUCCESS
}
