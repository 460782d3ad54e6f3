//! The same on PostgreSQL: answers, ranks and picks, beside ours on a file, and answers beside plain SeaORM.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;
use trivia_domain::ports::{MaintenancePort, Repositories};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, Durability, GameCopy, SystemClock, SystemRandom};
use trivia_tests::postgres::{ScratchDatabase, Server};

use super::Bench;
use super::answers::unexplained;
use super::data::{self, Chance, Field};
use super::peers::sea_orm;
use super::picks::pick;
use super::ranks::{QUESTIONS, Question};
use super::report::Section;
use super::stats::{self, Run, Spread, short};

/// Callers who answer at a time.
const CALLERS: [usize; 3] = [1, 64, 256];
/// Sizes of boards and of sets of questions: a million rows would take longer to copy than to measure.
const SIZES: usize = 2;

/// Puts a game that is in a file on a server as well.
async fn copy(server: &'static Server, path: &Path) -> ScratchDatabase {
    let scratch = server.database().await;
    let file = DatabaseOptions::new(DatabaseUrl::of_file(path));
    GameCopy::new(file, scratch.options()).run().await.expect("the game can be copied");
    scratch
}

async fn open(scratch: &ScratchDatabase) -> Database {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    Database::open(scratch.options(), clock, random).await.expect("the copy can be opened")
}

/// One game in a file and on a server.
struct Both {
    file: Database,
    server: Database,
    _scratch: ScratchDatabase,
}

/// What was measured on both, round by round.
#[derive(Default)]
struct Pair {
    file: Vec<Run>,
    server: Vec<Run>,
}

impl Both {
    async fn open(server: &'static Server, path: &Path) -> Self {
        let scratch = copy(server, path).await;
        Self { file: data::open(path, Durability::Full).await, server: open(&scratch).await, _scratch: scratch }
    }

    async fn close(self) {
        for database in [&self.file, &self.server] {
            assert_eq!(database.verify().await.expect("it can be compared"), []);
            data::close(database).await;
        }
    }
}

impl Pair {
    fn row(&self, name: String) -> Vec<String> {
        assert!(self.file.iter().chain(&self.server).all(|run| run.errors == 0), "{name}: nothing fails");
        vec![
            name,
            Spread::over(&self.file, Run::cost_us).to_string(),
            Spread::over(&self.server, Run::cost_us).to_string(),
            short(Spread::over(&self.server, |run| run.cpu_us).median),
            Spread::ratio(&self.server, &self.file, Run::cost_us).to_string(),
        ]
    }
}

pub(crate) async fn measure(bench: &Bench) -> Section {
    let mut section = Section::new("On PostgreSQL");
    let Some(server) = Server::shared() else {
        section.say("There is no PostgreSQL here, so it was skipped.");
        return section;
    };
    section.say(
        "The same calls on a server of this machine, over a Unix socket, with its default settings (`fsync` and \
         `synchronous_commit` on). The games were copied from the files by `trivia-db copy`. A file is read from memory \
         and by the process itself; each question to a server is a trip to another process, and other hosts may ask it, \
         too. CPU is that of our process alone. *Plain SeaORM* is the peer of the answers above on a copy of the game, \
         with row locks; it does not count scores, which ours does for the ranks.",
    );
    answers(bench, server, &mut section).await;
    let mut rows = ranks(bench, server).await;
    rows.extend(picks(bench, server).await);
    section.table(&["question", "file us", "PostgreSQL us", "CPU us", "PostgreSQL / file"], &rows);
    section
}

