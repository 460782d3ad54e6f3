//! `cargo xtask bench`: what the library costs beside what others pay for the same.
//!
//! Each measurement is a file here. All of them run in one process, the peers in turns, so that a slow
//! moment of the machine meets all of them; what counts are ratios.

mod answers;
mod backup;
mod data;
mod import;
mod memory;
mod peers;
mod picks;
mod plot;
mod ranks;
mod report;
mod server;
mod stats;
mod users;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use self::data::Scratch;
use self::report::Report;

#[derive(Parser)]
#[command(about = "Measures trivia-store beside its peers")]
struct Args {
    /// Tiny sizes: only checks that everything works, and writes no documents
    #[arg(long)]
    quick: bool,
    /// Write machine and targets to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only this measurement; writes no documents
    #[arg(long, value_name = "NAME")]
    only: Option<Measurement>,
    /// Where the documents are
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    docs: PathBuf,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    Answers,
    Users,
    Ranks,
    Picks,
    /// Answers, ranks and picks on PostgreSQL
    Server,
    Import,
    /// Backup and opening
    Backup,
    Memory,
}

/// How much is measured.
struct Plan {
    /// How often everything is measured.
    rounds: usize,
    /// How long one run takes.
    time: Duration,
    /// Players on the boards, and questions to pick from.
    sizes: [u64; 3],
    /// Players who are read by id.
    users: u64,
    /// Players who answer.
    answering: u64,
    /// Questions that are imported.
    imported: u64,
    /// Players of the simulation whose memory is measured.
    simulated: Option<u64>,
}

const FULL: Plan = Plan {
    rounds: 5,
    time: Duration::from_secs(2),
    sizes: [10_000, 100_000, 1_000_000],
    users: 100_000,
    answering: 10_000,
    imported: 200_000,
    simulated: Some(1_000_000),
};

const QUICK: Plan = Plan {
    rounds: 2,
    time: Duration::from_millis(100),
    sizes: [300, 600, 1_200],
    users: 600,
    answering: 1_000,
    imported: 1_000,
    simulated: None,
};

/// What the measurements share.
struct Bench {
    plan: Plan,
    scratch: Scratch,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let bench = Bench { plan: if args.quick { QUICK } else { FULL }, scratch: Scratch::new() };
    let mut report = Report::new(&bench.scratch.path(""));
    for measurement in Measurement::value_variants() {
        if args.only.is_some_and(|only| only != *measurement) {
            continue;
        }
        eprintln!("{}", measurement.to_possible_value().expect("none is hidden").get_name());
        match measurement {
            Measurement::Answers => report.add(answers::measure(&bench).await),
            Measurement::Users => report.add(users::measure(&bench).await),
            Measurement::Ranks => report.add(ranks::measure(&bench).await),
            Measurement::Picks => report.add(picks::measure(&bench).await),
            Measurement::Server => report.add(server::measure(&bench).await),
            Measurement::Import => report.add(import::measure(&bench).await),
            Measurement::Backup => report.add(backup::measure(&bench).await),
            Measurement::Memory => report.add(memory::measure(&bench)),
        }
    }
    let how = how(&bench.plan);
    println!("{}", report.markdown(&how, "benchmarks"));
    if !args.quick && args.only.is_none() {
        report.write(&how, &args.docs);
    }
    if let Some(file) = args.json {
        std::fs::write(&file, report.json()).expect("the results can be written");
    }
}

/// What all measurements have in common, in words.
fn how(plan: &Plan) -> String {
    format!(
        "Everything runs in one process, the peers in turns, {} rounds, {} s for each run of repeated operations. Figures \
         are medians of the rounds with the smallest and largest in brackets; ratios are made round by round, since what \
         disturbs a round disturbs all who run in it, and higher is better for us. CPU is the processor time of the whole \
         process, of all its threads, user and system, for each operation that succeeded (with Redis: of client and \
         server). All peers have the same schema (ours), the same rows, the same pragmas and the same durability. \
         `full` is `synchronous=FULL`, which survives a loss of power, `normal` is `synchronous=NORMAL`. Ours is called \
         through the public ports only.\n",
        plan.rounds,
        plan.time.as_secs_f64()
    )
}
