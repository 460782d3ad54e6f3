//! `import`: questions from files and folders.

use std::path::PathBuf;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use trivia_domain::ports::Store;

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::importers::{Diagnostic, Format, ImportError, ImportOptions, ImportReport, import};
use crate::output::{Output, printable};
use crate::wiring::App;

/// Diagnostics that a person is shown; `--json` has all.
const SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Question files, or folders with such files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Take every file for this format [default: look at its content]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write nothing unless every record is a question
    #[arg(long)]
    strict: bool,
    /// Write nothing, show what would be written
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let result = app.with_database(async |database| load(database, args).await).await;
    let report = match result {
        Err(Failure::Import(ImportError::Rejected { report })) => {
            return Err(rejected(&report, "correct the records, or import without --strict"));
        }
        other => other?,
    };
    if report.rejected > 0 && report.accepted + report.duplicates == 0 {
        return Err(rejected(&report, "correct the records, or name another format with --format"));
    }
    tell(&report, args.dry_run, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(store: &dyn Store, args: &Args) -> Result<ImportReport, Failure> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let progress = |read: u64, bytes: u64| {
        bar.set_message(format!("{read} records, {}", HumanBytes(bytes)));
        bar.tick();
    };
    let options = ImportOptions {
        format: args.format,
        strict: args.strict,
        dry_run: args.dry_run,
        progress: &progress,
        ..ImportOptions::default()
    };
    let report = import(store, &args.paths, options).await;
    bar.finish_and_clear();
    Ok(report?)
}

fn tell(report: &ImportReport, dry_run: bool, output: &mut Output) -> Result<(), Failure> {
    for diagnostic in report.diagnostics.iter().take(SHOWN) {
        writeln!(output, "{}", line(diagnostic))?;
    }
    if report.diagnostics.len() > SHOWN {
        writeln!(output, "... and {} more (see --json)", report.diagnostics.len() - SHOWN)?;
    }
    let verb = if dry_run { "would be added" } else { "added" };
    writeln!(
        output,
        "{} read: {} {verb} ({} of them fixed, {} contradict another), {} were there already, {} rejected",
        report.read, report.accepted, report.fixed, report.contradictions, report.duplicates, report.rejected
    )
}

/// An import that wrote nothing, with the places to look at.
fn rejected(report: &ImportReport, hint: &'static str) -> Failure {
    let lines: Vec<String> = report.diagnostics.iter().take(SHOWN).map(line).collect();
    let message = format!(
        "{} of {} records are no questions; nothing was written\n  {}",
        report.rejected,
        report.read,
        lines.join("\n  ")
    );
    Failure::new(message, hint)
}

fn line(diagnostic: &Diagnostic) -> String {
    let Diagnostic { file, line, code, message } = diagnostic;
    format!("{}:{line}: {code}: {}", printable(file), printable(message))
}
