//! `cargo xtask fuzz`: random bytes for every parser, and for the move from the original.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Damaged copies of each file of the corpus of a parser where there is no fuzzer.
const ROUNDS: u64 = 20_000;
/// The same for a database, which takes as long as some hundred records.
const DATABASES: u64 = 1_000;
/// The target that reads databases; the others build without what it needs.
const ADOPT: &str = "adopt";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A minute for each target
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// So many seconds for each target
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// Runs each target with libFuzzer; where that is not there, the tests over the corpus with many rounds.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let targets = match targets(&root.join("fuzz/corpus"), args.target.as_deref()) {
        Ok(targets) => targets,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let fuzzer = || {
        let mut command = Command::new("cargo");
        // the variable would name the stable toolchain, which runs this program
        command.arg("+nightly").arg("fuzz").current_dir(&root).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
        command
    };
    if !fuzzer().arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
        return without_fuzzer(&root, &targets);
    }
    let seconds = if args.quick { 60 } else { args.seconds };
    for (target, number) in targets.iter().zip(1..) {
        eprintln!("\n[{number}/{}] {target}, {seconds} s", targets.len());
        // what it finds on its way goes to the first folder; the second, in the repository, is read only
        let found = root.join("target/fuzz-corpus").join(target);
        if let Err(error) = fs::create_dir_all(&found) {
            eprintln!("cannot make {}: {error}", found.display());
            return ExitCode::FAILURE;
        }
        let fuzz = |verb: &str| {
            let mut command = fuzzer();
            command.args([verb, target.as_str()]);
            if target == ADOPT {
                command.args(["--features", "storage"]);
            }
            command
        };
        if !fuzz("build").status().is_ok_and(|status| status.success()) {
            eprintln!("\nfailed: {target} cannot be built, see above");
            return ExitCode::FAILURE;
        }
        let mut command = fuzz("run");
        command.arg(&found).arg(root.join("fuzz/corpus").join(target));
        command.args(["--", "-max_len=65536", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={seconds}"));
        if !command.status().is_ok_and(|status| status.success()) {
            eprintln!(
                "\nfailed: {target}\nhint: the input is in fuzz/artifacts/{target}; add it to fuzz/corpus/{target}"
            );
            return ExitCode::FAILURE;
        }
    }
    eprintln!("\nall {} targets ran for {seconds} s each", targets.len());
    ExitCode::SUCCESS
}

/// The names of the targets: each has a folder in the corpus.
fn targets(corpus: &Path, only: Option<&str>) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(corpus).map_err(|error| format!("cannot read {}: {error}", corpus.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    let Some(only) = only else { return Ok(names) };
    if names.iter().any(|name| name == only) {
        return Ok(vec![only.to_owned()]);
    }
    Err(format!("there is no target {only}\nhint: the targets are {}", names.join(", ")))
}

fn without_fuzzer(root: &Path, targets: &[String]) -> ExitCode {
    eprintln!(
        "there is no `cargo +nightly fuzz`: NO coverage-guided fuzzing. Instead each file of the corpus is read in \
         {ROUNDS} damaged copies ({DATABASES} of a database), always the same.\n\
         hint: rustup toolchain install nightly && cargo install cargo-fuzz"
    );
    let parsers = ["--package", "trivia-app", "--lib", "hostile"];
    let databases = ["--package", "trivia-tests", "--test", "hostile_originals"];
    let tests = [
        (targets.iter().any(|target| target != ADOPT), parsers, ROUNDS),
        (targets.iter().any(|target| target == ADOPT), databases, DATABASES),
    ];
    for (_, test, rounds) in tests.iter().filter(|(is_asked_for, ..)| *is_asked_for) {
        let mut command = Command::new("cargo");
        command.args(["test", "--locked"]).args(test).current_dir(root);
        command.env("TRIVIA_FUZZ_ROUNDS", rounds.to_string());
        if !command.status().is_ok_and(|status| status.success()) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
