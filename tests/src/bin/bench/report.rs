//! What is told in the end: tables, targets, pictures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use serde::Serialize;
use trivia_domain::ports::Clock;
use trivia_infrastructure::SystemClock;

use super::plot::Plot;
use super::stats::{Spread, short};

/// What was measured, and on what.
pub(crate) struct Report {
    machine: Machine,
    sections: Vec<Section>,
}

/// One measurement.
pub(crate) struct Section {
    title: &'static str,
    text: String,
    targets: Vec<Target>,
    plots: Vec<Plot>,
}

/// A promise about a ratio; higher is better.
#[derive(Serialize)]
struct Target {
    name: String,
    /// The median; `None` when it could not be measured.
    ratio: Option<f64>,
    target: f64,
    /// `None` when it could not be measured.
    met: Option<bool>,
    #[serde(skip)]
    spread: Option<Spread>,
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
    sea_orm: String,
    redis: Option<String>,
    commit: String,
    profile: &'static str,
    measured_at: String,
}

#[derive(Serialize)]
struct Results<'a> {
    machine: &'a Machine,
    targets: Vec<&'a Target>,
}

impl Section {
    /// An empty one.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, text: String::new(), targets: Vec::new(), plots: Vec::new() }
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// Adds a table; the first column is text, the others are figures.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        self.text.push_str(&line(&head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()));
        self.text.push_str(&format!("|---|{}\n", "---:|".repeat(head.len() - 1)));
        for row in rows {
            self.text.push_str(&line(row));
        }
        self.text.push('\n');
    }

    /// Adds a target that is met when the median of the ratios is at least `target`.
    pub(crate) fn target(&mut self, name: impl Into<String>, ratio: Option<Spread>, target: f64) {
        let median = ratio.map(|spread| spread.median).filter(|median| median.is_finite());
        let met = median.map(|median| median >= target);
        self.targets.push(Target { name: name.into(), ratio: median, target, met, spread: ratio });
    }

    /// Adds a picture.
    pub(crate) fn plot(&mut self, plot: Plot) {
        self.plots.push(plot);
    }
}

impl Report {
    /// An empty one about this machine.
    pub(crate) fn new(scratch: &Path) -> Self {
        Self { machine: Machine::look(scratch), sections: Vec::new() }
    }

    /// Adds a measurement.
    pub(crate) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// The report as Markdown; `pictures` says where the pictures are.
    pub(crate) fn markdown(&self, how: &str, pictures: &str) -> String {
        let Machine { cores, processor, kernel, file_system, rustc, sqlite, sea_orm, commit, .. } = &self.machine;
        let redis = self.machine.redis.as_deref().unwrap_or("none");
        let mut text = format!(
            "# Benchmarks\n\nMade by `cargo xtask bench` at {} from commit {commit}; do not edit.\n\n\
             Machine: {cores} cores of {processor}, Linux {kernel}, file system {file_system}; {rustc}, SQLite {sqlite}, \
             sea-orm {sea_orm}, Redis {redis}; profile {}.\n\n{how}\n## Targets\n\n",
            self.machine.measured_at, self.machine.profile
        );
        text.push_str("| target | ratio | wanted | met |\n|---|---:|---:|---|\n");
        for Target { name, target, met, spread, .. } in self.targets() {
            let ratio = spread.map_or_else(|| "not measured".to_owned(), |spread| spread.to_string());
            let met = met.map_or("-", |met| if met { "yes" } else { "**no**" });
            writeln!(text, "| {name} | {ratio} | {} | {met} |", short(*target)).expect("a string takes everything");
        }
        for section in &self.sections {
            write!(text, "\n## {}\n\n{}", section.title, section.text).expect("a string takes everything");
            for plot in &section.plots {
                writeln!(text, "![{}]({pictures}/{}.svg)", plot.title, plot.name).expect("a string takes everything");
            }
        }
        text
    }

    /// Writes the report and its pictures below a folder.
    pub(crate) fn write(&self, how: &str, folder: &Path) {
        let pictures = folder.join("benchmarks");
        fs::create_dir_all(&pictures).expect("the folder for pictures can be made");
        for plot in self.sections.iter().flat_map(|section| &section.plots) {
            fs::write(pictures.join(format!("{}.svg", plot.name)), plot.svg()).expect("pictures can be written");
        }
        fs::write(folder.join("benchmarks.md"), self.markdown(how, "benchmarks")).expect("the report can be written");
    }

    /// Machine and targets as JSON.
    pub(crate) fn json(&self) -> String {
        let results = Results { machine: &self.machine, targets: self.targets().collect() };
        serde_json::to_string_pretty(&results).expect("results are JSON")
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.sections.iter().flat_map(|section| &section.targets)
    }
}

impl Machine {
    fn look(scratch: &Path) -> Self {
        let said = |program: &str, args: &[&str]| said(program, args).unwrap_or_else(|| "unknown".to_owned());
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let redis = super::peers::redis::version();
        Self {
            cores: available_parallelism().map_or(0, usize::from),
            processor: model.map_or("an unknown processor", |(_, model)| model.trim()).to_owned(),
            kernel: said("uname", &["-r"]),
            file_system: said("findmnt", &["-n", "-o", "FSTYPE", "-T", &scratch.display().to_string()]),
            rustc: said("rustc", &["--version"]),
            sqlite: rusqlite::version().to_owned(),
            sea_orm: locked("sea-orm"),
            redis,
            commit: said("git", &["describe", "--always", "--dirty"]),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
            measured_at: SystemClock.now().format("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }
}

/// What a program says on its first line.
pub(crate) fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// The version of a package in the lock file.
fn locked(package: &str) -> String {
    let mut lines = include_str!("../../../../Cargo.lock").lines();
    let name = format!("name = \"{package}\"");
    lines.find(|line| *line == name).expect("the package is used");
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    version.unwrap_or("unknown").trim_matches('"').to_owned()
}
