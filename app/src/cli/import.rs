//! `import`: questions from files and folders.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use trivia_app::importers::{
    Assumed, Columns, Counts, Diagnostic, Format, ImportError, ImportOptions, ImportReport, Level, Progress, import,
};
use trivia_domain::model::{Category, Language, Pack, PackName};
use trivia_domain::ports::Store;

use super::export::file::NewFile;
use super::packs::About;
use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output, count, printable, wants_colours};
use crate::wiring::App;

/// Diagnostics that a person is shown; the file of `--report` has all.
const SHOWN: usize = 20;
/// Files in the table.
const FILES: usize = 50;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Question files, or folders with such files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Take every file for this format [default: look at its content]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where in a table what is: question=2,answer=3 by number when it has no header, or by the names in it
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<Columns>,
    /// Category of questions without one [default: the name of the file]
    #[arg(long)]
    category: Option<Category>,
    /// Language of questions in formats that cannot say it, such as is or pt-br
    #[arg(long, default_value = "en")]
    language: Language,
    /// Note that the questions belong to this pack, also those that are there already
    #[arg(long, value_name = "NAME")]
    pack: Option<PackName>,
    #[command(flatten)]
    about: About,
    /// Write nothing unless every record is a question
    #[arg(long)]
    strict: bool,
    /// Write nothing, show what would be written
    #[arg(long)]
    dry_run: bool,
    /// Write every diagnostic to this file, as JSON Lines with the counts at the end
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Replace the file of --report if it exists
    #[arg(long, requires = "report")]
    force: bool,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let journal = match &args.report {
        Some(path) => Some(NewFile::create(path, args.force, app.random.next_u64())?),
        None => None,
    };
    let loaded = app.with_database(async |database| load(database, args, journal.as_ref()).await).await;
    let (report, refused) = match loaded {
        Err(Failure::Import(ImportError::Rejected { report })) => (*report, true),
        other => (other?, false),
    };
    if let Some(journal) = journal {
        journal.publish()?;
    }
    if !output.is_json() {
        explain(&report, args.report.is_some());
    }
    if refused {
        return Err(rejected(&report, "correct the records, or import without --strict"));
    }
    let Counts { accepted, duplicates, rejected: left_out, .. } = report.total;
    if left_out > 0 && accepted + duplicates == 0 {
        return Err(rejected(&report, "correct the records, or name another format with --format"));
    }
    summary(&report, args.dry_run, output)?;
    tell_packs(&report, args.pack.is_some(), output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(store: &dyn Store, args: &Args, journal: Option<&NewFile>) -> Result<ImportReport, Failure> {
    // indicatif draws on a terminal only
    let bar = ProgressBar::no_length();
    let style = "{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let started = Instant::now();
    let progress = |Progress { records, bytes, of_bytes }| {
        let rate = records as f64 / started.elapsed().as_secs_f64().max(0.001);
        bar.set_length(of_bytes);
        bar.set_position(bytes);
        bar.set_message(format!("{} records, {}/s", HumanCount(records), HumanCount(rate as u64)));
    };
    let pack = args.pack.as_ref().map(|name| args.about.apply(Pack::new(name.clone()))).transpose()?;
    let assumed = Assumed {
        category: args.category.clone(),
        language: args.language.clone(),
        columns: args.columns.clone(),
        pack,
    };
    let options = ImportOptions {
        format: args.format,
        assumed,
        strict: args.strict,
        dry_run: args.dry_run,
        journal: journal.map(NewFile::get_ref),
        progress: &progress,
        ..ImportOptions::default()
    };
    let report = import(store, &args.paths, options).await;
    bar.finish_and_clear();
    Ok(report?)
}

/// Shows the first diagnostics on stderr.
fn explain(report: &ImportReport, has_file: bool) {
    let colours = io::stderr().is_terminal() && wants_colours();
    let mut text = String::new();
    for diagnostic in report.diagnostics.iter().take(SHOWN) {
        text.push_str(&explained(diagnostic, colours));
    }
    let more = report.told.saturating_sub(SHOWN as u64);
    if more > 0 {
        let place = if has_file { "all are in the report" } else { "--report FILE has all" };
        text.push_str(&format!("... and {more} more ({place})\n"));
    }
    // without stderr there is nobody to tell
    let _ = io::stderr().write_all(text.as_bytes());
}

/// A diagnostic as compilers show it.
fn explained(diagnostic: &Diagnostic, colours: bool) -> String {
    let Diagnostic { level, file, line, text, code, message, done } = diagnostic;
    let (word, colour) = match level {
        Level::Error => ("error", "31"),
        Level::Warning => ("warning", "33"),
        Level::Note => ("note", "36"),
    };
    let head = format!("{word}[{code}]");
    let head = if colours { format!("\x1b[1;{colour}m{head}\x1b[0m") } else { head };
    let mut shown = format!("{head}: {}\n", printable(message));
    let width = line.to_string().len();
    let place = if *line == 0 { String::new() } else { format!(":{line}") };
    if !file.is_empty() {
        shown.push_str(&format!("{:width$}--> {}{place}\n", "", printable(file)));
    }
    if !text.is_empty() {
        shown.push_str(&format!("{:width$} |\n{line} | {}\n{:width$} |\n", "", printable(text), ""));
    }
    shown.push_str(&format!("{:width$} = done: {}\n\n", "", printable(done)));
    shown
}

/// What became of the records, file by file.
fn summary(report: &ImportReport, dry_run: bool, output: &mut Output) -> Result<(), Failure> {
    let columns = [
        Column::left("file"),
        Column::left("format"),
        Column::right("read"),
        Column::right(if dry_run { "would be added" } else { "added" }),
        Column::right("fixed"),
        Column::right("contradict"),
        Column::right("there already"),
        Column::right("rejected"),
    ];
    let row = |file: String, format: &str, counts: &Counts| {
        let Counts { read, accepted, fixed, duplicates, contradictions, rejected } = counts;
        let numbers = [read, accepted, fixed, contradictions, duplicates, rejected];
        [file, format.to_owned()].into_iter().chain(numbers.map(u64::to_string)).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> =
        report.files.iter().take(FILES).map(|file| row(printable(&file.file), file.format, &file.counts)).collect();
    if report.files.len() > FILES {
        let more = format!("... and {}", count(report.files.len() - FILES, "more file"));
        rows.push([more].into_iter().chain((0..7).map(|_| String::new())).collect());
    }
    if report.files.len() != 1 {
        rows.push(row("total".to_owned(), "", &report.total));
    }
    output.table(&columns, rows)
}

/// Which packs the records belong to, and what is known of sources whose files do not say it.
fn tell_packs(report: &ImportReport, is_given: bool, output: &mut Output) -> Result<(), Failure> {
    for (name, records) in &report.packs {
        let records = usize::try_from(*records).unwrap_or(usize::MAX);
        writeln!(output, "In pack {name}: {}.", count(records, "record"))?;
    }
    let published = [
        (Format::OpenTdb, "Open Trivia Database", "opentdb", "https://opentdb.com"),
        (Format::OpenTriviaQa, "OpenTriviaQA", "opentriviaqa", "https://github.com/uberspot/OpenTriviaQA"),
    ];
    for (format, title, name, source) in published {
        if !is_given && report.files.iter().any(|file| file.format == format.as_str()) {
            writeln!(
                output,
                "\n{title} publishes files of this form under CC-BY-SA-4.0, which asks for attribution. If these are such,\n\
                 import them again with --pack {name} --licence CC-BY-SA-4.0 --title \"{title}\" --source {source}"
            )?;
        }
    }
    Ok(())
}

/// An import that wrote nothing, with the first place to look at.
fn rejected(report: &ImportReport, hint: &'static str) -> Failure {
    let Counts { read, rejected, .. } = report.total;
    let first = report.diagnostics.iter().find(|diagnostic| diagnostic.level == Level::Error);
    let first = first.map(|diagnostic| {
        let Diagnostic { file, line, code, message, .. } = diagnostic;
        format!("; the first is {}:{line}: {code}: {}", printable(file), printable(message))
    });
    let first = first.unwrap_or_default();
    Failure::new(format!("{rejected} of {read} records are no questions; nothing was written{first}"), hint)
}
