//! `health`: is all well, why not, and what to do?

use trivia_domain::ports::{HealthCheck, HealthReport, HealthStatus, MaintenancePort};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, Style};
use crate::wiring::App;

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let report = match app.with_database(async |database| Ok(database.health().await)).await {
        Ok(report) => report,
        // a database that cannot be used is an answer too
        Err(failure) => HealthReport::of(vec![HealthCheck {
            name: "database".to_owned(),
            status: HealthStatus::Critical,
            reason: failure.to_string(),
            recommendation: failure.hint().to_owned(),
        }]),
    };
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::of(report.status < HealthStatus::Critical))
}

/// One line per check.
pub(super) fn tell(report: &HealthReport, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    writeln!(output, "{}", label(report.status, style))?;
    for check in &report.checks {
        writeln!(output, "  {} {}: {}", label(check.status, style), check.name, check.reason)?;
        if !check.recommendation.is_empty() {
            writeln!(output, "    {}", style.faint(&check.recommendation))?;
        }
    }
    Ok(())
}

fn label(status: HealthStatus, style: Style) -> String {
    match status {
        HealthStatus::Healthy => style.good("healthy"),
        HealthStatus::Warning => style.strong("warning"),
        HealthStatus::Critical => style.bad("critical"),
    }
}
