//! `compact`: gives space that is not used back to the file system.

use trivia_domain::ports::MaintenancePort;

use super::{CommandResult, Verdict};
use crate::output::Output;
use crate::wiring::App;

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let sizes = app.with_database(async |database| Ok(database.compact().await?)).await?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let style = output.style();
    let (before, after) = (mib(sizes.bytes_before), mib(sizes.bytes_after));
    writeln!(output, "{} {before:.1} MiB before, {after:.1} MiB now.", style.good("done:"))?;
    output.report(&sizes)?;
    Ok(Verdict::Good)
}
