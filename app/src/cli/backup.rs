//! `backup`: copies of the database.

use std::collections::BTreeMap;

use clap::ValueEnum;
use indicatif::HumanBytes;
use serde::Serialize;
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, Drill, RetentionPolicy, Verification};
use trivia_domain::ports::BackupService;

use super::{CommandResult, Verdict};
use crate::config::kind_and_number;
use crate::error::Failure;
use crate::output::{Column, Output, count, printable};
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a verified backup; others may go on writing
    Create {
        /// Why; a daily or weekly one is made at most once a day or week
        #[arg(long, value_enum, default_value_t = Kind::Manual)]
        kind: Kind,
        /// Why, in words
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// List all backups, newest first
    List,
    /// Check a backup, or all of them (exit code 3 when one is bad)
    Verify {
        /// Which one [default: all]
        id: Option<BackupId>,
        /// Also restore it into a place of its own, bring it up to date and check every number there
        #[arg(long)]
        drill: bool,
    },
    /// Replace the database by a backup; the present state is backed up first
    Restore {
        /// Which one
        id: BackupId,
    },
    /// Delete the oldest backups
    Prune {
        /// How many to keep [default: the setting keep_backups, 30]
        #[arg(long, value_name = "N")]
        keep: Option<usize>,
        /// How many to keep of a kind, counted apart from the others; may be repeated [default: the setting
        /// keep_backups_by_kind]
        #[arg(long, value_name = "KIND=N", value_parser = kind_and_number)]
        keep_kind: Vec<(BackupKind, usize)>,
        /// Delete nothing, show what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
}

/// Kinds that people ask for; the others are made by the commands that need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Manual,
    Daily,
    Weekly,
}

/// A backup and what checking it found.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    info: Option<BackupInfo>,
    #[serde(flatten)]
    verification: Verification,
}

#[derive(Serialize)]
struct AllChecked {
    ok: bool,
    backups: Vec<Checked>,
}

#[derive(Serialize)]
struct Pruned {
    deleted: Vec<BackupId>,
    kept: usize,
    dry_run: bool,
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    let backups = app.backups();
    match command {
        Command::Create { kind, reason } => create(&*backups, app, *kind, reason, output).await,
        Command::List => list(&*backups, app, output).await,
        Command::Verify { id, drill } => verify(&*backups, id.as_ref(), *drill, output).await,
        Command::Restore { id } => restore(&*backups, id, output).await,
        Command::Prune { keep, keep_kind, dry_run } => {
            let mut policy = app.retention();
            policy.keep = keep.unwrap_or(policy.keep);
            if !keep_kind.is_empty() {
                policy.per_kind = keep_kind.iter().copied().collect();
            }
            prune(&*backups, &policy, *dry_run, output).await
        }
    }
}

async fn create(
    backups: &dyn BackupService,
    app: &App,
    kind: Kind,
    reason: &str,
    output: &mut Output,
) -> CommandResult {
    let kind = match kind {
        Kind::Manual => BackupKind::Manual,
        Kind::Daily => BackupKind::Daily,
        Kind::Weekly => BackupKind::Weekly,
    };
    let info = backups.create(kind, reason).await?;
    writeln!(
        output,
        "Backup {} from {} ({}, verified) is {}",
        info.manifest.id,
        info.manifest.created_at.format("%Y-%m-%d %H:%M:%S UTC"),
        HumanBytes(info.manifest.stored().bytes),
        info.path
    )?;
    if info.manifest.stored().encryption.is_some() && !app.can_open() {
        writeln!(
            output,
            "It is encrypted, and backup_identity_file is not set: whether it can be opened was not tried."
        )?;
    }
    output.report(&info)?;
    Ok(Verdict::Good)
}

