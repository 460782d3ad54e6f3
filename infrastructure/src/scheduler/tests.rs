use std::collections::BTreeMap;

use trivia_domain::memory::{ManualClock, MemoryStore, SeededRandom};
use trivia_domain::model::{
    BackupId, BackupInfo, BackupManifest, ChannelId, Failing, GameSession, RecoveryReport, SessionStatus, TimeLimit,
    UserId, Verification,
};
use trivia_domain::ports::{
    AddOutcome, MockBackupService, MockMaintenancePort, MockRecoveryService, Repositories, StartSession,
};

use super::*;

/// What the ports were asked for, and what they answer.
#[derive(Default)]
struct World {
    records: Vec<TaskRecord>,
    backups: Vec<(BackupKind, DateTime<Utc>)>,
    kept: Vec<usize>,
    disk_is_full: bool,
    damaged: bool,
    drills: Vec<BackupId>,
    check: Option<CheckOutcome>,
    /// Since damage was met: how many attempts at a recovery fail.
    recoveries: Option<u32>,
    /// Calls that find the store busy.
    busy: u32,
    /// Told to stop by the first backup.
    stop: Option<watch::Sender<bool>>,
}

struct Bench {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    world: Arc<Mutex<World>>,
}

/// Wednesday.
const NOON: &str = "2026-03-04T12:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(at(NOON)));
        let store = Arc::new(MemoryStore::new(clock.clone(), Arc::new(SeededRandom::new(1))));
        let world = World { records: Task::ALL.map(TaskRecord::new).into(), ..World::default() };
        Self { clock, store, world: Arc::new(Mutex::new(world)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// A scheduler, as a process has it that has just started.
    fn start(&self) -> Scheduler {
        self.start_with(SchedulePolicy::default())
    }

    fn start_with(&self, policy: SchedulePolicy) -> Scheduler {
        let ports = SchedulerPorts {
            store: self.store.clone(),
            maintenance: Arc::new(self.maintenance()),
            backups: Arc::new(self.backups()),
            recovery: Some(Arc::new(self.recovery())),
            clock: self.clock.clone(),
        };
        Scheduler::new(ports, policy)
    }

    fn maintenance(&self) -> MockMaintenancePort {
        let mut port = MockMaintenancePort::new();
        let world = self.world.clone();
        let is_busy = move || {
            let mut world = world.lock().unwrap();
            let is_busy = world.busy > 0;
            world.busy = world.busy.saturating_sub(1);
            if is_busy { Err(StoreError::Busy { what: "the file".to_owned() }) } else { Ok(()) }
        };
        let (world, look) = (self.world.clone(), is_busy.clone());
        port.expect_tasks().returning(move || look().map(|()| world.lock().unwrap().records.clone()));
        let world = self.world.clone();
        port.expect_note_task().returning(move |task, at, outcome| {
            is_busy()?;
            let mut world = world.lock().unwrap();
            world.records.iter_mut().find(|record| record.task == task).unwrap().note(at, outcome);
            Ok(())
        });
        let world = self.world.clone();
        port.expect_check().returning(move || world.lock().unwrap().check.clone().unwrap_or(CheckOutcome::Ok));
        port
    }

    fn recovery(&self) -> MockRecoveryService {
        let mut port = MockRecoveryService::new();
        let world = self.world.clone();
        port.expect_is_needed().returning(move || world.lock().unwrap().recoveries.is_some());
        let world = self.world.clone();
        port.expect_recover().returning(move || {
            let mut world = world.lock().unwrap();
            let left = world.recoveries.unwrap();
            world.recoveries = left.checked_sub(1);
            match left {
                0 => Ok(recovered()),
                _ => Err(StoreError::Busy { what: "the file".to_owned() }),
            }
        });
        port
    }

    fn backups(&self) -> MockBackupService {
        let mut port = MockBackupService::new();
        let (world, clock) = (self.world.clone(), self.clock.clone());
        port.expect_create().returning(move |kind, _| {
            let mut world = world.lock().unwrap();
            world.backups.push((kind, clock.now()));
            if let Some(stop) = world.stop.take() {
                stop.send(true).unwrap();
            }
            if world.disk_is_full {
                Err(StoreError::DiskFull { what: "backups".to_owned(), reason: "a test".to_owned() })
            } else {
                Ok(backup(kind))
            }
        });
        let world = self.world.clone();
        port.expect_prune().returning(move |policy| {
            world.lock().unwrap().kept.push(policy.keep);
            Ok(Vec::new())
        });
        port.expect_list().returning(|| Ok(vec![backup(BackupKind::Daily), backup(BackupKind::Weekly)]));
        let world = self.world.clone();
        let found = move |id: &BackupId, is_drill: bool| {
            let mut world = world.lock().unwrap();
            world.drills.extend(is_drill.then(|| id.clone()));
            let problems: Vec<_> = world.damaged.then(|| "users 7: a flipped bit".to_owned()).into_iter().collect();
            Ok(Verification { id: id.clone(), ok: problems.is_empty(), problems, unopened: None })
        };
        let verified = found.clone();
        port.expect_verify().returning(move |id| verified(id, false));
        port.expect_drill().returning(move |id| found(id, true));
        port
    }

    fn record(&self, task: Task) -> TaskRecord {
        self.world().records.iter().find(|record| record.task == task).unwrap().clone()
    }

    /// A live session with ten minutes for its one question.
    async fn session(&self, channel: i64) -> GameSession {
        let host = self.store.users().get_or_create(UserId::new(1).unwrap()).await.unwrap().user_id;
        let question = r#"{"kind":"true_false","category":"C","difficulty":"easy","question":"So?","answer":true}"#;
        let added = self.store.questions().add(vec![serde_json::from_str(question).unwrap()]).await.unwrap();
        let (AddOutcome::Added { id } | AddOutcome::Duplicate { of: id }) = added[0] else { panic!("{added:?}") };
        let request = StartSession {
            channel_id: ChannelId::new(channel).unwrap(),
            host,
            questions: vec![id],
            time_limit: TimeLimit::from_millis(600_000).unwrap(),
        };
        self.store.play().start_session(request).await.unwrap()
    }

    async fn status_of(&self, session: &GameSession) -> SessionStatus {
        self.store.sessions().get(session.id).await.unwrap().status
    }
}

fn backup(kind: BackupKind) -> BackupInfo {
    let manifest = BackupManifest {
        format: 1,
        id: BackupId::new(&format!("{kind}_1")).unwrap(),
        kind,
        reason: REASON.to_owned(),
        sequence: 1,
        created_at: at(NOON),
        tool: String::new(),
        schema_version: String::new(),
        dump: None,
        bytes: 0,
        sha256: String::new(),
        rows: BTreeMap::new(),
        content: BTreeMap::new(),
        ledger: None,
        packed: None,
    };
    BackupInfo { manifest, path: String::new(), verified: true, drill: None }
}

fn recovered() -> RecoveryReport {
    RecoveryReport {
        source: RecoverySource::Backup,
        dry_run: false,
        problems: Vec::new(),
        backup: None,
        tables: Vec::new(),
        rescued: 7,
        lost: 1,
        quarantined: 0,
        unreadable_pages: 2,
        forensics: None,
        quarantine: None,
        set_aside: None,
        new_backup: None,
    }
}

async fn tick(scheduler: &Scheduler) -> Vec<Task> {
    scheduler.tick().await.unwrap().into_iter().map(|attempt| attempt.task).collect()
}

#[tokio::test]
async fn l26_all_is_done_at_the_first_start_and_then_when_it_is_due() {
    let bench = Bench::new();
    let scheduler = bench.start();
    assert_eq!(scheduler.status(), []);
    assert_eq!(tick(&scheduler).await, Task::ALL[1..]);
    assert_eq!(tick(&scheduler).await, []);
    let mut counts: BTreeMap<Task, usize> = BTreeMap::new();
    for _ in 0..8 * 24 * 4 {
        bench.clock.advance(TimeDelta::minutes(15));
        for task in tick(&scheduler).await {
            *counts.entry(task).or_default() += 1;
        }
    }
    let expected = [
        (Task::DailyBackup, 8),
        (Task::WeeklyBackup, 1),
        (Task::Retention, 8),
        (Task::VerifyBackups, 1),
        (Task::Scrub, 32),
        (Task::ExpireSessions, 192),
        (Task::ForgetSessions, 8),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    let backups = &bench.world().backups;
    let weekly = backups.iter().filter(|(kind, _)| *kind == BackupKind::Weekly).map(|(_, made)| *made);
    assert_eq!(weekly.collect::<Vec<_>>(), [at(NOON), at("2026-03-09T00:00:00Z")], "on Monday");
    let daily = backups.iter().filter(|(kind, _)| *kind == BackupKind::Daily);
    assert!(daily.skip(1).all(|(_, made)| made.time() == chrono::NaiveTime::MIN), "as the day begins");
}

#[tokio::test]
async fn l26_missed_runs_are_made_up_once() {
    let bench = Bench::new();
    tick(&bench.start()).await;
    bench.clock.advance(TimeDelta::minutes(30));
    assert_eq!(tick(&bench.start()).await, [], "another process on the same day");
    bench.clock.advance(TimeDelta::days(40));
    let scheduler = bench.start();
    assert_eq!(tick(&scheduler).await, Task::ALL[1..]);
    assert_eq!(tick(&scheduler).await, []);
}

#[tokio::test]
async fn a_failed_run_is_tried_again_after_longer_and_longer_pauses() {
    let bench = Bench::new();
    let scheduler = bench.start();
    bench.world().disk_is_full = true;
    let mut tried = Vec::new();
    for minute in 0..200 {
        for attempt in scheduler.tick().await.unwrap() {
            if attempt.task == Task::DailyBackup {
                tried.push(minute);
                assert_eq!(attempt.outcome, Err("no space left for backups: a test".to_owned()));
            } else {
                assert_eq!(attempt.outcome.is_err(), attempt.task == Task::WeeklyBackup, "{attempt:?}");
            }
        }
        bench.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    let failing = Some(Failing { since: at(NOON), reason: "no space left for backups: a test".to_owned() });
    let expected = TaskRecord { failing, ..TaskRecord::new(Task::DailyBackup) };
    assert_eq!(bench.record(Task::DailyBackup), expected);
    let status = scheduler.status().remove(1);
    assert_eq!((status.record, status.failures), (expected, 9));
    assert_eq!(status.next_at, at(NOON) + TimeDelta::minutes(243));

    // a new process does not wait
    assert_eq!(tick(&bench.start()).await, [Task::DailyBackup, Task::WeeklyBackup]);
    bench.world().disk_is_full = false;
    bench.clock.advance(TimeDelta::hours(1));
    let healed = tick(&scheduler).await;
    assert!(healed.starts_with(&[Task::DailyBackup, Task::WeeklyBackup]), "{healed:?}");
    assert_eq!(bench.record(Task::DailyBackup).failing, None);
    assert_eq!(bench.record(Task::DailyBackup).done_at, Some(bench.clock.now()));
    let status = scheduler.status().remove(1);
    assert_eq!((status.failures, status.next_at), (0, at("2026-03-05T00:00:00Z")));
}

#[tokio::test]
async fn t4_a_clock_that_goes_back_stops_nothing() {
    let bench = Bench::new();
    let scheduler = bench.start();
    bench.clock.set(at("2036-01-01T00:00:00Z"));
    tick(&scheduler).await;
    bench.world().disk_is_full = true;
    bench.clock.set(at(NOON));
    assert_eq!(tick(&scheduler).await, Task::ALL[1..], "what was done in the future is done now");
    assert_eq!(tick(&bench.start()).await, [Task::DailyBackup, Task::WeeklyBackup], "the rest was remembered");
    bench.clock.set(at("2016-01-01T00:00:00Z"));
    bench.world().disk_is_full = false;
    assert_eq!(tick(&scheduler).await, Task::ALL[1..], "nor does it wait for years to try again");
    assert_eq!(bench.record(Task::DailyBackup).failing, None);
}

#[tokio::test]
async fn l27_damage_is_recovered_before_anything_else_and_again_after_a_pause() {
    let bench = Bench::new();
    let scheduler = bench.start();
    tick(&scheduler).await;
    bench.world().recoveries = Some(1);
    bench.clock.advance(TimeDelta::hours(24));
    let attempts = scheduler.tick().await.unwrap();
    assert_eq!(attempts[0].task, Task::Recover);
    assert!(attempts[0].outcome.as_ref().unwrap_err().contains("busy"));
    assert_eq!(tick(&scheduler).await, [], "not at once");
    bench.clock.advance(TimeDelta::minutes(1));
    let attempts = scheduler.tick().await.unwrap();
    let outcome = Ok("7 rows rescued, 1 lost, 0 refused".to_owned());
    assert_eq!(attempts[0], Attempt { task: Task::Recover, outcome });
    bench.clock.advance(TimeDelta::minutes(1));
    assert_eq!(tick(&scheduler).await, []);
}

#[tokio::test]
async fn abandoned_sessions_expire_and_games_that_go_on_do_not() {
    let bench = Bench::new();
    let abandoned = bench.session(1).await;
    bench.clock.advance(TimeDelta::minutes(65));
    let (late, open) = (bench.session(2).await, bench.session(3).await);
    let scheduler = bench.start();
    tick(&scheduler).await;
    assert_eq!(bench.status_of(&abandoned).await, SessionStatus::Live, "55 minutes late");
    bench.clock.advance(TimeDelta::minutes(60));
    tick(&scheduler).await;
    assert_eq!(bench.status_of(&abandoned).await, SessionStatus::Expired);
    for session in [late, open] {
        assert_eq!(bench.status_of(&session).await, SessionStatus::Live);
    }
    assert_eq!(bench.record(Task::ExpireSessions).detail, "1 sessions expired");
}

#[tokio::test]
async fn old_sessions_are_forgotten_unless_they_are_kept_for_ever() {
    for (keep_sessions, is_kept) in [(Some(TimeDelta::days(7)), false), (Some(TimeDelta::days(9)), true), (None, true)]
    {
        let bench = Bench::new();
        let session = bench.session(1).await;
        bench.store.play().finish(session.id).await.unwrap();
        bench.clock.advance(TimeDelta::days(8));
        tick(&bench.start_with(SchedulePolicy { keep_sessions, ..SchedulePolicy::default() })).await;
        assert_eq!(bench.store.sessions().find(session.id).await.unwrap().is_some(), is_kept, "{keep_sessions:?}");
    }
}

#[tokio::test]
async fn the_policy_says_which_backups_are_kept() {
    let bench = Bench::new();
    let retention = RetentionPolicy { keep: 3, ..RetentionPolicy::default() };
    tick(&bench.start_with(SchedulePolicy { retention, ..SchedulePolicy::default() })).await;
    assert_eq!(bench.world().kept, [3]);
}

#[tokio::test]
async fn what_checks_find_fails_and_names_nobody() {
    let bench = Bench::new();
    bench.world().damaged = true;
    bench.world().check = Some(CheckOutcome::Bad { problems: vec!["users 7: total_points is 1".to_owned()] });
    tick(&bench.start()).await;
    let reason = |task| bench.record(task).failing.unwrap().reason;
    assert!(reason(Task::VerifyBackups).starts_with("backup daily_1 is damaged: 1 problems"));
    assert!(!reason(Task::VerifyBackups).contains("users 7"));
    assert_eq!(bench.world().drills.iter().map(BackupId::as_str).collect::<Vec<_>>(), ["daily_1"], "the newest");
    assert_eq!(reason(Task::Scrub), "the database is damaged: the check found 1 problems");
    // L27: it may be whole
    bench.world().check = Some(CheckOutcome::CouldNotCheck { reason: "it is locked".to_owned() });
    tick(&bench.start()).await;
    let reason = reason(Task::Scrub);
    assert!(reason.contains("could not be checked: it is locked") && !reason.contains("damaged"), "{reason}");
}

#[tokio::test]
async fn a_busy_store_is_asked_again_and_nothing_is_done_twice() {
    let bench = Bench::new();
    let scheduler = bench.start();
    bench.world().busy = 1;
    assert!(matches!(scheduler.tick().await, Err(StoreError::Busy { .. })));
    assert_eq!(bench.world().backups, []);
    assert_eq!(tick(&scheduler).await, Task::ALL[1..]);
    bench.clock.advance(TimeDelta::days(1));
    // when the first task is to be remembered
    bench.world().busy = 1;
    assert_eq!(tick(&scheduler).await.first(), Some(&Task::DailyBackup));
    assert_eq!(bench.record(Task::DailyBackup).done_at, Some(at(NOON)), "it could not be remembered");
    assert_eq!(tick(&scheduler).await, [], "this process knows all the same");
    assert_eq!(tick(&bench.start()).await, [Task::DailyBackup]);
}

#[tokio::test]
async fn a_scheduler_that_is_stopped_finishes_its_task_and_begins_no_other() {
    let bench = Bench::new();
    let (stop, stopped) = watch::channel(false);
    bench.world().stop = Some(stop);
    let scheduler = bench.start();
    tokio::spawn(async move { scheduler.run(stopped).await }).await.unwrap();
    assert_eq!(bench.world().backups, [(BackupKind::Daily, at(NOON))]);
    assert_eq!(bench.record(Task::DailyBackup).done_at, Some(at(NOON)));
    assert_eq!(bench.record(Task::WeeklyBackup).done_at, None);
    // nobody is left who could stop it
    let (_, stopped) = watch::channel(false);
    bench.start().run(stopped).await;
    assert_eq!(bench.world().backups[1..], [(BackupKind::Weekly, at(NOON))]);
}
