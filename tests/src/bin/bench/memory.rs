//! The most memory that a program with very many players needs.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::Bench;
use super::report::Section;
use super::stats::short;

/// Answers that are given: few, since the players are what is asked about.
const ANSWERS: u64 = 10_000;
/// How often the highest mark is read: it only grows, so little is missed at the end.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn measure(bench: &Bench) -> Section {
    let mut section = Section::new("Memory");
    let program = std::env::current_exe().expect("this program has a path").with_file_name("trivia-db");
    let Some(players) = bench.plan.simulated.filter(|_| program.exists()) else {
        section.say("Skipped: it needs the full sizes and the program `trivia-db`.");
        return section;
    };
    let database = bench.scratch.path("memory.db");
    let command = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--quiet").arg("--database-url").arg(format!("sqlite://{}", database.display()));
        command.arg("--backup-dir").arg(bench.scratch.path("memory-backups")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let initialised = command(&["init"]).status().expect("the program starts");
    assert!(initialised.success(), "`init` makes the database");
    let (players_text, answers) = (players.to_string(), ANSWERS.to_string());
    let mut child =
        command(&["simulate", "--players", &players_text, "--answers", &answers]).spawn().expect("the program starts");
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
    assert!(waiter.join().expect("it does not panic").success(), "`simulate` succeeds");
    section.say(&format!(
        "`trivia-db simulate` with {} players and {} answers needs at most {} MB (`VmHWM`).",
        short(players as f64),
        short(ANSWERS as f64),
        short(highest as f64 / 1e3)
    ));
    section
}

/// The most memory that a process has had so far, in kB.
fn high_water_mark(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
