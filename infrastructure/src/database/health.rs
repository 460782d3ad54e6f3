use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;
use trivia_domain::model::{Drift, Task, TaskRecord};
use trivia_domain::ports::{CheckOutcome, HealthCheck, HealthReport, HealthStatus};
use trivia_domain::{StoreError, StoreResult};

use super::core::Core;
use super::engine::{self, PAGES, lines};
use super::head::loss;
use super::space;
use super::stats::{INTEGRITY_CHECK, last_backup, last_run, scalar};
use super::tasks;
use super::transaction::{Needs, Transaction};
use crate::entity::maintenance_runs;
use crate::read_model::Effects;
use crate::repository::drift;
use crate::scheduler::{Holder, holder};

/// Findings that one check reports.
const MOST_PROBLEMS: usize = 100;
/// The original asked for a backup every 12 hours and complained after twice that.
const BACKUP_AGE: TimeDelta = TimeDelta::hours(24);
/// The original asked for a check every 6 hours and complained after twice that.
const CHECK_AGE: TimeDelta = TimeDelta::hours(12);
/// How long after its time a task that nobody does is late, while there is a server that should do it.
const TASK_GRACE: TimeDelta = TimeDelta::hours(1);
/// Errors in a row, each less than an hour after the one before, that are too many.
const MANY_ERRORS: u64 = 50;

/// How long to wait before each check after damage was met.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// Checks everything and remembers when. Damaged pages stop all writing, a check without findings allows it again.
pub(super) async fn check(core: &Arc<Core>) -> CheckOutcome {
    match problems(core).await {
        Ok(problems) => {
            let damage = problems.iter().find(|problem| problem.starts_with(PAGES)).cloned();
            let outcome = if problems.is_empty() { CheckOutcome::Ok } else { CheckOutcome::Bad { problems } };
            if outcome == CheckOutcome::Ok {
                core.monitor.mended();
            }
            if let Err(error) = remember(core, &outcome).await {
                tracing::warn!(%error, "the check could not be remembered");
            }
            if let Some(damage) = damage {
                core.monitor.stop(&core.name(), &damage);
            }
            outcome
        }
        Err(StoreError::Corrupt { what, reason }) => CheckOutcome::Bad { problems: vec![format!("{what}: {reason}")] },
        Err(error) => CheckOutcome::CouldNotCheck { reason: error.to_string() },
    }
}

async fn problems(core: &Arc<Core>) -> StoreResult<Vec<String>> {
    let reader = core.reader().await?;
    let mut problems = engine::problems(&*reader, MOST_PROBLEMS).await?;
    if problems.iter().any(|problem| problem.starts_with(PAGES)) {
        // rows of a damaged file cannot be trusted any further
        return Ok(problems);
    }
    if !core.is_shared() {
        problems.extend(loss(&*reader, core.head.path()).await?);
    }
    problems.extend(group_problems(&*reader).await?);
    drop(reader);
    for Drift { table, id, column, stored, folded } in drifts(core, problems.is_empty()).await? {
        problems.push(format!("{table} {id}: {column} is {stored}, the ledger gives {folded}"));
    }
    problems.truncate(MOST_PROBLEMS);
    Ok(problems)
}

/// Compares with the ledger, which stores facts that wait: since nothing else is wrong, damage that was met once does
/// not forbid that. It is forgotten only when nothing is found.
async fn drifts(core: &Arc<Core>, is_whole: bool) -> StoreResult<Vec<Drift>> {
    let met = core.monitor.refuse_if_damaged();
    if is_whole {
        core.monitor.mended();
    }
    let found = drift::verify(core).await;
    if let (Err(damage), false) = (&met, is_whole && found.as_ref().is_ok_and(Vec::is_empty)) {
        core.monitor.stop_if_damaged(damage);
    }
    found
}

/// Checks after damage was met, until that is possible.
pub(super) async fn look_again(core: Arc<Core>) {
    for pause in PAUSES {
        tokio::time::sleep(pause).await;
        match check(&core).await {
            CheckOutcome::Ok => return tracing::warn!(database = core.name(), "nothing is damaged, it writes again"),
            CheckOutcome::Bad { .. } => return,
            CheckOutcome::CouldNotCheck { reason } => tracing::warn!(database = core.name(), reason, "not checked yet"),
        }
    }
}

