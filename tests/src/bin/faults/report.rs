//! What is told in the end: a table, targets, figures for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use serde::Serialize;
use trivia_domain::ports::Clock;
use trivia_infrastructure::SystemClock;

use super::check::Kind;
use super::lab::Lab;
use super::matrix::{Entry, KNOWN, MISSING, Nature};
use super::row::Ran;

/// What came of a row.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    row: &'static str,
    fault: &'static str,
    target: &'static str,
    nature: Nature,
    wanted: Option<u64>,
    /// How many there are, when they can be counted.
    pub(crate) points: Option<u64>,
    pub(crate) cases: u64,
    harmed: u64,
    harms: BTreeMap<Kind, u64>,
    examples: Vec<String>,
    /// Why nothing was run.
    pub(crate) skipped: Option<String>,
    pub(crate) seconds: f64,
}

impl Outcome {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            row: entry.name,
            fault: entry.fault,
            target: entry.target,
            nature: entry.nature,
            wanted: (entry.wanted != u64::MAX).then_some(entry.wanted),
            points: None,
            cases: 0,
            harmed: 0,
            harms: BTreeMap::new(),
            examples: Vec::new(),
            skipped: None,
            seconds: 0.0,
        }
    }

    pub(crate) fn count(&mut self, ran: &Ran) {
        self.cases += ran.cases;
        self.harmed += u64::from(!ran.harms.is_empty());
        for harm in &ran.harms {
            *self.harms.entry(harm.kind).or_default() += 1;
        }
        if let Some(harm) = ran.harms.first().filter(|_| self.examples.len() < 3) {
            self.examples.push(format!("{}: {}", ran.what, harm.text));
        }
    }

    /// Whether it says what it must: a row nothing, a control something.
    fn is_good(&self) -> bool {
        match self.nature {
            _ if self.skipped.is_some() => true,
            Nature::Row => self.cases > 0 && self.harmed == 0,
            Nature::Control => self.harmed > 0,
        }
    }

    fn verdict(&self) -> String {
        match (&self.skipped, self.nature, self.is_good()) {
            (Some(reason), ..) => format!("not run: {reason}"),
            (None, Nature::Control, true) => "caught, as it must be".to_owned(),
            (None, Nature::Control, false) => "NOT CAUGHT".to_owned(),
            (None, _, true) => "held".to_owned(),
            (None, _, false) => "FAILED".to_owned(),
        }
    }

    /// Whether the target was reached: everything held, and as many cases ran as were wanted.
    fn met(&self) -> &'static str {
        let enough = match (self.points, self.wanted) {
            (Some(points), _) => self.cases >= points,
            (None, Some(wanted)) => self.cases >= wanted,
            (None, None) => true,
        };
        match () {
            () if self.skipped.is_some() => "not run",
            () if self.nature == Nature::Control => "control",
            () if self.harmed > 0 => "**no**",
            () if enough => "yes",
            () => "held so far",
        }
    }

    fn out_of(&self) -> String {
        match (self.points, self.wanted) {
            (Some(points), _) => format!("{} of {points}", self.cases),
            (None, Some(wanted)) if self.nature != Nature::Control => format!("{} of {wanted}", self.cases),
            _ => self.cases.to_string(),
        }
    }

    fn of_kind(&self, kind: Kind) -> u64 {
        self.harms.get(&kind).copied().unwrap_or(0)
    }
}

/// Where the figures come from.
#[derive(Serialize)]
struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    file_system: String,
    rustc: String,
    sqlite: String,
    commit: String,
    profile: &'static str,
    measured_at: String,
}

/// All rows.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Machine,
    /// Where the cases are; it is nobody's business.
    #[serde(skip)]
    scratch: String,
    seed: u64,
    deep: bool,
    rows: Vec<Outcome>,
}

