//! Answers a second, and how long each waits.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use trivia_domain::model::{BackupKind, Drift};
use trivia_domain::ports::{AnswerSubmission, BackupService, MaintenancePort, Repositories};
use trivia_infrastructure::{Database, Durability, SqliteBackups};

use super::Bench;
use super::data::{self, Field};
use super::peers::{rusqlite as raw, sea_orm};
use super::plot::{Line, Plot};
use super::report::Section;
use super::stats::{self, Run, Spread, Stopwatch, short};

/// Answers of one commit where the peer makes batches, as many as ours puts into one.
const BATCH: usize = 256;

/// Who counts answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Ours,
    OursDuringBackup,
    OneEach,
    Batches,
    PlainSeaOrm,
}

/// A row of runs: who, with which durability, for how many callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    peer: Peer,
    durability: Durability,
    callers: usize,
}

/// All that is measured.
struct Series(Vec<(Setting, Vec<Run>)>);

/// The answers of one run, each once.
#[derive(Clone)]
struct Tickets {
    field: Arc<Field>,
    next: Arc<AtomicU64>,
}

pub(crate) async fn measure(bench: &Bench) -> Section {
    let (template, field) = Field::fill(&bench.scratch, "answers.db", bench.plan.answering).await;
    let field = Arc::new(field);
    let mut series = Series(settings().into_iter().map(|setting| (setting, Vec::new())).collect());
    for round in 1..=bench.plan.rounds {
        eprintln!("  round {round}");
        for (setting, runs) in &mut series.0 {
            let path = bench.scratch.path("answers-run.db");
            data::copy(&template, &path);
            let before = answered(&path);
            let tickets = Tickets { field: Arc::clone(&field), next: Arc::default() };
            let (run, counted) = setting.run(&path, tickets, bench).await;
            assert_eq!(answered(&path) - before, counted, "{setting}: every success counts once");
            runs.push(run);
            if round == 1 {
                agree(*setting, &path).await;
            }
            data::remove(&path);
        }
    }
    data::remove(&template);
    tell(bench, &series)
}

/// One round of everything.
fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    for durability in [Durability::Full, Durability::Normal] {
        for callers in [1, 64, 256] {
            for peer in [Peer::Ours, Peer::OneEach, Peer::PlainSeaOrm] {
                settings.push(Setting { peer, durability, callers });
            }
        }
        settings.push(Setting { peer: Peer::Batches, durability, callers: 1 });
    }
    settings.push(Setting { peer: Peer::OursDuringBackup, durability: Durability::Full, callers: 256 });
    settings
}

impl Setting {
    /// One run, and how many answers it counted with those before the clock started.
    async fn run(self, path: &Path, tickets: Tickets, bench: &Bench) -> (Run, u64) {
        let time = bench.plan.time;
        // caches and statements are there before the clock starts, and ours stores what it had put off at first
        let warm_up = time / 2;
        match self.peer {
            Peer::Ours | Peer::OursDuringBackup => {
                let database = data::open(path, self.durability).await;
                let operation = {
                    let database = database.clone();
                    move || submit(database.clone(), tickets.clone())
                };
                let first = stats::tasks(self.callers, warm_up, operation.clone()).await;
                let backups = (self.peer == Peer::OursDuringBackup).then(|| Backups::start(&database, bench));
                let run = stats::tasks(self.callers, time, operation).await;
                if let Some(backups) = backups {
                    backups.stop().await;
                }
                data::close(&database).await;
                (run, first.done + run.done)
            }
            Peer::OneEach => {
                // one connection for all threads: connections of their own would wait for each other by sleeping
                let connection = Mutex::new(raw::open(path, self.durability));
                let operation = |(): &mut ()| {
                    let submission = tickets.take();
                    raw::answer(&mut connection.lock().expect("nobody panics"), &[submission]).is_ok()
                };
                let first = stats::threads(vec![(); self.callers], warm_up, operation);
                let run = stats::threads(vec![(); self.callers], time, operation);
                (run, first.done + run.done)
            }
            Peer::Batches => {
                let mut connection = raw::open(path, self.durability);
                let first = batches(&mut connection, &tickets, warm_up);
                let run = batches(&mut connection, &tickets, time);
                (run, first.done + run.done)
            }
            Peer::PlainSeaOrm => {
                let database = sea_orm::open(path, self.durability).await;
                let operation = {
                    let database = database.clone();
                    move || {
                        let (database, submission) = (database.clone(), tickets.take());
                        async move { sea_orm::answer(&database, submission).await.is_ok() }
                    }
                };
                let first = stats::tasks(self.callers, warm_up, operation.clone()).await;
                let run = stats::tasks(self.callers, time, operation).await;
                database.close().await.expect("the pool closes");
                (run, first.done + run.done)
            }
        }
    }
}

