//! `recover`: the way back from a damaged database.

use trivia_domain::model::{RecoveredTable, RecoveryReport, RecoverySource};
use trivia_domain::ports::RecoveryService;

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output, count, printable};
use crate::wiring::App;

/// Findings that are shown to people.
const SHOWN: usize = 5;

/// What to do about a damaged database on a server.
const INSTEAD: &str = "promote a standby if there is one, else restore the newest backup that is good: \
                       `trivia-db backup verify --drill`, then `trivia-db backup restore ID`";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only say what would be rescued (exit code 3 when the database is damaged)
    #[arg(long)]
    dry_run: bool,
    /// Confirm that the database may be replaced by what is rescued
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    if !args.yes && !args.dry_run {
        return Err(Failure::unconfirmed("replacing a damaged database"));
    }
    app.require_file("`recover`", INSTEAD)?;
    let recovery = app.recovery();
    let report = if args.dry_run { recovery.rehearse().await? } else { recovery.recover().await? };
    tell(&report, app, output)?;
    output.report(&report)?;
    Ok(Verdict::of(!report.dry_run || report.source == RecoverySource::Nothing))
}

fn tell(report: &RecoveryReport, app: &App, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    let database = app.database_name();
    if report.source == RecoverySource::Nothing {
        writeln!(output, "{} {database} is whole; there is nothing to recover.", style.good("ok:"))?;
        return Ok(());
    }
    writeln!(output, "{} {database}", style.bad("damaged:"))?;
    for problem in report.problems.iter().take(SHOWN) {
        writeln!(output, "  {}", printable(problem))?;
    }
    if report.problems.len() > SHOWN {
        writeln!(output, "  and {} more", report.problems.len() - SHOWN)?;
    }
    let columns = [
        Column::left("table"),
        Column::right("backup"),
        Column::right("salvaged"),
        Column::right("merged"),
        Column::right("refused"),
        Column::right("placeholders"),
        Column::right("now"),
    ];
    let row = |table: &RecoveredTable| {
        let numbers =
            [table.base, table.salvaged, table.merged, table.quarantined, table.placeholders, table.rows].into_iter();
        std::iter::once(table.table.clone()).chain(numbers.map(|number| number.to_string())).collect()
    };
    let used = |table: &&RecoveredTable| table.rows + table.base + table.salvaged > 0;
    output.table(&columns, report.tables.iter().filter(used).map(row).collect())?;
    let source = match (report.source, &report.backup) {
        (RecoverySource::Indexes, _) => "Only indexes were damaged: they were made anew.".to_owned(),
        (_, Some(backup)) => format!("From backup {backup} and what is newer in the damaged file."),
        (_, None) => "From the damaged file alone: there is no verified backup.".to_owned(),
    };
    writeln!(output, "{source}")?;
    writeln!(
        output,
        "{} rescued, {} known to be lost, {} refused, {} unreadable.",
        report.rescued,
        report.lost,
        report.quarantined,
        count(usize::try_from(report.unreadable_pages).unwrap_or(usize::MAX), "page")
    )?;
    if report.dry_run {
        writeln!(output, "\nNothing was changed. To do it: `trivia-db recover --yes`")?;
    }
    if let Some(path) = &report.quarantine {
        writeln!(output, "Refused rows, with reasons: {path}")?;
    }
    if let Some(path) = &report.forensics {
        writeln!(output, "The damaged files, with digests: {path}")?;
    }
    if let Some(path) = &report.set_aside {
        writeln!(output, "\nThe way back: stop everything and move {path} to {database}")?;
    }
    Ok(())
}