impl Report {
    pub(crate) fn new(lab: &Lab, deep: bool) -> Self {
        let scratch = lab.path("");
        let machine = Machine::look(&scratch);
        Self { machine, scratch: scratch.display().to_string(), seed: lab.seed, deep, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, mut result: Outcome) {
        for text in result.examples.iter_mut().chain(&mut result.skipped) {
            *text = text.replace(&self.scratch, "");
        }
        self.rows.push(result);
    }

    /// Whether every row held, and every control was caught.
    pub(crate) fn is_good(&self) -> bool {
        self.rows.iter().all(Outcome::is_good)
    }

    /// A row on a terminal.
    pub(crate) fn line(&self, result: &Outcome) -> String {
        let kinds = [Kind::Lost, Kind::Half, Kind::Corrupt, Kind::FalseAck, Kind::Manners];
        let [lost, half, corrupt, false_acks, other] = kinds.map(|kind| result.of_kind(kind));
        format!(
            "{:<22} {:>16} cases, lost {lost}, half {half}, corrupt {corrupt}, false acks {false_acks}, other {other}, \
             {:.1} s: {}",
            result.row,
            result.out_of(),
            result.seconds,
            result.verdict()
        )
    }

    /// The last words.
    pub(crate) fn summary(&self) -> String {
        let skipped = self.rows.iter().filter(|row| row.skipped.is_some()).count();
        let bad: Vec<_> = self.rows.iter().filter(|row| !row.is_good()).map(|row| row.row).collect();
        let cases: u64 = self.rows.iter().map(|row| row.cases).sum();
        let verdict = if bad.is_empty() { "good".to_owned() } else { format!("FAILED: {}", bad.join(", ")) };
        format!("{} rows, {cases} cases, {skipped} rows not run, seed {}: {verdict}", self.rows.len(), self.seed)
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("figures are JSON")
    }

    /// Writes the document.
    pub(crate) fn write(&self, folder: &Path) {
        fs::write(folder.join("reliability.md"), self.markdown()).expect("the document can be written");
    }

    fn markdown(&self) -> String {
        let Machine { cores, processor, kernel, file_system, rustc, sqlite, commit, profile, measured_at } =
            &self.machine;
        let mut text = format!(
            "# Reliability\n\nMade by `cargo xtask faults --deep` at {measured_at} from commit {commit}; do not edit.\n\
             \nMachine: {cores} cores of {processor}, Linux {kernel}, file system {file_system}; {rustc}, \
             SQLite {sqlite}; profile {profile}, seed {}.\n\n{HOW}\n## Faults and targets\n\n\
             A row is met when everything held and all wanted cases ran; what held in fewer cases says so.\n\n\
             | row | fault | target | cases | lost | half | corrupt | false acks | other | met |\n\
             |---|---|---|---:|---:|---:|---:|---:|---:|---|\n",
            self.seed
        );
        let is_control = |row: &&Outcome| row.nature == Nature::Control;
        for row in self.rows.iter().filter(|row| !is_control(row) && row.skipped.is_none()) {
            let figures = [Kind::Lost, Kind::Half, Kind::Corrupt, Kind::FalseAck, Kind::Manners];
            let figures = figures.map(|kind| row.of_kind(kind).to_string()).join(" | ");
            let line = [row.row, row.fault, row.target, &row.out_of(), &figures, row.met()].join(" | ");
            writeln!(text, "| {line} |").expect("a string takes everything");
        }
        text.push_str("\n## Controls\n\nEach must be caught; a control that passes fails the run.\n\n");
        text.push_str("| control | what is done | cases | caught | example |\n|---|---|---:|---:|---|\n");
        for row in self.rows.iter().filter(is_control).filter(|row| row.skipped.is_none()) {
            let example = row.examples.first().map_or("-", String::as_str);
            writeln!(text, "| {} | {} | {} | {} | {example} |", row.row, row.fault, row.cases, row.harmed)
                .expect("a string takes everything");
        }
        text.push_str("\n## What did not hold\n\n");
        let harmed: Vec<_> = self.rows.iter().filter(|row| !is_control(row) && row.harmed > 0).collect();
        if harmed.is_empty() {
            text.push_str("Nothing.\n");
        }
        for row in harmed {
            writeln!(text, "- `{}`: {} of {} cases.", row.row, row.harmed, row.cases)
                .expect("a string takes everything");
            for example in &row.examples {
                writeln!(text, "  - {example}").expect("a string takes everything");
            }
        }
        text.push_str("\n## What is known\n\n");
        for known in KNOWN {
            writeln!(text, "- {known}").expect("a string takes everything");
        }
        text.push_str("\n## What was not run\n\n");
        for row in self.rows.iter().filter(|row| row.skipped.is_some()) {
            let reason = row.skipped.as_deref().unwrap_or_default();
            writeln!(text, "- `{}` ({}): {reason}.", row.row, row.fault).expect("a string takes everything");
        }
        for (what, why) in MISSING {
            writeln!(text, "- {what}: {why}.").expect("a string takes everything");
        }
        text
    }
}

/// What all rows have in common, in words.
const HOW: &str = "A driven process opens the library as a service does and works; the harness hears over a pipe what \
    is sent, acknowledged, refused or left open, so that an acknowledgement counts when it has left the process. A \
    shim between process and file system meets one chosen call: the process dies before it, it fails, a write is torn, \
    or everything that was never synced is gone. Then the harness opens what is left and asks: is every acknowledged \
    fact in the ledger with its number, is nothing there that was refused, does a retry with the same key settle what \
    was left open, do pages, keys and every derived number agree, does a new move count without anybody's hands. \
    *Lost* is an acknowledged fact that is gone, *half* is neither the old nor the new state, *false acks* are \
    operations that were said to be done and were not, *other* are panics, errors without a next step, and work that \
    does not go on afterwards.\n";

impl Machine {
    fn look(scratch: &Path) -> Self {
        let said = |program: &str, args: &[&str]| said(program, args).unwrap_or_else(|| "unknown".to_owned());
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            cores: available_parallelism().map_or(0, usize::from),
            processor: model.map_or("an unknown processor", |(_, model)| model.trim()).to_owned(),
            kernel: said("uname", &["-r"]),
            file_system: said("findmnt", &["-n", "-o", "FSTYPE", "-T", &scratch.display().to_string()]),
            rustc: said("rustc", &["--version"]),
            sqlite: rusqlite::version().to_owned(),
            commit: said("git", &["describe", "--always", "--dirty"]),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
            measured_at: SystemClock.now().format("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }
}

/// What a program says on its first line.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}