async fn submit(database: Database, tickets: Tickets) -> bool {
    database.play().submit_answer(tickets.take()).await.is_ok()
}

fn batches(connection: &mut Connection, tickets: &Tickets, time: Duration) -> Run {
    let (watch, mut done) = (Stopwatch::start(), 0);
    while watch.stop().0 < time {
        let batch: Vec<_> = (0..BATCH).map(|_| tickets.take()).collect();
        raw::answer(connection, &batch).expect("the answers count");
        done += BATCH as u64;
    }
    Run::of_batch(done, &watch)
}

impl Tickets {
    fn take(&self) -> AnswerSubmission {
        self.field.submission(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Backups one after the other, until they are stopped.
struct Backups {
    enough: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Backups {
    fn start(database: &Database, bench: &Bench) -> Self {
        let folder = bench.scratch.path("answers-backups");
        let (backups, enough) = (SqliteBackups::attached(database, folder.clone()), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&enough);
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                backups.create(BackupKind::Manual, "benchmark").await.expect("the backup is made");
            }
            std::fs::remove_dir_all(folder).expect("the backups can be removed");
        });
        Self { enough, task }
    }

    async fn stop(self) {
        self.enough.store(true, Ordering::Relaxed);
        self.task.await.expect("backups do not panic");
    }
}

/// Answers that a closed database has counted.
fn answered(path: &Path) -> u64 {
    Connection::open(path)
        .and_then(|connection| {
            connection.query_row("SELECT sum(questions_answered) FROM users", (), |row| row.get::<_, i64>(0))
        })
        .expect("it can be read")
        .unsigned_abs()
}

/// Makes sure that a peer has done what ours does: the library compares all numbers with the ledger.
async fn agree(setting: Setting, path: &Path) {
    let database = data::open(path, Durability::Full).await;
    let wrong = unexplained(&database).await;
    data::close(&database).await;
    assert!(wrong.is_empty(), "{setting}: {wrong:?}");
}

/// Numbers that differ from the ledger. Only players who would have got an achievement may differ.
pub(super) async fn unexplained(database: &Database) -> Vec<Drift> {
    let mut drift = database.verify().await.expect("it can be compared");
    let player = |drift: &Drift| drift.id.split('/').next().map(str::to_owned);
    let rewarded: HashSet<_> = drift.iter().filter(|drift| drift.table == "user_achievements").map(player).collect();
    drift.retain(|drift| !rewarded.contains(&player(drift)));
    drift
}

impl Series {
    fn of(&self, peer: Peer, durability: Durability, callers: usize) -> &[Run] {
        let wanted = Setting { peer, durability, callers };
        let found = self.0.iter().find(|(setting, _)| *setting == wanted);
        found.map(|(_, runs)| runs.as_slice()).expect("it was measured")
    }
}

fn tell(bench: &Bench, series: &Series) -> Section {
    use Durability::{Full, Normal};
    use Peer::{Batches, OneEach, Ours, OursDuringBackup, PlainSeaOrm};

    let mut section = Section::new("Answers");
    section.say(&format!(
        "{} players, 63 live sessions with one open question each, answers of random players. Ours: `submit_answer`. \
         *One each*: rusqlite with prepared statements that are kept and one `BEGIN IMMEDIATE` transaction for each \
         answer; its callers share one connection behind a mutex, since connections of their own wait for each other by \
         sleeping. *256 a commit*: the same in batches, by a single thread that need not answer anybody: the physical \
         limit. *Plain SeaORM*: a pool of five, `begin()`, `find_by_id` and `ActiveModel::update`. The peers check the \
         retry key, session, question and time and write ledger, user, tallies, three rankings and the question's \
         counter; they neither read nor give achievements, which ours does. \
         Before the clock starts, each runs for half as long, so that ours has to store what follows from earlier answers \
         while it takes new ones (`projection_delay`, 30 s, or 65,536 answers).",
        short(bench.plan.answering as f64)
    ));
    let rows: Vec<_> = series.0.iter().map(|(setting, runs)| setting.row(runs)).collect();
    section.table(
        &["who, durability, callers", "answers/s", "CPU us", "p50 us", "p99 us", "p99/p50", "errors of all tries"],
        &rows,
    );
    let throughput = |run: &Run| run.per_second;
    let versus = |peer, durability, callers| {
        Spread::ratio(series.of(Ours, durability, callers), series.of(peer, durability, callers), throughput)
    };
    let mut rows = Vec::new();
    for durability in [Full, Normal] {
        for callers in [1, 64, 256] {
            let limit = series.of(Ours, durability, callers).iter().zip(series.of(Batches, durability, 1));
            rows.push(vec![
                format!("{}, {callers}", name(durability)),
                versus(OneEach, durability, callers).to_string(),
                versus(PlainSeaOrm, durability, callers).to_string(),
                Spread::of(limit.map(|(ours, limit)| ours.per_second / limit.per_second)).to_string(),
            ]);
        }
    }
    section.say("Answers a second, ours against theirs:");
    section.table(&["durability, callers", "one each", "plain SeaORM", "256 a commit"], &rows);
    let line = |label: &str, peer| Line {
        label: label.to_owned(),
        points: [1, 64, 256]
            .map(|callers| (callers as u64, Spread::over(series.of(peer, Full, callers), Run::cost_us).median))
            .into(),
    };
    section.plot(Plot {
        name: "answers",
        title: "Answers, durability full: time for each",
        sizes: "callers",
        lines: vec![line("ours", Ours), line("rusqlite, one each", OneEach), line("plain SeaORM", PlainSeaOrm)],
    });

    section.target("answers/s, full, 256 callers, against rusqlite", Some(versus(OneEach, Full, 256)), 10.0);
    let cpu = Spread::ratio(series.of(OneEach, Full, 256), series.of(Ours, Full, 256), |run| run.cpu_us);
    section.target("CPU per answer, full, 256 callers, rusqlite / ours", Some(cpu), 5.0);
    section.target("answers/s, normal, 256 callers, against rusqlite", Some(versus(OneEach, Normal, 256)), 2.5);
    for (durability, target) in [(Full, 0.83), (Normal, 0.33)] {
        let p50 = Spread::ratio(series.of(OneEach, durability, 1), series.of(Ours, durability, 1), |run| run.p50_us);
        section.target(format!("p50, {}, 1 caller, rusqlite / ours", name(durability)), Some(p50), target);
    }
    let even = |peer| Spread::over(series.of(peer, Full, 256), |run| run.p50_us / run.p99_us);
    section.target("p50 / p99, full, 256 callers", Some(even(Ours)), 1.0 / 3.0);
    section.target("p50 / p99, full, 256 callers, during backups", Some(even(OursDuringBackup)), 1.0 / 3.0);
    section.target("answers/s, full, 64 callers, against plain SeaORM", Some(versus(PlainSeaOrm, Full, 64)), 20.0);
    section
}

impl Setting {
    fn row(&self, runs: &[Run]) -> Vec<String> {
        let over = |figure: fn(&Run) -> f64| Spread::over(runs, figure);
        let errors: u64 = runs.iter().map(|run| run.errors).sum();
        let tries = errors + runs.iter().map(|run| run.done).sum::<u64>();
        vec![
            self.to_string(),
            over(|run| run.per_second).to_string(),
            short(over(|run| run.cpu_us).median),
            short(over(|run| run.p50_us).median),
            short(over(|run| run.p99_us).median),
            short(over(|run| run.p99_us / run.p50_us).median),
            if errors == 0 { "0".to_owned() } else { format!("{:.0} %", errors as f64 * 100.0 / tries as f64) },
        ]
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = match self.peer {
            Peer::Ours => "ours",
            Peer::OursDuringBackup => "ours during backups",
            Peer::OneEach => "one each",
            Peer::Batches => "256 a commit",
            Peer::PlainSeaOrm => "plain SeaORM",
        };
        write!(f, "{peer}, {}, {}", name(self.durability), self.callers)
    }
}

const fn name(durability: Durability) -> &'static str {
    match durability {
        Durability::Full => "full",
        Durability::Normal => "normal",
    }
}
