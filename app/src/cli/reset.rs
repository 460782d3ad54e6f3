//! `reset`: everything new, with a way back.

use trivia_domain::StoreError;
use trivia_domain::model::BackupKind;

use super::{CommandResult, Verdict, init};
use crate::error::Failure;
use crate::output::{Output, count};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Confirm that all data may go
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    if !args.yes {
        return Err(Failure::unconfirmed("deleting all data"));
    }
    let backup = if app.has_tables().await? {
        let backup = app.backups().create(BackupKind::PreReset, "before `reset`").await.map_err(|error| {
            let hint = match &error {
                StoreError::NoProgram { .. } => error.hint(),
                _ if !app.is_file() => "without a backup nothing is deleted; name another database to `trivia-db init`",
                _ => "without a backup nothing is deleted; move the file away yourself, then run `trivia-db init`",
            };
            Failure::because("cannot back up the present database", hint, error)
        })?;
        Some(backup)
    } else {
        None
    };
    let migrations_applied = app.migrate_fresh().await?;
    let questions_imported = app.with_database(async |database| init::import_pack(database).await).await?;
    let report = init::Report {
        database: app.database_url(),
        schema_version: init::newest(app).await?,
        migrations_applied,
        questions_imported,
        backup,
    };
    writeln!(output, "{} is new, schema {}.", app.database_name(), report.schema_version)?;
    writeln!(output, "Added {}.", count(report.questions_imported, "question"))?;
    if let Some(backup) = &report.backup {
        writeln!(output, "\nThe way back: `trivia-db backup restore {}`", backup.manifest.id)?;
    }
    output.report(&report)?;
    Ok(Verdict::Good)
}
