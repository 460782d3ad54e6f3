//! `copy`: the game moves to another database.

use trivia_domain::StoreError;
use trivia_infrastructure::{CopiedTable, CopyReport};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output, count};
use crate::wiring::App;

/// Characters of a digest that are shown to people.
const SHOWN: usize = 12;

/// A password need not be in a URL: PGPASSWORD and ~/.pgpass are read, too.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the game is, such as sqlite://data/trivia.db; it may be in use
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where it goes, such as postgres://trivia@db.example.org/trivia: an empty database, or an earlier copy
    #[arg(long, value_name = "URL")]
    to: String,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Confirm that an earlier copy may be changed
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    if !args.yes && !args.dry_run {
        return Err(Failure::unconfirmed("making another database the same"));
    }
    // not by clap, which would print a URL that is wrong, with its password
    let copy = app.copy(args.from.parse()?, args.to.parse()?);
    let report = if args.dry_run { copy.rehearse().await } else { copy.run().await };
    let report = report.map_err(explained)?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::of(report.dry_run || report.equal))
}

/// What went wrong, with what helps somebody who copies.
fn explained(error: StoreError) -> Failure {
    let hint = match &error {
        StoreError::Missing { entity: "database", .. } => {
            "check --from and --to; a database on a server is made by its tools, such as createdb"
        }
        StoreError::Invalid { what: "target", .. } => "name an empty database with --to; nothing was changed",
        StoreError::Invalid { what: "text", .. } => "change that text in the source; nothing was changed",
        StoreError::Busy { .. } => "stop what uses the target and run the same command again; it goes on",
        StoreError::Incompatible { .. } => {
            "run `trivia-db migrate up` on it, or the same copy again when one is not complete"
        }
        StoreError::Unreachable { .. } | StoreError::DiskFull { .. } | StoreError::OutcomeUnknown { .. } => {
            "run the same command again when this is over; it goes on where it ended"
        }
        _ => return error.into(),
    };
    let message = error.to_string();
    Failure::because(message, hint, error)
}

fn tell(report: &CopyReport, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    writeln!(output, "from {}\nto   {}", report.from, report.to)?;
    if !report.migrations.is_empty() {
        let steps = count(report.migrations.len(), "step");
        let applied = if report.dry_run { "would be applied" } else { "were applied" };
        writeln!(output, "{steps} of the schema {applied}.")?;
    }
    let columns = [
        Column::left("table"),
        Column::right("rows"),
        Column::right(if report.dry_run { "to copy" } else { "copied" }),
        Column::right(if report.dry_run { "to remove" } else { "removed" }),
        Column::right("same before"),
        Column::left("digest"),
        Column::left("equal"),
    ];
    let row = |table: &CopiedTable| {
        let numbers = [table.source.rows, table.copied, table.removed, table.skipped];
        let digest: String = table.source.sha256.chars().take(SHOWN).collect();
        let equal = if table.equal { "yes" } else { "no" }.to_owned();
        std::iter::once(table.table.clone())
            .chain(numbers.map(|number| number.to_string()))
            .chain([digest, equal])
            .collect()
    };
    let used = |table: &&CopiedTable| table.source.rows + table.target.rows > 0;
    output.table(&columns, report.tables.iter().filter(used).map(row).collect())?;
    if report.caught_up > 0 {
        let players = usize::try_from(report.caught_up).unwrap_or(usize::MAX);
        let done = if report.dry_run { "would be" } else { "were" };
        writeln!(output, "The newest facts of {} {done} counted in the target.", count(players, "player"))?;
    }
    if report.dry_run {
        return writeln!(output, "Nothing was changed. To do it: the same with --yes instead of --dry-run");
    }
    let different: Vec<_> = report.tables.iter().filter(|table| !table.equal).map(|table| &*table.table).collect();
    if different.is_empty() {
        return writeln!(output, "{} both have the same rows in every table.", style.good("ok:"));
    }
    writeln!(output, "{} not the same: {}", style.bad("different:"), different.join(", "))?;
    writeln!(output, "Run `trivia-db verify` on the source, and the same copy again.")
}
