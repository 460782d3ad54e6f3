use std::collections::BTreeMap;

use trivia_domain::StoreError;
use trivia_domain::memory::{ManualClock, MemoryStore, SeededRandom};
use trivia_domain::ports::{MockBackupService, MockMaintenancePort, PoolStats};
use trivia_infrastructure::{SchedulePolicy, SchedulerPorts};

use super::*;

/// Whether the schema is that of this program.
struct Schema(bool);

#[async_trait]
impl SchemaProbe for Schema {
    async fn is_current(&self) -> StoreResult<bool> {
        Ok(self.0)
    }
}

/// Never says anything.
struct Hangs;

#[async_trait]
impl SchemaProbe for Hangs {
    async fn is_current(&self) -> StoreResult<bool> {
        std::future::pending().await
    }
}

pub(crate) fn stats() -> DatabaseStats {
    DatabaseStats {
        users_count: 7,
        questions_count: 0,
        user_achievements_count: 0,
        weekly_rankings_count: 0,
        game_sessions_count: 0,
        database_size_bytes: 4096,
        database_size_mb: 0.0,
        schema_version: "m1".to_owned(),
        connection_pool_size: 5,
        max_pool_size: 5,
        error_count: 2,
        errors_by_kind: BTreeMap::from([("busy".to_owned(), 2)]),
        last_error_time: None,
        last_integrity_check: Some("2026-03-04T11:00:00Z".parse().unwrap()),
        last_backup: Some("2026-03-04T11:00:00Z".parse().unwrap()),
        auto_backup_enabled: true,
        journal_mode: "wal".to_owned(),
        synchronous_mode: 2,
        cache_size: 0,
        ledger_count: 0,
        rows: BTreeMap::from([("users".to_owned(), 7)]),
        questions_by_difficulty: BTreeMap::new(),
        questions_by_kind: BTreeMap::new(),
        questions_by_language: BTreeMap::new(),
        free_pages: 0,
        engine: "SQLite".to_owned(),
        pool: PoolStats { writers: 1, readers: 4, idle: 5, slow_operations: 0, busy_retries: 0 },
    }
}

fn check(status: HealthStatus) -> HealthReport {
    let (name, reason, recommendation) = ("backups".to_owned(), String::new(), String::new());
    HealthReport::of(vec![HealthCheck { name, status, reason, recommendation }])
}

fn busy() -> StoreError {
    StoreError::Busy { what: "trivia.db".to_owned() }
}

pub(crate) struct Bench {
    clock: Arc<ManualClock>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) site: Arc<Site>,
}

pub(crate) fn bench(maintenance: MockMaintenancePort, schema: bool) -> Bench {
    let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
    let (maintenance, schema) = (Arc::new(maintenance), Arc::new(Schema(schema)));
    let ports = SchedulerPorts {
        store: Arc::new(MemoryStore::new(clock.clone(), Arc::new(SeededRandom::new(1)))),
        maintenance: maintenance.clone(),
        backups: Arc::new(MockBackupService::new()),
        clock: clock.clone(),
        recovery: None,
    };
    let scheduler = Arc::new(Scheduler::new(ports, SchedulePolicy::default()));
    let (stop, stopped) = watch::channel(false);
    Bench { clock: clock.clone(), stop, site: Arc::new(Site::new(maintenance, schema, scheduler, clock, stopped)) }
}

async fn status(bench: &Bench, path: &str) -> u16 {
    bench.site.answer(path).await.status.as_u16()
}

#[tokio::test]
async fn the_process_is_alive_while_its_database_answers() {
    for (answers, expected) in [(true, 200), (false, 503)] {
        let mut maintenance = MockMaintenancePort::new();
        maintenance.expect_tasks().returning(move || if answers { Ok(Vec::new()) } else { Err(busy()) });
        assert_eq!(status(&bench(maintenance, true), "/healthz").await, expected);
    }
}

#[tokio::test]
async fn ready_is_who_has_the_schema_and_no_critical_health_and_does_not_end() {
    for (health, schema, expected) in [
        (HealthStatus::Healthy, true, 200),
        (HealthStatus::Warning, true, 200),
        (HealthStatus::Critical, true, 503),
        (HealthStatus::Healthy, false, 503),
    ] {
        let mut maintenance = MockMaintenancePort::new();
        maintenance.expect_health().returning(move || check(health));
        let bench = bench(maintenance, schema);
        let answer = bench.site.answer("/readyz").await;
        assert_eq!(answer.status.as_u16(), expected, "{}", answer.body);
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&body["ready"], body["checks"].as_array().unwrap().len()), (&(expected == 200).into(), 2));
        bench.stop.send(true).unwrap();
        assert_eq!(status(&bench, "/readyz").await, 503);
    }
}

#[tokio::test]
async fn a_database_that_hangs_is_given_up() {
    let mut maintenance = MockMaintenancePort::new();
    maintenance.expect_health().returning(|| check(HealthStatus::Healthy));
    let Ok(site) = Arc::try_unwrap(bench(maintenance, true).site) else { panic!("it is shared") };
    let (_stop, stop) = watch::channel(false);
    let site = Arc::new(Site { schema: Arc::new(Hangs), stop, patience: Duration::from_millis(1), ..site });
    let answer = tokio::time::timeout(Duration::from_secs(60), site.answer("/readyz")).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body.contains("in time"), "{}", answer.body);
}

#[tokio::test]
async fn figures_are_counted_at_most_once_a_minute() {
    let mut maintenance = MockMaintenancePort::new();
    maintenance.expect_stats().times(2).returning(|| Ok(stats()));
    let bench = bench(maintenance, true);
    let (first, second) = tokio::join!(bench.site.answer("/metrics"), bench.site.answer("/metrics"));
    assert_eq!(first, second);
    bench.clock.advance(TimeDelta::seconds(59));
    assert!(bench.site.answer("/metrics").await.body.contains("trivia_last_backup_age_seconds 3659\n"));
    bench.clock.advance(TimeDelta::seconds(1));
    assert_eq!(status(&bench, "/metrics").await, 200);
}

#[tokio::test]
async fn without_a_database_there_are_still_figures() {
    let mut maintenance = MockMaintenancePort::new();
    maintenance.expect_stats().returning(|| Err(busy()));
    let answer = bench(maintenance, true).site.answer("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("\ntrivia_database_up 0\n"), "{}", answer.body);
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let bench = bench(MockMaintenancePort::new(), true);
    for path in ["/healthz/", "/admin", "//metrics", ""] {
        assert_eq!(status(&bench, path).await, 404, "{path}");
    }
    assert_eq!(status(&bench, "/").await, 200);
}
