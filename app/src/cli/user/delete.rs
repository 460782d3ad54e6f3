//! `user delete`: nothing of a person stays.

use std::collections::BTreeSet;

use serde::Serialize;
use trivia_domain::StoreError;
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, UserId};
use trivia_domain::ports::Store;

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The players' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<UserId>,
    /// Confirm that they may go
    #[arg(long)]
    yes: bool,
    /// Make no backup first: it would hold what is deleted
    #[arg(long)]
    no_backup: bool,
}

#[derive(Default, Serialize)]
struct Report {
    deleted: Vec<UserId>,
    missing: Vec<UserId>,
    /// The copy that was made first.
    backup: Option<BackupInfo>,
    /// Copies from before, which may hold them still.
    backups: Vec<BackupId>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    if !args.yes {
        return Err(Failure::unconfirmed("deleting players"));
    }
    let (mut report, failed) = app
        .with_database(async |database| {
            let backup = if args.no_backup || !is_there(database, &args.ids).await? {
                None
            } else {
                Some(app.backups().create(BackupKind::Manual, "before `user delete`").await?)
            };
            let (report, failed) = erase(database, &args.ids).await;
            Ok((Report { backup, ..report }, failed))
        })
        .await?;
    for id in &report.deleted {
        writeln!(output, "Deleted player {id}.")?;
    }
    for id in &report.missing {
        writeln!(output, "There is no player {id}.")?;
    }
    if !report.deleted.is_empty() {
        report.backups = app.backups().list().await?.into_iter().map(|info| info.manifest.id).collect();
        tell_backups(app, &report, output)?;
    }
    output.report(&report)?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    if !report.missing.is_empty() {
        let missing: Vec<String> = report.missing.iter().map(UserId::to_string).collect();
        let message = format!("there is no player {}", missing.join(", "));
        return Err(Failure::new(message, "check the ids; the other players of this call were deleted"));
    }
    Ok(Verdict::Good)
}

/// Whether one of these players exists.
async fn is_there(store: &dyn Store, ids: &[UserId]) -> Result<bool, Failure> {
    for id in ids {
        if store.users().find(*id).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes one after the other, up to the first one that cannot be deleted.
async fn erase(store: &dyn Store, ids: &[UserId]) -> (Report, Option<Failure>) {
    let mut report = Report::default();
    for id in ids.iter().collect::<BTreeSet<_>>() {
        match store.people().erase(*id).await {
            Ok(()) => report.deleted.push(*id),
            Err(StoreError::Missing { .. }) => report.missing.push(*id),
            Err(error) => {
                let hint = "try again in a moment: the same command finishes what is left";
                return (report, Some(Failure::because(format!("player {id} is not deleted completely"), hint, error)));
            }
        }
    }
    (report, None)
}

fn tell_backups(app: &App, report: &Report, output: &mut Output) -> Result<(), Failure> {
    if report.backups.is_empty() {
        return Ok(());
    }
    if let Some(backup) = &report.backup {
        writeln!(output, "\nBackup {} was made first.", backup.manifest.id)?;
    }
    let (backups, place) = (count(report.backups.len(), "backup"), app.backup_place());
    writeln!(output, "\n{backups} in {place} may still hold what was deleted.")?;
    writeln!(output, "Restoring one over this database brings nobody back; into another place it does.")?;
    writeln!(output, "To remove the copies too: `trivia-db backup create`, then `trivia-db backup prune --keep 1`.")
}