/// Places and sizes of groups against the questions that can be picked.
async fn group_problems(connection: &impl ConnectionTrait) -> StoreResult<Vec<String>> {
    let placed = "COUNT(CASE WHEN q.ordinal >= g.first_ordinal AND q.ordinal < g.first_ordinal + g.size THEN 1 END)";
    let groups = format!(
        "SELECT g.category AS what, g.language AS language, CAST(g.size AS TEXT) AS stored, \
         CAST(COUNT(q.id) AS TEXT) AS counted, CAST({placed} AS TEXT) AS placed \
         FROM question_groups g LEFT JOIN questions q ON q.category = g.category \
         AND q.difficulty = g.difficulty AND q.question_type = g.question_type AND q.language = g.language \
         AND q.ordinal IS NOT NULL GROUP BY g.category, g.difficulty, g.question_type, g.language \
         HAVING g.size <> COUNT(q.id) OR g.size <> {placed} \
         UNION ALL SELECT q.category, q.language, 'none', CAST(COUNT(*) AS TEXT), '0' FROM questions q \
         WHERE q.ordinal IS NOT NULL AND NOT EXISTS (SELECT 1 FROM question_groups g \
         WHERE g.category = q.category AND g.difficulty = q.difficulty \
         AND g.question_type = q.question_type AND g.language = q.language) \
         GROUP BY q.category, q.difficulty, q.question_type, q.language"
    );
    let found = lines(connection, &groups, &["what", "language", "stored", "counted", "placed"]).await?;
    let told = "(category, language, stored, counted, in their places)";
    Ok(found.into_iter().map(|line| format!("question_groups: {line} {told}")).collect())
}

async fn remember(core: &Arc<Core>, outcome: &CheckOutcome) -> StoreResult<()> {
    let row = maintenance_runs::Model {
        task: INTEGRITY_CHECK.to_owned(),
        ran_at: core.clock.now(),
        ok: *outcome == CheckOutcome::Ok,
        detail: match outcome {
            // not what they say: it may name a person, who may be erased later
            CheckOutcome::Bad { problems } => format!("{} problems; `trivia-db check` lists them", problems.len()),
            CheckOutcome::Ok | CheckOutcome::CouldNotCheck { .. } => String::new(),
        },
    };
    let transaction = Transaction::begin(core, "remembering a check", Needs::Nothing, Effects::NONE).await?;
    let columns = [maintenance_runs::Column::RanAt, maintenance_runs::Column::Ok, maintenance_runs::Column::Detail];
    tasks::put(&*transaction, row, &columns).await?;
    transaction.commit().await
}

/// Looks at everything that can be looked at quickly.
pub(super) async fn health(core: &Core) -> HealthReport {
    let now = core.clock.now();
    let mut checks = Vec::new();
    match connectivity(core).await {
        Ok(()) => checks.push(well("connectivity", "the database answers")),
        Err(error) => {
            checks.push(finding("connectivity", HealthStatus::Critical, &error.to_string(), error.hint()));
            return HealthReport::of(checks);
        }
    }
    if let Err(error) = core.monitor.refuse_if_damaged() {
        checks.push(finding("damage", HealthStatus::Critical, &error.to_string(), error.hint()));
    }
    checks.push(match integrity(core, now).await {
        Ok(check) => check,
        Err(error) => finding("integrity", HealthStatus::Warning, &error.to_string(), error.hint()),
    });
    checks.push(match backups(core, now).await {
        Ok(check) => check,
        Err(error) => finding("backups", HealthStatus::Warning, &error.to_string(), error.hint()),
    });
    checks.push(match space::check(core).await {
        Ok(check) => check,
        Err(error) => finding("space", HealthStatus::Warning, &error.to_string(), error.hint()),
    });
    checks.push(errors(core, now));
    checks.push(match questions(core).await {
        Ok(check) => check,
        Err(error) => finding("questions", HealthStatus::Warning, &error.to_string(), error.hint()),
    });
    match task_checks(core, now).await {
        Ok(found) => checks.extend(found),
        Err(error) => checks.push(finding("tasks", HealthStatus::Warning, &error.to_string(), error.hint())),
    }
    HealthReport::of(checks)
}

pub(super) fn well(name: &str, reason: &str) -> HealthCheck {
    finding(name, HealthStatus::Healthy, reason, "")
}

pub(super) fn finding(name: &str, status: HealthStatus, reason: &str, recommendation: &str) -> HealthCheck {
    HealthCheck { name: name.to_owned(), status, reason: reason.to_owned(), recommendation: recommendation.to_owned() }
}

async fn connectivity(core: &Core) -> StoreResult<()> {
    let reader = core.reader().await?;
    engine::ping(&*reader).await
}

