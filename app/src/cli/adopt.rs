//! `adopt`: moving in from the original system.

use std::path::{Path, PathBuf};

use indicatif::HumanBytes;
use serde::Serialize;
use trivia_domain::StoreError;
use trivia_domain::model::{AdoptionReport, BackupNotes, OddRow, OriginalBackup, ServerClock, TimeZone};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output, count, printable};
use crate::wiring::App;

/// Odd rows that are shown to people.
const SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The database of the original system, or one of its backups; it is only read
    #[arg(required_unless_present = "backups")]
    file: Option<PathBuf>,
    /// Replace FILE itself; its content is kept beside the backups, byte for byte
    #[arg(long)]
    in_place: bool,
    #[command(flatten)]
    clock: Clock,
    /// Only look at the original's backups in this directory (exit code 3 when one is bad)
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "in_place"])]
    backups: Option<PathBuf>,
}

/// The clock of the original's server.
#[derive(Debug, clap::Args)]
pub(super) struct Clock {
    /// How far the server's clock was ahead of UTC, such as -07:00 [default: +00:00]
    #[arg(long, value_name = "+HH:MM", allow_hyphen_values = true, value_parser = utc_offset, conflicts_with = "time_zone")]
    utc_offset: Option<ServerClock>,
    /// Where the server was, such as Europe/Berlin: instead of an offset, when its clock was turned in summer
    #[arg(long, value_name = "NAME")]
    time_zone: Option<TimeZone>,
}

impl Clock {
    /// The clock that was named, or UTC.
    pub(super) fn server(&self) -> ServerClock {
        self.utc_offset.or(self.time_zone.map(ServerClock::Zone)).unwrap_or(ServerClock::UTC)
    }
}

fn utc_offset(text: &str) -> Result<ServerClock, String> {
    match text.parse() {
        Ok(clock @ ServerClock::Offset(_)) => Ok(clock),
        Ok(ServerClock::Zone(_)) => Err("a zone is named with --time-zone".to_owned()),
        Err(_) => Err("it is not of the form +HH:MM, such as -07:00".to_owned()),
    }
}

#[derive(Serialize)]
struct Backups {
    ok: bool,
    backups: Vec<OriginalBackup>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let server = args.clock.server();
    match (&args.file, &args.backups) {
        (Some(file), _) => adopt(app, file, args.in_place, server, output).await,
        (None, Some(dir)) => look(app, dir, server, output).await,
        // clap asks for one of them
        (None, None) => Err(Failure::new("nothing to adopt", "name a file")),
    }
}

async fn adopt(app: &App, file: &Path, in_place: bool, server: ServerClock, output: &mut Output) -> CommandResult {
    app.require_file("`adopt`", "name a file, --database-url sqlite://data/trivia.db, and copy it to the server then")?;
    let adopted = if in_place {
        app.with_database_file(file).adoption().adopt_in_place(server).await
    } else {
        app.adoption().adopt(file, server).await
    };
    let report = adopted.map_err(explained)?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

/// What went wrong, with what helps somebody who is moving in.
fn explained(error: StoreError) -> Failure {
    let hint = match &error {
        StoreError::Conflict { .. } => {
            "choose another with --database-url, or move it away; --in-place takes over FILE where it is"
        }
        StoreError::Missing { .. } => "check the path; `trivia-db adopt --backups DIR` shows the original's backups",
        StoreError::Incompatible { .. } => "name a version-1 database of the original system; nothing was changed",
        StoreError::Busy { .. } => "stop the original system and whatever else uses the file; nothing was changed",
        StoreError::Corrupt { .. } => {
            "take one of its backups, `trivia-db adopt --backups DIR` says which are whole; nothing was changed"
        }
        _ => return error.into(),
    };
    let message = error.to_string();
    Failure::because(message, hint, error)
}

fn tell(report: &AdoptionReport, output: &mut Output) -> Result<(), Failure> {
    writeln!(output, "{} has what the original had:", report.database)?;
    let columns = [Column::left(""), Column::right("rows")];
    let rows = [
        ("players", report.users),
        ("questions", report.questions),
        ("achievements", report.achievements),
        ("results of weeks", report.rankings),
        ("games", report.sessions),
    ];
    output.table(&columns, rows.map(|(name, rows)| vec![name.to_owned(), rows.to_string()]).into())?;
    writeln!(output, "Its times were read as those of a clock at {}.", report.clock)?;
    tell_odd(&report.repaired, "put right or kept in quarantine", output)?;
    if let Some(backup) = &report.backup {
        writeln!(output, "Backup {} was made.", backup.manifest.id)?;
    }
    if let Some(original) = &report.original {
        writeln!(output, "The way back: stop everything and copy the database in {original} to its old place")?;
    }
    writeln!(output, "\nNext: `trivia-db verify`, `trivia-db leaderboard`, `trivia-db health`.")
}

/// The first odd rows.
pub(super) fn tell_odd(odd: &[OddRow], what: &str, output: &mut Output) -> Result<(), Failure> {
    if odd.is_empty() {
        return Ok(());
    }
    writeln!(output, "{} {what}:", count(odd.len(), "odd row"))?;
    for row in odd.iter().take(SHOWN) {
        let sign = if row.taken { "~" } else { "-" };
        writeln!(output, "  {sign} {} {}: {}", row.table, row.id, printable(&row.problem))?;
    }
    if odd.len() > SHOWN {
        writeln!(output, "  and {} more; --json lists all", odd.len() - SHOWN)?;
    }
    Ok(())
}

async fn look(app: &App, dir: &Path, server: ServerClock, output: &mut Output) -> CommandResult {
    let backups = app.adoption().original_backups(dir, server).await?;
    if backups.is_empty() {
        writeln!(output, "No backups of the original system in {}.", dir.display())?;
    } else {
        let columns = [
            Column::left("file"),
            Column::left("kind"),
            Column::left("created (UTC)"),
            Column::right("size"),
            Column::left("notes"),
            Column::left("good"),
        ];
        let row = |backup: &OriginalBackup| {
            let notes = match backup.notes {
                BackupNotes::None => "none",
                BackupNotes::Lines => "lines",
                BackupNotes::Json => "JSON",
                BackupNotes::Unreadable => "unreadable",
            };
            vec![
                printable(&backup.path),
                printable(&backup.kind),
                backup.created_at.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S").to_string()),
                HumanBytes(backup.bytes).to_string(),
                notes.to_owned(),
                if backup.ok { "yes" } else { "no" }.to_owned(),
            ]
        };
        output.table(&columns, backups.iter().map(row).collect())?;
        for backup in backups.iter().filter(|backup| !backup.ok) {
            for problem in &backup.problems {
                writeln!(output, "{}: {}", printable(&backup.path), printable(problem))?;
            }
        }
        writeln!(output, "\nNext: `trivia-db adopt FILE` makes a database from one of them.")?;
    }
    let ok = backups.iter().all(|backup| backup.ok);
    output.report(&Backups { ok, backups })?;
    Ok(Verdict::of(ok))
}
