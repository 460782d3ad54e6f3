//! The most memory that a program with very many players needs, and an import of very many questions.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::Bench;
use super::report::Section;
use super::stats::short;

/// Answers that are given: few, since the players are what is asked about.
const ANSWERS: u64 = 10_000;
/// Questions that are imported.
const QUESTIONS: u64 = 500_000;
/// How often the highest mark is read: it only grows, so little is missed at the end.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn measure(bench: &Bench) -> Section {
    let mut section = Section::new("Memory");
    let program = std::env::current_exe().expect("this program has a path").with_file_name("trivia-db");
    let Some(players) = bench.plan.simulated.filter(|_| program.exists()) else {
        section.say("Skipped: it needs the full sizes and the program `trivia-db`.");
        return section;
    };
    let command = |database: &str, args: &[&str]| {
        let mut command = Command::new(&program);
        command
            .arg("--quiet")
            .arg("--database-url")
            .arg(format!("sqlite://{}", bench.scratch.path(database).display()));
        command.arg("--backup-dir").arg(bench.scratch.path("memory-backups")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    for database in ["memory.db", "memory-import.db"] {
        let initialised = command(database, &["init"]).status().expect("the program starts");
        assert!(initialised.success(), "`init` makes the database");
    }
    let (players_text, answers) = (players.to_string(), ANSWERS.to_string());
    let highest = peak(command("memory.db", &["simulate", "--players", &players_text, "--answers", &answers]));
    section.say(&format!(
        "`trivia-db simulate` with {} players and {} answers needs at most {} MB (`VmHWM`).",
        short(players as f64),
        short(ANSWERS as f64),
        short(highest as f64 / 1e3)
    ));
    let file = bench.scratch.path("memory.csv");
    let bytes = generate(&file).expect("the file can be written");
    let started = Instant::now();
    let highest = peak(command("memory-import.db", &["import", &file.display().to_string()]));
    section.say(&format!(
        "`trivia-db import` of {} generated questions in one CSV of {} MB needs at most {} MB and takes {} s.",
        short(QUESTIONS as f64),
        short(bytes as f64 / 1e6),
        short(highest as f64 / 1e3),
        short(started.elapsed().as_secs_f64())
    ));
    section
}

/// Writes a table of questions with four options and says how many bytes it has.
fn generate(path: &Path) -> io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "question,answer,wrong,wrong,wrong,category,difficulty")?;
    for number in 0..QUESTIONS {
        let level = ["easy", "medium", "hard"][(number % 3) as usize];
        let (after, category) = (number + 1, number % 40);
        write!(file, "\"Which number comes after {number}, and is odd when that is even?\",{after},")?;
        writeln!(file, "{number},minus {after},{after}.5,Category {category},{level}")?;
    }
    file.flush()?;
    Ok(file.get_ref().metadata()?.len())
}

/// The most memory that a command needs, in kB.
fn peak(mut command: Command) -> u64 {
    let mut child = command.spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let (ended, end) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait().expect("it can be waited for");
        // nobody listens when the measurement failed
        let _ = ended.send(());
        status
    });
    let mut highest = 0;
    while end.recv_timeout(LOOK).is_err() {
        highest = highest.max(high_water_mark(&status).unwrap_or(0));
    }
    assert!(waiter.join().expect("it does not panic").success(), "the command succeeds");
    highest
}

/// The most memory that a process has had so far, in kB.
fn high_water_mark(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