async fn list(backups: &dyn BackupService, app: &App, output: &mut Output) -> CommandResult {
    let all = backups.list().await?;
    if all.is_empty() {
        writeln!(output, "No backups in {}. Make one with `trivia-db backup create`.", app.backup_place())?;
    } else {
        let columns = [
            Column::left("id"),
            Column::left("kind"),
            Column::left("created (UTC)"),
            Column::right("size"),
            Column::left("stored as"),
            Column::left("good"),
            Column::left("drill (UTC)"),
            Column::left("reason"),
        ];
        let row = |info: &BackupInfo| {
            let manifest = &info.manifest;
            vec![
                manifest.id.to_string(),
                manifest.kind.to_string(),
                manifest.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                HumanBytes(manifest.stored().bytes).to_string(),
                manifest.extension().to_owned(),
                if info.verified { "yes" } else { "no" }.to_owned(),
                match info.drill {
                    None => "never".to_owned(),
                    Some(Drill { at, ok: true }) => at.format("%Y-%m-%d %H:%M").to_string(),
                    Some(Drill { at, ok: false }) => format!("failed {}", at.format("%Y-%m-%d %H:%M")),
                },
                printable(&manifest.reason),
            ]
        };
        output.table(&columns, all.iter().map(row).collect())?;
    }
    output.report(&all)?;
    Ok(Verdict::Good)
}

async fn verify(backups: &dyn BackupService, id: Option<&BackupId>, drill: bool, output: &mut Output) -> CommandResult {
    let ids: Vec<BackupId> = match id {
        Some(id) => vec![id.clone()],
        None => backups.list().await?.into_iter().map(|info| info.manifest.id).rev().collect(),
    };
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.push(if drill { backups.drill(&id).await? } else { backups.verify(&id).await? });
    }
    let mut infos: BTreeMap<BackupId, BackupInfo> =
        backups.list().await?.into_iter().map(|info| (info.manifest.id.clone(), info)).collect();
    let with_info = |verification: Verification| {
        // what is found now counts, not what was found when it was made
        let info = infos.remove(&verification.id).map(|info| BackupInfo { verified: verification.ok, ..info });
        Checked { info, verification }
    };
    let checked: Vec<_> = found.into_iter().map(with_info).collect();
    tell_checked(&checked, output)?;
    let all = AllChecked { ok: checked.iter().all(|one| one.verification.ok), backups: checked };
    match (id, all.backups.first()) {
        (Some(_), Some(one)) => output.report(one)?,
        _ => output.report(&all)?,
    }
    Ok(Verdict::of(all.ok))
}

fn tell_checked(checked: &[Checked], output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    for Checked { verification, .. } in checked {
        let result = if verification.ok { style.good("good") } else { style.bad("bad ") };
        writeln!(output, "{result} {}", verification.id)?;
        for problem in &verification.problems {
            writeln!(output, "     {}", printable(problem))?;
        }
        if let Some(reason) = &verification.unopened {
            writeln!(output, "     only what is stored was checked, not what is in it: {}", printable(reason))?;
        }
    }
    if checked.is_empty() {
        writeln!(output, "There are no backups.")?;
    }
    Ok(())
}

async fn restore(backups: &dyn BackupService, id: &BackupId, output: &mut Output) -> CommandResult {
    let report = backups.restore(id).await?;
    writeln!(output, "Restored {id} from {}.", report.restored.manifest.created_at.format("%Y-%m-%d %H:%M:%S UTC"))?;
    match &report.previous {
        Some(previous) => {
            writeln!(output, "The way back: `trivia-db backup restore {}`", previous.manifest.id)?;
        }
        None => writeln!(output, "There was no readable database before.")?,
    }
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn prune(
    backups: &dyn BackupService,
    policy: &RetentionPolicy,
    dry_run: bool,
    output: &mut Output,
) -> CommandResult {
    let all = backups.list().await?;
    let deleted = if dry_run { policy.expired(&all) } else { backups.prune(policy).await? };
    let kept = all.len().saturating_sub(deleted.len());
    let verb = if dry_run { "Would delete" } else { "Deleted" };
    for id in &deleted {
        writeln!(output, "{verb} {id}")?;
    }
    writeln!(output, "{verb} {}, kept {kept}.", count(deleted.len(), "backup"))?;
    output.report(&Pruned { deleted, kept, dry_run })?;
    Ok(Verdict::Good)
}