async fn integrity(core: &Core, now: DateTime<Utc>) -> StoreResult<HealthCheck> {
    let reader = core.reader().await?;
    Ok(match last_run(&*reader, INTEGRITY_CHECK).await? {
        None => finding("integrity", HealthStatus::Warning, "never checked", "run `trivia-db check`"),
        Some(run) if !run.ok => finding(
            "integrity",
            HealthStatus::Critical,
            &format!("the last check found: {}", run.detail),
            "stop writing, then run `trivia-db recover`",
        ),
        Some(run) if now - run.ran_at > CHECK_AGE => finding(
            "integrity",
            HealthStatus::Warning,
            &format!("last checked {} hours ago", (now - run.ran_at).num_hours()),
            "run `trivia-db check`",
        ),
        Some(run) => well("integrity", &format!("checked at {}", run.ran_at.format("%F %T UTC"))),
    })
}

async fn backups(core: &Core, now: DateTime<Utc>) -> StoreResult<HealthCheck> {
    if core.is_shared() {
        return Ok(well("backups", "the server is backed up by its own tools"));
    }
    if core.options.backups.is_none() {
        return Ok(finding("backups", HealthStatus::Warning, "no directory is configured", "set a backup directory"));
    }
    Ok(match last_backup(core).await? {
        None => finding("backups", HealthStatus::Warning, "there is none", "run `trivia-db backup create`"),
        Some(at) if now - at > BACKUP_AGE => finding(
            "backups",
            HealthStatus::Warning,
            &format!("the last one is {} hours old", (now - at).num_hours()),
            "run `trivia-db backup create`",
        ),
        Some(at) => well("backups", &format!("the last one was made at {}", at.format("%F %T UTC"))),
    })
}

fn errors(core: &Core, now: DateTime<Utc>) -> HealthCheck {
    match core.monitor.recent_errors(now) {
        0 => well("errors", "none in the last hour"),
        few if few <= MANY_ERRORS => well("errors", &format!("{few} without an hour of rest")),
        many => finding(
            "errors",
            HealthStatus::Warning,
            &format!("{many} without an hour of rest"),
            "look into the log for their cause",
        ),
    }
}

async fn questions(core: &Core) -> StoreResult<HealthCheck> {
    let reader = core.reader().await?;
    let number =
        scalar(&*reader, "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS value FROM question_groups").await?;
    Ok(if number == 0 {
        finding(
            "questions",
            HealthStatus::Warning,
            "there is none to pick",
            "run `trivia-db import` or `trivia-db init`",
        )
    } else {
        well("questions", &format!("{number} to pick from"))
    })
}

/// One check for each task that fails or is late; one for all when there is none.
async fn task_checks(core: &Core, now: DateTime<Utc>) -> StoreResult<Vec<HealthCheck>> {
    let records = tasks::load(&*core.reader().await?).await?;
    let server = holder(&core.options.url);
    let checks: Vec<_> = records.iter().filter_map(|record| task_check(record, server.as_ref(), now)).collect();
    if !checks.is_empty() {
        return Ok(checks);
    }
    Ok(vec![match server {
        Some(Holder { pid: Some(pid), .. }) => well("tasks", &format!("process {pid} does them in time")),
        Some(_) => well("tasks", "a server does them in time"),
        None => well("tasks", "none fails; no server is running"),
    }])
}

fn task_check(record: &TaskRecord, server: Option<&Holder>, now: DateTime<Utc>) -> Option<HealthCheck> {
    let name = record.task.as_str();
    if let Some(failing) = &record.failing {
        let since = failing.since.format("%F %T UTC");
        let reason = format!("it fails since {since}: {}", failing.reason);
        return Some(finding(name, HealthStatus::Warning, &reason, remedy(record.task)));
    }
    // a server that has just started has not had the time yet
    let begun = server?.since?;
    let due_at = match record.done_at {
        None => record.task.due_at(None, begun),
        done_at => record.task.due_at(done_at, now).max(begun),
    };
    (now - due_at > TASK_GRACE).then(|| {
        let reason = format!("it is due since {}", due_at.format("%F %T UTC"));
        finding(name, HealthStatus::Warning, &reason, "look into the log of `trivia-db serve`, and start it again")
    })
}

/// What to do about a task that fails; a server tries it again by itself.
const fn remedy(task: Task) -> &'static str {
    match task {
        Task::Recover => "stop what uses the database, then run `trivia-db recover --dry-run`",
        Task::DailyBackup | Task::WeeklyBackup => {
            "see that the backup directory can be written and has space, then run `trivia-db backup create`"
        }
        Task::Retention => "see that the backup directory can be written, then run `trivia-db backup prune`",
        Task::VerifyBackups => "run `trivia-db backup verify`; make a new backup when one is damaged",
        Task::Scrub => "run `trivia-db check`",
        Task::ExpireSessions | Task::ForgetSessions => "look at the reason, then run `trivia-db serve --once`",
    }
}
