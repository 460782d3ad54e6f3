//! Ten questions by chance, by the number of questions.

use tokio::runtime::Handle;
use trivia_domain::model::QuestionId;
use trivia_domain::ports::{PickRequest, QuestionFilter, RandomSource, Repositories};
use trivia_infrastructure::{Database, Durability};

use super::Bench;
use super::data::{self, Chance};
use super::peers::rusqlite as raw;
use super::plot::{Line, Plot};
use super::report::Section;
use super::stats::{self, Run, Spread, short};

const PICKED: u32 = 10;
const EXCLUDED: usize = 200;

/// Questions of one size, and what was measured on them.
struct Sized {
    number: u64,
    database: Database,
    peer: rusqlite::Connection,
    ours: Vec<Run>,
    theirs: Vec<Run>,
}

pub(crate) async fn measure(bench: &Bench) -> Section {
    let mut sizes = Vec::new();
    for number in bench.plan.sizes {
        let path = bench.scratch.questions(number).await;
        sizes.push(Sized {
            number,
            database: data::open(&path, Durability::Full).await,
            peer: raw::open(&path, Durability::Full),
            ours: Vec::new(),
            theirs: Vec::new(),
        });
    }
    for round in 1..=bench.plan.rounds {
        eprintln!("  round {round}");
        for sized in &mut sizes {
            sized.measure(bench);
        }
    }
    for sized in &sizes {
        data::close(&sized.database).await;
    }
    tell(&sizes)
}

impl Sized {
    fn measure(&mut self, bench: &Bench) {
        let Self { number, database, peer, ours, theirs } = self;
        let (number, chance, time) = (*number, Chance::default(), bench.plan.time / 2);
        let pick = || Handle::current().block_on(pick(database, number, &chance));
        tokio::task::block_in_place(|| {
            stats::alone(None, time / 10, pick);
            ours.push(stats::alone(None, time, pick));
        });
        theirs.push(stats::alone(None, time, || {
            let excluded: Vec<_> = (0..EXCLUDED).map(|_| chance.up_to(number).cast_signed()).collect();
            raw::pick(peer, &excluded).is_ok_and(|picked| picked == PICKED as usize)
        }));
    }
}

/// One pick by ours of so many questions.
pub(crate) async fn pick(database: &Database, number: u64, chance: &Chance) -> bool {
    let id = |_| QuestionId::try_from(chance.up_to(number)).expect("small numbers are ids");
    let request = PickRequest {
        filter: QuestionFilter::default(),
        count: PICKED,
        exclude: (0..EXCLUDED).map(id).collect(),
        seed: chance.next_u64(),
        scope: None,
    };
    database.questions().pick(&request).await.is_ok_and(|picked| picked.len() == PICKED as usize)
}

fn tell(sizes: &[Sized]) -> Section {
    let mut section = Section::new("Random questions");
    section.say(&format!(
        "One caller picks {PICKED} questions and excludes {EXCLUDED} random ones. Ours: `questions().pick`. The peer: \
         `ORDER BY RANDOM() LIMIT 10` through rusqlite."
    ));
    let mut rows = Vec::new();
    for sized in sizes {
        let Sized { number, ours, theirs, .. } = sized;
        assert!(ours.iter().chain(theirs).all(|run| run.errors == 0), "questions are picked");
        rows.push(vec![
            short(*number as f64),
            Spread::over(ours, Run::cost_us).to_string(),
            short(Spread::over(ours, |run| run.cpu_us).median),
            Spread::over(theirs, Run::cost_us).to_string(),
            short(Spread::over(theirs, |run| run.cpu_us).median),
            Spread::ratio(theirs, ours, Run::cost_us).to_string(),
        ]);
    }
    section.table(&["questions", "ours us", "CPU us", "ORDER BY RANDOM() us", "CPU us", "theirs / ours"], &rows);

    let (smallest, largest) = (&sizes[0], sizes.last().expect("there are sizes"));
    let growth = Spread::ratio(&smallest.ours, &largest.ours, Run::cost_us);
    section.target("pick, cost with fewest / with most questions", Some(growth), 0.67);
    let ratio = Spread::ratio(&largest.theirs, &largest.ours, Run::cost_us);
    let name = format!("pick of {} questions, ORDER BY RANDOM() / ours", short(largest.number as f64));
    section.target(name, Some(ratio), 100.0);
    let line = |label: &str, runs: fn(&Sized) -> &[Run]| Line {
        label: label.to_owned(),
        points: sizes.iter().map(|sized| (sized.number, Spread::over(runs(sized), Run::cost_us).median)).collect(),
    };
    section.plot(Plot {
        name: "picks",
        title: "Ten random questions: cost of one pick",
        sizes: "questions",
        lines: vec![line("ours", |sized| &sized.ours), line("ORDER BY RANDOM()", |sized| &sized.theirs)],
    });
    section
}
