//! Does what has to be done regularly: see [`Task`].

mod lock;
#[cfg(feature = "postgres")]
mod server_lock;

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use trivia_domain::model::{BackupKind, Page, RecoverySource, RetentionPolicy, Task, TaskRecord, Verification};
use trivia_domain::ports::{BackupService, CheckOutcome, Clock, MaintenancePort, RecoveryService, Store};
use trivia_domain::{Refusal, StoreError, StoreResult};

pub use self::lock::SchedulerLock;
pub(crate) use self::lock::{Holder, holder, refuse_if_served};

/// Longest sleep: a clock that is set, or a machine that was suspended, is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Shortest sleep: whatever is wrong with the clock, nothing spins.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);
/// Live sessions that are looked at together.
const PAGE: u32 = 500;
/// What the manifests of its backups say.
const REASON: &str = "by the scheduler";

/// What a scheduler works with.
#[derive(Clone)]
pub struct SchedulerPorts {
    /// Games.
    pub store: Arc<dyn Store>,
    /// Checks, and what is remembered of tasks.
    pub maintenance: Arc<dyn MaintenancePort>,
    /// Backups.
    pub backups: Arc<dyn BackupService>,
    /// Recovers the store when damage was met; without it, that is left to people.
    pub recovery: Option<Arc<dyn RecoveryService>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What is kept for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePolicy {
    /// Backups.
    pub retention: RetentionPolicy,
    /// Sessions after their end; `None` keeps them for ever. Default 90 days.
    pub keep_sessions: Option<TimeDelta>,
    /// How long after the deadline of its open question a live session counts as abandoned. A game whose
    /// host goes on a little late is none. Default 1 hour.
    pub abandoned_after: TimeDelta,
}

impl Default for SchedulePolicy {
    fn default() -> Self {
        Self {
            retention: RetentionPolicy::default(),
            keep_sessions: Some(TimeDelta::days(90)),
            abandoned_after: TimeDelta::hours(1),
        }
    }
}

/// An attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which one.
    pub task: Task,
    /// What was done, or why it failed.
    pub outcome: Result<String, String>,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// What is known of it.
    pub record: TaskRecord,
    /// Failures in a row since this scheduler was made.
    pub failures: u32,
    /// When it is tried next.
    pub next_at: DateTime<Utc>,
}

/// Does each [`Task`] when it is due, one after the other. Runs that were missed are made up once; one that
/// fails is tried again after a while, remembered, and told by `health`.
///
/// Two schedulers on one database do no harm, but work twice: hold a [`SchedulerLock`].
///
/// ```no_run
/// # use std::path::PathBuf;
/// # use std::sync::Arc;
/// # use tokio::sync::watch;
/// # use trivia_infrastructure::{
/// #     Database, SchedulePolicy, Scheduler, SchedulerLock, SchedulerPorts, SqliteBackups, SystemClock,
/// # };
/// # use trivia_domain::ports::Clock;
/// # async fn example(database: Database, stop: watch::Receiver<bool>) -> trivia_domain::StoreResult<()> {
/// let _lock = SchedulerLock::take(&database.options().url, SystemClock.now()).await?;
/// let ports = SchedulerPorts {
///     store: Arc::new(database.clone()),
///     maintenance: Arc::new(database.clone()),
///     backups: Arc::new(SqliteBackups::attached(&database, PathBuf::from("data/backups"))),
///     recovery: None,
///     clock: Arc::new(SystemClock),
/// };
/// Scheduler::new(ports, SchedulePolicy::default()).run(stop).await;
/// # Ok(())
/// # }
/// ```
pub struct Scheduler {
    ports: SchedulerPorts,
    policy: SchedulePolicy,
    /// Empty until it was read from the store.
    memory: Mutex<Vec<Memory>>,
}

/// What a scheduler knows of a task.
#[derive(Debug, Clone)]
struct Memory {
    record: TaskRecord,
    failures: u32,
    /// When the last attempt ended, if it failed.
    failed_at: DateTime<Utc>,
}

