//! `init`: a database of the newest version with questions in it.

use async_trait::async_trait;
use serde::Serialize;
use trivia_domain::StoreResult;
use trivia_domain::model::{BackupInfo, BackupKind, Labels, Page, QuestionContent};
use trivia_domain::ports::{AddOutcome, QuestionFilter, Store, UnitOfWork, Work, execute};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count};
use crate::pack;
use crate::wiring::App;

/// What was done.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) database: String,
    pub(super) schema_version: String,
    pub(super) migrations_applied: Vec<String>,
    pub(super) questions_imported: usize,
    pub(super) backup: Option<BackupInfo>,
}

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let existed = app.has_schema().await?;
    let before = backup_before_migrating(app, "before `init` migrates").await?;
    let migrations_applied = app.migrate_up(None).await?;
    let questions_imported = app.with_database(async |database| import_pack(database).await).await?;
    let backup = if existed {
        before
    } else {
        Some(app.backups().create(BackupKind::Initial, "after `init` created the database").await?)
    };
    let report = Report {
        database: app.database_url(),
        schema_version: newest(app).await?,
        migrations_applied,
        questions_imported,
        backup,
    };
    tell(app, existed, &report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

fn tell(app: &App, existed: bool, report: &Report, output: &mut Output) -> Result<(), Failure> {
    let path = app.database_name();
    match (existed, report.migrations_applied.len()) {
        (false, _) => writeln!(output, "Created {path}, schema {}.", report.schema_version)?,
        (true, 0) => writeln!(output, "{path} is up to date, schema {}.", report.schema_version)?,
        (true, steps) => {
            writeln!(output, "Brought {path} to schema {} ({}).", report.schema_version, count(steps, "migration"))?;
        }
    }
    if report.questions_imported > 0 {
        writeln!(output, "Added {}.", count(report.questions_imported, "question"))?;
    }
    if let Some(backup) = &report.backup {
        writeln!(output, "Backup {} is in {}.", backup.manifest.id, app.backup_place())?;
    }
    writeln!(output, "\nNext: `trivia-db play` for a game, `trivia-db health` for a check-up.")
}

/// A backup when there is something to keep and there are migrations to come.
pub(super) async fn backup_before_migrating(app: &App, reason: &str) -> Result<Option<BackupInfo>, Failure> {
    if !app.has_schema().await? || app.schema_status().await?.pending.is_empty() {
        return Ok(None);
    }
    Ok(Some(app.backups().create(BackupKind::PreMigration, reason).await?))
}

/// Adds the bundled questions when there are none, and says how many.
pub(super) async fn import_pack(store: &dyn Store) -> Result<usize, Failure> {
    if !store.questions().list(&QuestionFilter::default(), Page::first(1)).await?.is_empty() {
        return Ok(0);
    }
    let outcomes = execute(store, &Bundled(bundled()?)).await?;
    Ok(outcomes.iter().filter(|outcome| !matches!(outcome, AddOutcome::Duplicate { .. })).count())
}

/// The bundled questions, in their pack.
struct Bundled(Vec<QuestionContent>);

#[async_trait]
impl Work for Bundled {
    type Output = Vec<AddOutcome>;

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<Vec<AddOutcome>> {
        let about = pack::about()?;
        let labels = Labels { packs: [about.name().clone()].into(), ..Labels::default() };
        uow.packs().put(about).await?;
        let outcomes = uow.questions().add(self.0.clone()).await?;
        uow.questions().label(outcomes.iter().map(|outcome| (outcome.question(), labels.clone())).collect()).await?;
        Ok(outcomes)
    }
}

/// The questions that come with the program.
pub(super) fn bundled() -> Result<Vec<QuestionContent>, Failure> {
    pack::bundled()
        .map_err(|error| Failure::because("the bundled questions are broken", "report this as a defect", error))
}

/// Name of the newest migration that was applied.
pub(super) async fn newest(app: &App) -> Result<String, Failure> {
    Ok(app.schema_status().await?.applied.pop().unwrap_or_default())
}
