//! A backup of a large database while answers are counted, and opening it.

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use trivia_domain::model::BackupKind;
use trivia_domain::ports::{BackupService, Repositories};
use trivia_infrastructure::{Database, Durability, SqliteBackups};

use super::Bench;
use super::data::{self, Field};
use super::report::Section;
use super::stats::{self, Run, Spread, Stopwatch, short};

/// Callers whose answers are counted meanwhile.
const CALLERS: usize = 16;
/// Longest time that opening may take.
const OPENING: Duration = Duration::from_millis(100);

pub(crate) async fn measure(bench: &Bench) -> Section {
    let players = *bench.plan.sizes.last().expect("there are sizes");
    let path = bench.scratch.players(players).await;
    let database = data::open(&path, Durability::Full).await;
    let load = Load { field: Arc::new(Field::prepare(&database, players).await), next: Arc::default() };
    let (copy, folder) = (bench.scratch.path("backup-copy.db"), bench.scratch.path("backups"));
    let backups = SqliteBackups::attached(&database, folder.clone());
    // the first answers find a cold cache
    load.run_for(&database, bench.plan.time).await;
    let (mut idle, mut during, mut copying) = (Vec::new(), Vec::new(), Vec::new());
    let (mut copies, mut made) = (Vec::new(), Vec::new());
    for round in 1..=bench.plan.rounds {
        eprintln!("  round {round}");
        idle.push(load.run_for(&database, bench.plan.time).await);

        let (from, to) = (path.clone(), copy.clone());
        let (run, copied) = load
            .run_during(&database, async move {
                let copied = spawn_blocking(move || {
                    let status = Command::new("cp").arg("--reflink=never").arg(from).arg(to).status();
                    status.expect("cp starts").success()
                });
                assert!(copied.await.expect("it does not panic"), "cp copies the file");
            })
            .await;
        copying.push(run);
        copies.push(copied);
        // what is still to be written must not disturb the next one
        File::open(&copy).and_then(|file| file.sync_all()).expect("it can be flushed");
        data::remove(&copy);

        let service = backups.clone();
        let (run, backed_up) = load
            .run_during(&database, async move {
                service.create(BackupKind::Manual, "benchmark").await.expect("the backup is made");
            })
            .await;
        during.push(run);
        made.push(backed_up);
        fs::remove_dir_all(&folder).expect("the backups can be removed");
    }
    data::close(&database).await;
    let mut opened = Vec::new();
    for _ in 0..bench.plan.rounds * 4 {
        let watch = Stopwatch::start();
        let database = data::open(&path, Durability::Full).await;
        opened.push(watch.stop().0);
        data::close(&database).await;
    }
    let bytes = fs::metadata(&path).expect("it is there").len();

    let seconds = |durations: &[Duration]| Spread::of(durations.iter().map(Duration::as_secs_f64));
    let mut section = Section::new("Backup and opening");
    section.say(&format!(
        "A database of {} MB ({} players) in which {CALLERS} callers answer without a break, durability `full`. Ours: \
         `BackupService::create`, which copies, flushes, verifies and lists. The peer: `cp` of the file, which does none of \
         the rest, under the same load.",
        short(bytes as f64 / 1e6),
        short(players as f64)
    ));
    let row = |name: &str, took: Option<Spread>, runs: &[Run]| {
        vec![
            name.to_owned(),
            took.map_or_else(|| "-".to_owned(), |took| took.to_string()),
            Spread::over(runs, |run| run.per_second).to_string(),
            short(Spread::over(runs, |run| run.p50_us).median),
            Spread::over(runs, |run| run.p99_us).to_string(),
        ]
    };
    let rows = [
        row("idle", None, &idle),
        row("cp", Some(seconds(&copies)), &copying),
        row("backup", Some(seconds(&made)), &during),
    ];
    section.table(&["meanwhile", "seconds", "answers/s", "p50 us", "p99 us"], &rows);
    let opening = Spread::of(opened.iter().map(|took| took.as_secs_f64() * 1e3));
    section.say(&format!("Opening it takes {opening} ms (its first pages are in memory)."));

    let against = copies.iter().zip(&made).map(|(copied, made)| copied.as_secs_f64() / made.as_secs_f64());
    section.target("backup during answers, cp / ours", Some(Spread::of(against)), 1.0 / 3.0);
    let stall = Spread::ratio(&idle, &during, |run| run.p99_us);
    section.target("p99 of answers, idle / during a backup", Some(stall), 0.67);
    let opening = Spread::of(opened.iter().map(|took| OPENING.as_secs_f64() / took.as_secs_f64()));
    section.target("opening, 100 ms / ours", Some(opening), 1.0);
    section
}

/// Answers that go on over all runs.
#[derive(Clone)]
struct Load {
    field: Arc<Field>,
    next: Arc<AtomicU64>,
}

impl Load {
    async fn run_for(&self, database: &Database, time: Duration) -> Run {
        let operation = self.operation(database);
        let run = stats::tasks(CALLERS, time, operation).await;
        assert_eq!(run.errors, 0, "all answers count");
        run
    }

    /// Answers while something else is done, and how long that took.
    async fn run_during(
        &self,
        database: &Database,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> (Run, Duration) {
        let over = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&over);
        let work = tokio::spawn(async move {
            let started = Instant::now();
            work.await;
            done.store(true, Ordering::Relaxed);
            started.elapsed()
        });
        let run = stats::tasks_while(CALLERS, move || !over.load(Ordering::Relaxed), self.operation(database)).await;
        (run, work.await.expect("it does not panic"))
    }

    fn operation(&self, database: &Database) -> impl Fn() -> BoxedAnswer + Clone + Send + 'static {
        let (load, database) = (self.clone(), database.clone());
        move || {
            let (submission, database) =
                (load.field.submission(load.next.fetch_add(1, Ordering::Relaxed)), database.clone());
            Box::pin(async move { database.play().submit_answer(submission).await.is_ok() })
        }
    }
}

type BoxedAnswer = std::pin::Pin<Box<dyn Future<Output = bool> + Send>>;