impl Memory {
    fn next_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let Memory { record, failures, failed_at } = self;
        match (failures, &record.failing) {
            (0, None) => record.task.due_at(record.done_at, now),
            // it failed in an earlier process, or by a clock that was wrong
            (0, Some(_)) => now,
            _ if *failed_at > now => now,
            _ => *failed_at + record.task.pause_after(*failures),
        }
    }
}

impl Scheduler {
    /// A scheduler that has done nothing yet.
    #[must_use]
    pub fn new(ports: SchedulerPorts, policy: SchedulePolicy) -> Self {
        Self { ports, policy, memory: Mutex::default() }
    }

    /// Does what is due whenever it is, until `stop` becomes true or its sender is gone. A task that is under
    /// way is finished first; dropping the future instead is safe: it is done again at the next start.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.run_due(|| *stop.borrow()).await {
                tracing::error!(%error, "the tasks cannot be read; they are tried again in a moment");
            }
            let pause = self.sleep();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Does what is due now, each task at most once, and returns what came of it.
    ///
    /// # Errors
    /// Those of the store when it cannot say what was done before. A task that fails is an outcome.
    pub async fn tick(&self) -> StoreResult<Vec<Attempt>> {
        self.run_due(|| false).await
    }

    /// Where each task stands, in the order of [`Task::ALL`]; nothing before the first tick.
    #[must_use]
    pub fn status(&self) -> Vec<TaskStatus> {
        let now = self.ports.clock.now();
        let status = |memory: &Memory| {
            let Memory { record, failures, .. } = memory.clone();
            TaskStatus { record, failures, next_at: memory.next_at(now) }
        };
        self.memory().iter().map(status).collect()
    }

    fn memory(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_due(&self, stopped: impl Fn() -> bool) -> StoreResult<Vec<Attempt>> {
        if self.memory().is_empty() {
            let records = self.ports.maintenance.tasks().await?.into_iter();
            let failed_at = DateTime::UNIX_EPOCH;
            *self.memory() = records.map(|record| Memory { record, failures: 0, failed_at }).collect();
        }
        let mut attempts = Vec::new();
        for task in Task::ALL {
            if stopped() {
                break;
            }
            let now = self.ports.clock.now();
            if self.memory().iter().any(|memory| memory.record.task == task && self.is_due(memory, now)) {
                attempts.push(self.attempt(task, now).await);
            }
        }
        Ok(attempts)
    }

    fn is_due(&self, memory: &Memory, now: DateTime<Utc>) -> bool {
        let next_at = memory.next_at(now);
        match memory.record.task {
            Task::Recover => {
                let is_needed = self.ports.recovery.as_ref().is_some_and(|recovery| recovery.is_needed());
                is_needed && (memory.failures == 0 || next_at <= now)
            }
            _ => next_at <= now,
        }
    }

    /// Does a task, and remembers what came of it.
    async fn attempt(&self, task: Task, at: DateTime<Utc>) -> Attempt {
        let outcome = self.perform(task, at).await.map_err(|error| reason(&error));
        let failed_at = self.ports.clock.now();
        let mut failures = 0;
        if let Some(memory) = self.memory().iter_mut().find(|memory| memory.record.task == task) {
            memory.record.note(at, outcome.clone());
            memory.failures = if outcome.is_ok() { 0 } else { memory.failures.saturating_add(1) };
            memory.failed_at = failed_at;
            failures = memory.failures;
        }
        if let Err(error) = self.ports.maintenance.note_task(task, at, outcome.clone()).await {
            // a later process does it again
            tracing::warn!(%task, %error, "what came of a task could not be remembered");
        }
        match &outcome {
            Ok(done) => tracing::info!(%task, done, "task done"),
            Err(reason) => {
                let retry_in_s = task.pause_after(failures).num_seconds();
                tracing::error!(%task, reason, failures, retry_in_s, "task failed");
            }
        }
        Attempt { task, outcome }
    }

    async fn perform(&self, task: Task, now: DateTime<Utc>) -> StoreResult<String> {
        match task {
            Task::Recover => self.recover().await,
            Task::DailyBackup => self.back_up(BackupKind::Daily).await,
            Task::WeeklyBackup => self.back_up(BackupKind::Weekly).await,
            Task::Retention => {
                let deleted = self.ports.backups.prune(&self.policy.retention).await?;
                Ok(format!("{} backups deleted", deleted.len()))
            }
            Task::VerifyBackups => self.verify_backups().await,
            Task::Scrub => match self.ports.maintenance.check().await {
                CheckOutcome::Ok => Ok("nothing is wrong".to_owned()),
                // not what they say: it may name a person
                CheckOutcome::Bad { problems } => Err(StoreError::Corrupt {
                    what: "the database".to_owned(),
                    reason: format!("the check found {} problems", problems.len()),
                }),
                CheckOutcome::CouldNotCheck { reason } => Err(StoreError::backend("it could not be checked", reason)),
            },
            Task::ExpireSessions => self.expire_sessions(now).await,
            Task::ForgetSessions => self.forget_sessions(now).await,
        }
    }

    async fn recover(&self) -> StoreResult<String> {
        let Some(recovery) = &self.ports.recovery else { return Ok(String::new()) };
        let report = recovery.recover().await?;
        Ok(match report.source {
            RecoverySource::Nothing => "the files are whole".to_owned(),
            _ => format!("{} rows rescued, {} lost, {} refused", report.rescued, report.lost, report.quarantined),
        })
    }

    async fn back_up(&self, kind: BackupKind) -> StoreResult<String> {
        Ok(self.ports.backups.create(kind, REASON).await?.manifest.id.to_string())
    }

    /// Looks at all backups, and tries the newest one out.
    async fn verify_backups(&self) -> StoreResult<String> {
        let backups = &self.ports.backups;
        let (mut good, mut unopened) = (0, None);
        for (at, backup) in backups.list().await?.into_iter().enumerate() {
            let id = &backup.manifest.id;
            let looked = match if at == 0 { backups.drill(id).await } else { backups.verify(id).await } {
                // a machine that makes backups need not have the key that opens them, and a place may have those of another
                // engine
                Err(StoreError::NoKey { .. } | StoreError::Incompatible { .. }) => backups.verify(id).await,
                looked => looked,
            };
            match looked {
                Ok(verification) if verification.ok => {
                    good += 1;
                    unopened = unopened.or(verification.unopened);
                }
                Ok(Verification { problems, .. }) => {
                    // not what they say: it may name a person
                    let reason =
                        format!("{} problems; `trivia-db backup verify {id} --drill` says which", problems.len());
                    return Err(StoreError::Corrupt { what: format!("backup {id}"), reason });
                }
                // deleted since it was listed
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(match unopened {
            None => format!("{good} backups are good"),
            Some(reason) => format!("{good} backups are good, not all of them opened: {reason}"),
        })
    }

    async fn expire_sessions(&self, now: DateTime<Utc>) -> StoreResult<String> {
        let Some(before) = now.checked_sub_signed(self.policy.abandoned_after) else { return Ok(String::new()) };
        let (mut expired, mut page) = (0_u64, Page::first(PAGE));
        loop {
            let sessions = self.ports.store.sessions().list_live(page).await?;
            for session in sessions.iter().filter(|session| session.is_overdue(before)) {
                match self.ports.store.play().expire(session.id).await {
                    Ok(_) => expired += 1,
                    // somebody went on with it, or forgot it
                    Err(StoreError::Refused(Refusal::TimeNotUp) | StoreError::Missing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            match sessions.last() {
                Some(last) => page = Page::after(last.channel_id.get(), PAGE),
                None => return Ok(format!("{expired} sessions expired")),
            }
        }
    }

    async fn forget_sessions(&self, now: DateTime<Utc>) -> StoreResult<String> {
        let before = self.policy.keep_sessions.and_then(|keep| now.checked_sub_signed(keep));
        let Some(before) = before else { return Ok("sessions are kept for ever".to_owned()) };
        let forgotten = self.ports.store.sessions().forget_ended(before).await?;
        Ok(format!("{forgotten} sessions forgotten"))
    }

    /// Until the next task is due, within bounds.
    fn sleep(&self) -> Duration {
        let now = self.ports.clock.now();
        let next = self.memory().iter().map(|memory| memory.next_at(now)).min();
        let wait = next.and_then(|next| (next - now).to_std().ok()).unwrap_or_default();
        wait.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }
}

/// An error with its causes, on one line.
fn reason(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        // many errors repeat their cause in their own words
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
