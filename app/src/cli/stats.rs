//! `stats`: figures.

use indicatif::{HumanBytes, HumanCount};
use trivia_domain::ports::{DatabaseStats, MaintenancePort};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output};
use crate::wiring::App;

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let stats = app.with_database(async |database| Ok(database.stats().await?)).await?;
    tell(&stats, output)?;
    output.report(&stats)?;
    Ok(Verdict::Good)
}

/// The figures that people ask for first; `--json` has all.
pub(super) fn tell(stats: &DatabaseStats, output: &mut Output) -> Result<(), Failure> {
    let moment = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
    };
    let pickable = stats.questions_by_language.iter().filter(|(_, size)| **size > 0);
    let languages: Vec<_> = pickable.map(|(language, size)| format!("{language} {}", HumanCount(*size))).collect();
    let rows = [
        ("players", HumanCount(stats.users_count).to_string()),
        ("questions", HumanCount(stats.questions_count).to_string()),
        ("questions to pick from", languages.join(", ")),
        ("facts in the ledger", HumanCount(stats.ledger_count).to_string()),
        ("sessions", HumanCount(stats.game_sessions_count).to_string()),
        ("unlocked achievements", HumanCount(stats.user_achievements_count).to_string()),
        ("size", HumanBytes(stats.database_size_bytes).to_string()),
        ("schema", stats.schema_version.clone()),
        ("engine", format!("{}, journal {}", stats.engine, stats.journal_mode)),
        ("last backup", moment(stats.last_backup)),
        ("last integrity check", moment(stats.last_integrity_check)),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    output.table(&[Column::left("figure"), Column::right("value")], rows)
}
