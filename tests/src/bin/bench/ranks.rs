//! Leaderboards: a rank, the top, the neighbours, a page, by the number of players.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use trivia_domain::model::Board;
use trivia_domain::ports::Repositories;
use trivia_infrastructure::{Database, Durability};

use super::Bench;
use super::data::{self, Chance, Scratch, user};
use super::peers::redis::Redis;
use super::plot::{Line, Plot};
use super::report::Section;
use super::stats::{self, Run, Spread, short};

const RADIUS: u32 = 5;
const TOP: u32 = 10;
const PAGE: u32 = 50;

/// What is asked of a board.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Rank,
    RankOfTheWeek,
    Top,
    Around,
    Page,
}

pub(crate) const QUESTIONS: [Question; 5] =
    [Question::Rank, Question::RankOfTheWeek, Question::Top, Question::Around, Question::Page];

impl Question {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rank => "rank",
            Self::RankOfTheWeek => "rank of this week",
            Self::Top => "top 10",
            Self::Around => "around me",
            Self::Page => "page of 50",
        }
    }

    /// Asks ours about a random player.
    pub(crate) async fn ask_ours(self, database: &Database, scratch: &Scratch, player: u64) -> bool {
        let (rankings, id) = (database.rankings(), user(player));
        match self {
            Self::Rank => rankings.standing(Board::AllTime, id).await.is_ok_and(|found| found.is_some()),
            Self::RankOfTheWeek => rankings.standing(scratch.week(), id).await.is_ok_and(|found| found.is_some()),
            Self::Top => rankings.page(Board::AllTime, None, TOP).await.is_ok(),
            Self::Around => {
                rankings.around(Board::AllTime, id, RADIUS).await.is_ok_and(|entries| entries.len() > RADIUS as usize)
            }
            Self::Page => {
                let after = scratch.player(player).cursor();
                rankings.page(Board::AllTime, Some(after), PAGE).await.is_ok()
            }
        }
    }

    /// Asks Redis the same.
    fn ask_redis(self, redis: &mut Redis, board: &str, player: u64) -> bool {
        match self {
            Self::Rank | Self::RankOfTheWeek => redis.rank(board, player).is_ok_and(|found| found.is_some()),
            Self::Top => redis.range(board, 0, i64::from(TOP) - 1).is_ok(),
            Self::Around => redis.around(board, player, RADIUS.into()).is_ok_and(|found| !found.is_empty()),
            Self::Page => {
                // the number of a random player is as good as a random place
                let first = i64::try_from(player).expect("a small number");
                redis.range(board, first, first + i64::from(PAGE) - 1).is_ok()
            }
        }
    }
}

/// A board of one size, and what was measured on it.
struct Sized {
    number: u64,
    database: Database,
    board: String,
    /// Microseconds of the first question after opening.
    first: f64,
    runs: Vec<(Question, Vec<Run>, Vec<Run>)>,
}

pub(crate) async fn measure(bench: &Bench) -> Section {
    let mut redis = Redis::start(&bench.scratch.path(""));
    let mut boards = Vec::new();
    for number in bench.plan.sizes {
        let path = bench.scratch.players(number).await;
        let board = format!("board-{number}");
        if let Some(redis) = &mut redis {
            let entries = (1..=number).map(|id| (id, bench.scratch.player(id).points.get()));
            redis.fill(&board, entries).expect("the board can be written");
        }
        let database = data::open(&path, Durability::Full).await;
        let started = Instant::now();
        assert!(Question::Rank.ask_ours(&database, &bench.scratch, number / 2).await, "there is such a player");
        let first = started.elapsed().as_secs_f64() * 1e6;
        let runs = QUESTIONS.map(|question| (question, Vec::new(), Vec::new())).into();
        boards.push(Sized { number, database, board, first, runs });
    }
    for round in 1..=bench.plan.rounds {
        eprintln!("  round {round}");
        for board in &mut boards {
            board.measure(&mut redis, bench);
        }
    }
    for board in &boards {
        data::close(&board.database).await;
    }
    tell(&boards, redis.is_some())
}

