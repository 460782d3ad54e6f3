//! `cargo xtask faults`: does to a store what disks, machines and people do to it, and counts what is lost.
//!
//! A driven process (`drive.rs`) opens the library and works; `shim.c` stands between it and the file system; the
//! harness keeps what was acknowledged, refused and left open (`check.rs`) and looks at what is left. Each kind of
//! fault is a row.

mod check;
mod child;
mod controls;
mod damage;
mod disk;
mod drive;
mod kills;
mod lab;
mod matrix;
mod play;
mod points;
mod power;
mod report;
mod row;
mod services;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use trivia_domain::ports::RandomSource;
use trivia_infrastructure::SystemRandom;

use self::check::{Harm, Kind};
use self::lab::Lab;
use self::matrix::{Entry, Nature, matrix};
use self::report::{Outcome, Report};
use self::row::{Ran, Total};

#[derive(Parser)]
#[command(about = "Injects faults into trivia-store and counts what is lost")]
struct Args {
    #[command(subcommand)]
    drive: Option<Drive>,
    /// A sample of each row
    #[arg(long, conflicts_with = "deep")]
    quick: bool,
    /// As much as the time allows; writes the document
    #[arg(long)]
    deep: bool,
    /// Time for a deep run
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// Only this row; writes no document
    #[arg(long, value_name = "ROW")]
    only: Option<String>,
    /// Repeats the chance of an earlier run
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only this case of the row
    #[arg(long, value_name = "N", requires = "only")]
    case: Option<u64>,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the documents are
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    docs: PathBuf,
}

#[derive(Subcommand)]
enum Drive {
    /// The process that meets the faults
    #[command(hide = true)]
    Drive(drive::Args),
}

/// Harms of a row that are told in full.
const TOLD: usize = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Drive::Drive(args)) = &args.drive {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        runtime.block_on(drive::run(args));
        // as a service that is killed: nothing is closed that the operation has not closed
        std::process::exit(0);
    }
    let seed = args.seed.unwrap_or_else(|| SystemRandom.next_u64() >> 16);
    println!("seed {seed}");
    let lab = match Lab::new(seed) {
        Ok(lab) => lab,
        Err(error) => {
            eprintln!("error: the shim cannot be built: {error}\nhint: install a C compiler (`cc`)");
            return ExitCode::FAILURE;
        }
    };
    let mut rows: Vec<Entry> = matrix();
    if let Some(only) = &args.only {
        rows.retain(|row| row.name == only);
        if rows.is_empty() {
            let names: Vec<_> = matrix().iter().map(|row| row.name).collect();
            eprintln!("error: there is no row {only:?}\nhint: one of {}", names.join(", "));
            return ExitCode::FAILURE;
        }
    }
    let mut report = Report::new(&lab, args.deep);
    let started = Instant::now();
    let weights: u32 = rows.iter().map(|row| row.weight).sum();
    let mut spent = 0;
    for row in &mut rows {
        spent += row.weight;
        // what a row leaves is there for those after it
        let until = started + Duration::from_secs(args.minutes * 60) * spent / weights;
        let result = run(&lab, row, &args, until);
        println!("{}", report.line(&result));
        report.add(result);
    }
    println!("\n{}", report.summary());
    if args.deep && args.only.is_none() {
        report.write(&args.docs);
    }
    if let Some(file) = &args.json {
        std::fs::write(file, report.json()).expect("the figures can be written");
    }
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the cases of a row: all that there are, as many as are wanted, or as many as fit in the time.
fn run(lab: &Lab, entry: &mut Entry, args: &Args, until: Instant) -> Outcome {
    let started = Instant::now();
    let mut result = Outcome::of(entry);
    let total = match entry.row.prepare(lab) {
        Ok(total) => total,
        Err(reason) => {
            result.skipped = Some(reason.lines().next().unwrap_or_default().to_owned());
            return result;
        }
    };
    let most = if args.deep { entry.wanted } else { entry.quick };
    let (points, most) = match total {
        Total::Points(points) => (Some(points), most.min(points)),
        Total::Endless => (None, most),
    };
    result.points = points;
    let mut told = 0;
    for number in 0.. {
        let is_over = result.cases >= most || points.is_some_and(|points| number >= points);
        if is_over || (args.deep && Instant::now() > until && number > 0) {
            break;
        }
        let case = args.case.unwrap_or_else(|| spread(number, points, lab.seed));
        let ran = catch_unwind(AssertUnwindSafe(|| entry.row.run(lab, case)));
        let ran = ran.unwrap_or_else(|_| Ran {
            cases: 1,
            harms: vec![Harm::new(Kind::Manners, "the harness itself failed, see above")],
            what: "unknown".to_owned(),
        });
        let is_harmed = !ran.harms.is_empty();
        if is_harmed && told < TOLD && (entry.nature == Nature::Row || args.only.is_some()) {
            told += 1;
            println!("{}: case {case}: {}", entry.name, ran.what);
            for harm in ran.harms.iter().take(5) {
                println!("  {:?}: {}", harm.kind, harm.text);
            }
            println!("  again: cargo xtask faults --only {} --seed {} --case {case}", entry.name, lab.seed);
        }
        result.count(&ran);
        let is_caught = !args.deep && entry.nature == Nature::Control && is_harmed;
        if args.case.is_some() || is_caught {
            break;
        }
    }
    result.seconds = started.elapsed().as_secs_f64();
    result
}

/// The case that comes next: a part of all points is spread over all of them, and no point comes twice.
fn spread(number: u64, points: Option<u64>, seed: u64) -> u64 {
    let Some(points) = points.filter(|points| *points > 1) else { return number };
    let has_common = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a > 1
    };
    // about the golden section, without a common divisor
    let step = (points * 618 / 1000..).find(|step| *step > 0 && !has_common(*step, points)).unwrap_or(1);
    ((u128::from(seed % points) + u128::from(number) * u128::from(step)) % u128::from(points)) as u64
}
