//! `user merge`: two players who are one person.

use serde::Serialize;
use trivia_domain::model::{BackupInfo, BackupKind, UserId, UserProfile};
use trivia_domain::ports::Store;

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The player who goes
    from: UserId,
    /// The player who stays and gets everything
    into: UserId,
    /// Confirm that they may become one; a backup is made first
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Report {
    merged: UserId,
    into: UserId,
    profile: UserProfile,
    backup: BackupInfo,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let Args { from, into, yes } = *args;
    if !yes {
        return Err(Failure::unconfirmed("merging two players"));
    }
    let (profile, backup) = app
        .with_database(async |database| {
            let store: &dyn Store = database;
            // who is not there costs no backup
            store.users().get(from).await?;
            store.users().get(into).await?;
            let backup = app.backups().create(BackupKind::Manual, "before `user merge`").await?;
            Ok((store.people().merge(from, into).await?, backup))
        })
        .await?;
    writeln!(
        output,
        "Player {from} is player {into} now: {} points from {} answers, {} right ({}).",
        profile.total_points,
        profile.questions_answered,
        profile.questions_correct,
        profile.accuracy()
    )?;
    writeln!(output, "The way back: `trivia-db backup restore {}`", backup.manifest.id)?;
    output.report(&Report { merged: from, into, profile, backup })?;
    Ok(Verdict::Good)
}
