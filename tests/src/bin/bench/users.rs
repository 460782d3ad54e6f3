//! One player by id, read by many at once.

use trivia_domain::ports::{Repositories, UserRepository};
use trivia_infrastructure::Durability;

use super::Bench;
use super::data::{self, Chance, user};
use super::peers::rusqlite as raw;
use super::report::Section;
use super::stats::{self, Run, Spread, short};

const CALLERS: usize = 16;

pub(crate) async fn measure(bench: &Bench) -> Section {
    let (number, time) = (bench.plan.users, bench.plan.time);
    let path = bench.scratch.players(number).await;
    let database = data::open(&path, Durability::Full).await;
    let connections = || (0..CALLERS).map(|_| raw::open(&path, Durability::Full)).collect::<Vec<_>>();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.plan.rounds {
        let (chance, shared) = (Chance::default(), database.clone());
        let find = move || {
            let (id, database) = (user(chance.up_to(number)), shared.clone());
            async move { UserRepository::find(database.users(), id).await.is_ok_and(|found| found.is_some()) }
        };
        stats::tasks(CALLERS, time / 10, find.clone()).await;
        ours.push(stats::tasks(CALLERS, time, find).await);

        let chance = Chance::default();
        let find = |connection: &mut rusqlite::Connection| {
            let id = user(chance.up_to(number)).get();
            raw::user(connection, id).is_ok_and(|found| found.is_some())
        };
        stats::threads(connections(), time / 10, find);
        theirs.push(stats::threads(connections(), time, find));
    }
    data::close(&database).await;

    let mut section = Section::new("A player by id");
    section.say(&format!(
        "{CALLERS} callers read random ones of {} players. Ours: `users().find`, with the default of four reading \
         connections. The peer: {CALLERS} threads, each with a connection of its own and a prepared statement.",
        short(number as f64)
    ));
    let row = |name: &str, runs: &[Run]| {
        assert!(runs.iter().all(|run| run.errors == 0), "{name}: every player is found");
        let over = |figure: fn(&Run) -> f64| Spread::over(runs, figure);
        vec![
            name.to_owned(),
            over(|run| run.per_second).to_string(),
            short(over(|run| run.cpu_us).median),
            short(over(|run| run.p50_us).median),
            short(over(|run| run.p99_us).median),
        ]
    };
    let rows = [row("ours", &ours), row("rusqlite", &theirs)];
    section.table(&["who", "reads/s", "CPU us", "p50 us", "p99 us"], &rows);
    let ratio = Spread::ratio(&ours, &theirs, |run| run.per_second);
    section.target(format!("user by id, {CALLERS} callers, against rusqlite"), Some(ratio), 0.25);
    section
}