async fn answers(bench: &Bench, server: &'static Server, section: &mut Section) {
    let (path, field) = Field::fill(&bench.scratch, "server-answers.db", bench.plan.answering).await;
    let field = Arc::new(field);
    // each game counts its own: they are the same answers in each
    let [in_file, on_server, by_peer] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
    let plain_game = copy(server, &path).await;
    let plain = sea_orm::open_on_a_server(&plain_game.url()).await;
    let both = Both::open(server, &path).await;
    let submit_plainly = || {
        let (plain, field, next) = (plain.clone(), Arc::clone(&field), Arc::clone(&by_peer));
        move || {
            let (plain, submission) = (plain.clone(), field.submission(next.fetch_add(1, Ordering::Relaxed)));
            async move { sea_orm::answer(&plain, submission).await.is_ok() }
        }
    };
    let submit = |database: &Database, next: &Arc<AtomicU64>| {
        let (database, field, next) = (database.clone(), Arc::clone(&field), Arc::clone(next));
        move || {
            let (database, submission) = (database.clone(), field.submission(next.fetch_add(1, Ordering::Relaxed)));
            async move { database.play().submit_answer(submission).await.is_ok() }
        }
    };
    let mut runs = CALLERS.map(|callers| (callers, Pair::default(), Vec::new()));
    for round in 1..=bench.plan.rounds {
        eprintln!("  answers, round {round}");
        for (callers, pair, plainly) in &mut runs {
            let games = [(&both.file, &in_file, &mut pair.file), (&both.server, &on_server, &mut pair.server)];
            for (database, next, runs) in games {
                stats::tasks(*callers, bench.plan.time / 2, submit(database, next)).await;
                runs.push(stats::tasks(*callers, bench.plan.time, submit(database, next)).await);
            }
            stats::tasks(*callers, bench.plan.time / 2, submit_plainly()).await;
            plainly.push(stats::tasks(*callers, bench.plan.time, submit_plainly()).await);
        }
    }
    both.close().await;
    plain.close().await.expect("the pool closes");
    let mut wrong = unexplained(&open(&plain_game).await).await;
    // a server has no triggers that count scores, and the peer leaves that out
    wrong.retain(|drift| drift.table != "score_counts");
    assert!(wrong.is_empty(), "plain SeaORM: {wrong:?}");
    data::remove(&path);
    let rows: Vec<_> = runs.iter().map(|(callers, pair, plainly)| answer_row(*callers, pair, plainly)).collect();
    section.table(
        &[
            "callers",
            "file answers/s",
            "PostgreSQL answers/s",
            "CPU us",
            "p50 us",
            "p99 us",
            "PostgreSQL / file",
            "plain SeaORM answers/s",
            "PostgreSQL / plain SeaORM",
        ],
        &rows,
    );
}

fn answer_row(callers: usize, Pair { file, server }: &Pair, plainly: &[Run]) -> Vec<String> {
    assert!(file.iter().chain(server).chain(plainly).all(|run| run.errors == 0), "all answers count");
    let over = |figure: fn(&Run) -> f64| short(Spread::over(server, figure).median);
    vec![
        callers.to_string(),
        Spread::over(file, |run| run.per_second).to_string(),
        Spread::over(server, |run| run.per_second).to_string(),
        over(|run| run.cpu_us),
        over(|run| run.p50_us),
        over(|run| run.p99_us),
        Spread::ratio(server, file, |run| run.per_second).to_string(),
        Spread::over(plainly, |run| run.per_second).to_string(),
        Spread::ratio(server, plainly, |run| run.per_second).to_string(),
    ]
}

async fn ranks(bench: &Bench, server: &'static Server) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for number in &bench.plan.sizes[..SIZES] {
        eprintln!("  ranks of {number}");
        let both = Both::open(server, &bench.scratch.players(*number).await).await;
        let chance = Chance::default();
        let mut runs = QUESTIONS.map(|question| (question, Pair::default()));
        for _ in 0..bench.plan.rounds {
            for (question, pair) in &mut runs {
                let ask = |question: Question, database: &Database| {
                    let player = chance.up_to(*number);
                    Handle::current().block_on(question.ask_ours(database, &bench.scratch, player))
                };
                pair.measure(bench, &both, |database| ask(*question, database));
            }
        }
        both.close().await;
        let name = |question: Question| format!("{}, {} players", question.name(), short(*number as f64));
        rows.extend(runs.iter().map(|(question, pair)| pair.row(name(*question))));
    }
    rows
}

async fn picks(bench: &Bench, server: &'static Server) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for number in &bench.plan.sizes[..SIZES] {
        eprintln!("  picks of {number}");
        let both = Both::open(server, &bench.scratch.questions(*number).await).await;
        let (chance, mut pair) = (Chance::default(), Pair::default());
        for _ in 0..bench.plan.rounds {
            pair.measure(bench, &both, |database| Handle::current().block_on(pick(database, *number, &chance)));
        }
        both.close().await;
        rows.push(pair.row(format!("pick of {} questions", short(*number as f64))));
    }
    rows
}

impl Pair {
    /// One round for one caller, on this thread.
    fn measure(&mut self, bench: &Bench, both: &Both, ask: impl Fn(&Database) -> bool) {
        let time = bench.plan.time / 4;
        tokio::task::block_in_place(|| {
            for (database, runs) in [(&both.file, &mut self.file), (&both.server, &mut self.server)] {
                stats::alone(None, time / 10, || ask(database));
                runs.push(stats::alone(None, time, || ask(database)));
            }
        });
    }
}
