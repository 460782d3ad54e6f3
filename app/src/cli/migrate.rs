//! `migrate`: the version of the schema.

use clap::value_parser;
use serde::Serialize;
use trivia_domain::model::{BackupInfo, BackupKind};

use super::{CommandResult, Verdict, init};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Apply migrations that are pending, after a backup
    Up {
        /// How many [default: all]
        #[arg(value_parser = value_parser!(u32).range(1..))]
        steps: Option<u32>,
    },
    /// Revert the last migrations, after a backup
    Down {
        /// How many
        #[arg(default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// Show which migrations are applied and which are pending
    Status,
    /// Drop all tables and apply all migrations, after a backup
    Fresh {
        /// Confirm that all data may go
        #[arg(long)]
        yes: bool,
    },
}

/// Where the schema stands, and what this call did.
#[derive(Debug, Serialize)]
struct Report {
    applied: Vec<String>,
    pending: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ran: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverted: Option<Vec<String>>,
    backup: Option<BackupInfo>,
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    let report = match command {
        Command::Up { steps } => {
            let backup = init::backup_before_migrating(app, "before `migrate up`").await?;
            let ran = app.migrate_up(*steps).await?;
            report(app, Some(ran), None, backup).await?
        }
        Command::Down { steps } => {
            let backup = app.backups().create(BackupKind::PreMigration, "before `migrate down`").await?;
            let reverted = app.migrate_down(*steps).await?;
            report(app, None, Some(reverted), Some(backup)).await?
        }
        Command::Status => report(app, None, None, None).await?,
        Command::Fresh { yes: false } => return Err(Failure::unconfirmed("dropping all tables")),
        Command::Fresh { yes: true } => {
            let backup = if app.has_tables().await? {
                Some(app.backups().create(BackupKind::PreMigration, "before `migrate fresh`").await?)
            } else {
                None
            };
            let ran = app.migrate_fresh().await?;
            report(app, Some(ran), None, backup).await?
        }
    };
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn report(
    app: &App,
    ran: Option<Vec<String>>,
    reverted: Option<Vec<String>>,
    backup: Option<BackupInfo>,
) -> Result<Report, Failure> {
    let status = app.schema_status().await?;
    Ok(Report { applied: status.applied, pending: status.pending, ran, reverted, backup })
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    if let Some(backup) = &report.backup {
        writeln!(output, "Backup {} was made first.", backup.manifest.id)?;
    }
    for name in report.reverted.iter().flatten() {
        writeln!(output, "{} {name}", style.bad("reverted"))?;
    }
    for name in &report.applied {
        let new = report.ran.as_ref().is_some_and(|ran| ran.contains(name));
        writeln!(output, "{}  {name}{}", style.good("applied"), if new { "  (now)" } else { "" })?;
    }
    for name in &report.pending {
        writeln!(output, "{}  {name}", style.faint("pending"))?;
    }
    Ok(())
}
