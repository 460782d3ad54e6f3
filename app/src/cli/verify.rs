//! `verify`: does every stored number follow from the ledger?

use serde::Serialize;
use trivia_domain::model::Drift;
use trivia_domain::ports::MaintenancePort;

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output, printable};
use crate::wiring::App;

#[derive(Serialize)]
struct Report<'a> {
    drift: &'a [Drift],
}

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let drift = app.with_database(async |database| Ok(database.verify().await?)).await?;
    let style = output.style();
    if drift.is_empty() {
        writeln!(output, "{} every number follows from the ledger.", style.good("ok:"))?;
    } else {
        table(output, &drift)?;
        writeln!(output, "\nNext: `trivia-db rebuild` computes them anew.")?;
    }
    output.report(&Report { drift: &drift })?;
    Ok(Verdict::of(drift.is_empty()))
}

/// Shows what is stored beside what should be.
pub(super) fn table(output: &mut Output, drift: &[Drift]) -> Result<(), Failure> {
    let columns = ["table", "id", "column", "stored", "ledger"].map(Column::left);
    let rows = drift.iter().map(|drift| {
        [&drift.table, &drift.id, &drift.column, &drift.stored, &drift.folded].map(|text| printable(text)).to_vec()
    });
    output.table(&columns, rows.collect())
}