impl Sized {
    /// One round of all questions, ours and Redis in turns.
    fn measure(&mut self, redis: &mut Option<Redis>, bench: &Bench) {
        let Self { number, database, board, runs, .. } = self;
        let (database, scratch, chance) = (&*database, &bench.scratch, Chance::default());
        let time = bench.plan.time / 4;
        for (question, ours, theirs) in runs {
            let question = *question;
            let ask = || {
                let player = chance.up_to(*number);
                // one caller, on this thread, as for Redis
                Handle::current().block_on(question.ask_ours(database, scratch, player))
            };
            tokio::task::block_in_place(|| {
                stats::alone(None, time / 10, &ask);
                ours.push(stats::alone(None, time, &ask));
            });
            if let Some(redis) = redis {
                let server = redis.process();
                let mut ask = || question.ask_redis(redis, board, chance.up_to(*number));
                stats::alone(None, Duration::from_millis(10), &mut ask);
                theirs.push(stats::alone(Some(server), time, ask));
            }
        }
    }
}

fn tell(boards: &[Sized], with_redis: bool) -> Section {
    let mut section = Section::new("Leaderboards");
    section.say(
        "One caller asks about random players. Ours: `rankings().standing`, `page`, `around` (radius 5), and `page` with a \
         cursor, with ranks, points, answers, accuracy and streak of each entry. Redis, over loopback TCP and without \
         persistence: `ZREVRANK`, `ZREVRANGE 0 9`, `ZREVRANK` and `ZREVRANGE`, `ZREVRANGE` of 50 from a random place, \
         with scores only.",
    );
    if !with_redis {
        section.say("There is no `redis-server` here, so Redis was skipped.");
    }
    let cost = |runs: &[Run]| Spread::over(runs, Run::cost_us);
    let mut rows = Vec::new();
    for board in boards {
        for (question, ours, theirs) in &board.runs {
            assert!(ours.iter().chain(theirs).all(|run| run.errors == 0), "{}: all are answered", question.name());
            rows.push(vec![
                format!("{}, {} players", question.name(), short(board.number as f64)),
                cost(ours).to_string(),
                short(Spread::over(ours, |run| run.cpu_us).median),
                cost(theirs).to_string(),
                short(Spread::over(theirs, |run| run.cpu_us).median),
                Spread::ratio(theirs, ours, Run::cost_us).to_string(),
            ]);
        }
    }
    section.table(&["question", "ours us", "CPU us", "Redis us", "CPU us", "Redis / ours"], &rows);

    let first: Vec<_> = boards
        .iter()
        .map(|board| format!("{} us with {} players", short(board.first), short(board.number as f64)))
        .collect();
    section.say(&format!("The first rank after opening is counted by the database: {}.", first.join(", ")));

    let (smallest, largest) = (&boards[0], boards.last().expect("there are sizes"));
    for (at, (question, ours, theirs)) in largest.runs.iter().enumerate() {
        let ratio = with_redis.then(|| Spread::ratio(theirs, ours, Run::cost_us));
        let name = format!("{} of {} players, Redis / ours", question.name(), short(largest.number as f64));
        section.target(name, ratio, 1.0);
        if *question == Question::Rank {
            let growth = Spread::ratio(&smallest.runs[at].1, ours, Run::cost_us);
            section.target("rank, cost with fewest / with most players", Some(growth), 0.5);
        }
    }
    section.plot(Plot {
        name: "ranks",
        title: "Leaderboards: cost of one question",
        sizes: "players",
        lines: lines(boards, with_redis),
    });
    section
}

fn lines(boards: &[Sized], with_redis: bool) -> Vec<Line> {
    let line = |label: String, points: &dyn Fn(&Sized) -> f64| Line {
        label,
        points: boards.iter().map(|board| (board.number, points(board))).collect(),
    };
    let median = |runs: &[Run]| Spread::over(runs, Run::cost_us).median;
    let mut lines: Vec<_> = QUESTIONS
        .iter()
        .enumerate()
        .filter(|(_, question)| **question != Question::RankOfTheWeek)
        .map(|(at, question)| line(format!("ours: {}", question.name()), &|board| median(&board.runs[at].1)))
        .collect();
    if with_redis {
        lines.push(line("Redis: rank".to_owned(), &|board| median(&board.runs[0].2)));
        lines.push(line("Redis: page of 50".to_owned(), &|board| median(&board.runs[4].2)));
    }
    lines
}
