//! `rebuild`: computes everything derived from the ledger anew.

use serde::Serialize;
use trivia_domain::model::{BackupInfo, BackupKind, Drift};
use trivia_domain::ports::MaintenancePort;

use super::{CommandResult, Verdict, verify};
use crate::output::{Output, count};
use crate::wiring::App;

#[derive(Serialize)]
struct Report {
    drift: Vec<Drift>,
    backup: Option<BackupInfo>,
}

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let style = output.style();
    let mut report =
        Report { drift: app.with_database(async |database| Ok(database.verify().await?)).await?, backup: None };
    if report.drift.is_empty() {
        writeln!(output, "{} every number follows from the ledger; nothing was changed.", style.good("ok:"))?;
    } else {
        let backup = app.backups().create(BackupKind::Manual, "before `rebuild`").await?;
        report.drift = app.with_database(async |database| Ok(database.rebuild().await?)).await?;
        verify::table(output, &report.drift)?;
        writeln!(output, "\n{} {} replaced.", style.good("done:"), count(report.drift.len(), "value"))?;
        writeln!(output, "The way back: `trivia-db backup restore {}`", backup.manifest.id)?;
        report.backup = Some(backup);
    }
    output.report(&report)?;
    Ok(Verdict::Good)
}
