//! Disks that are full, read-only, limited, or not ours; and that get better again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::check::{Harm, Kind, facts};
use super::child::{Ended, Running, Start};
use super::drive::{BACKUPS, DATABASE, Operation};
use super::lab::{Lab, Mount};
use super::play::{Line, Told};
use super::points::{State, judge, setting, start};
use super::row::{Ran, Row, Total};

/// What happens to a disk.
const OPERATIONS: [Operation; 6] = [
    Operation::Play,
    Operation::Backup,
    Operation::Restore,
    Operation::MigrateUp,
    Operation::Recover,
    Operation::Prune,
];
/// Steps of free space, and their size.
const STEPS: u64 = 40;
const STEP_KB: u64 = 32;
/// How long a service may take to work again when there is space.
const HEALING: Duration = Duration::from_secs(5);
/// Who is nobody.
const NOBODY: u32 = 65_534;

/// Runs an operation under a limit, takes the limit away, and looks.
fn limited(
    lab: &Lab,
    operation: Operation,
    dir: &Path,
    limit: impl FnOnce() -> Ended,
    lift: impl FnOnce(),
) -> Vec<Harm> {
    let mut promises = lab.scene_in(setting(operation), dir);
    let before = State::of(lab, dir);
    let mut ended = limit();
    ended.forgive();
    let mut harms = ended.tell(&mut promises);
    lift();
    harms.extend(judge(lab, operation, dir, &before, &mut promises, &ended));
    harms
}

/// What a full disk and the limits that work like one are told as.
pub(crate) const NO_SPACE: [&str; 3] = ["disk_full", "outcome_unknown", "refused"];

/// An error of another kind does not name its cause; and who has no space wants to know how many bytes there are.
pub(crate) fn must_be(ended: &Ended, kinds: &[&str], harms: &mut Vec<Harm>) {
    let helps = |error: &Told| {
        let counts = error.kind != "disk_full" || error.text.contains(" bytes ");
        // what is free again when somebody looks cannot be told from a broken disk
        let is_over = kinds == NO_SPACE && error.kind == "backend" && error.text.contains(DATABASE);
        kinds.contains(&error.kind.as_str()) && counts || is_over
    };
    for error in ended.errors().filter(|error| !helps(error)) {
        harms.push(Harm::new(Kind::Manners, format!("{} is said to be {}", error.text, error.kind)));
    }
    harms.dedup_by(|a, b| a.text == b.text);
}

/// A disk that gets full at each step of free space, and larger again.
#[derive(Default)]
pub(crate) struct Full;

impl Row for Full {
    fn prepare(&mut self, lab: &Lab) -> Result<Total, String> {
        lab.small_disk("full", "1m")?;
        Ok(Total::Points(STEPS * OPERATIONS.len() as u64))
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let operation = OPERATIONS[(case % OPERATIONS.len() as u64) as usize];
        let free = case / OPERATIONS.len() as u64 * STEP_KB;
        let what = format!("{} with {free} KB", operation.name());
        let disk = match lab.small_disk("full", "64m") {
            Ok(disk) => disk,
            Err(error) => return Ran { cases: 1, harms: vec![Harm::new(Kind::Manners, error)], what },
        };
        let dir = disk.at.join("case");
        if operation == Operation::Play {
            return Ran { cases: 1, harms: fills_while_played(lab, &disk, &dir, free), what };
        }
        let mut named = Vec::new();
        let run = || {
            shrink(&disk, free);
            let ended = Running::start(lab, &dir, &start(operation)).end();
            must_be(&ended, &NO_SPACE, &mut named);
            ended
        };
        let mut harms = limited(lab, operation, &dir, run, || drop(disk.change("size=64m")));
        harms.extend(named);
        Ran { cases: 1, harms, what }
    }
}

/// Leaves so much free space.
fn shrink(disk: &Mount, free: u64) {
    let used = Command::new("du").args(["-sk", "--apparent-size"]).arg(&disk.at).output().expect("du runs");
    let used = String::from_utf8_lossy(&used.stdout);
    let kb: u64 = used.split_whitespace().next().and_then(|kb| kb.parse().ok()).expect("du says a number");
    // what lies in pages takes some more
    drop(disk.change(&format!("size={}k", kb + 128 + free)));
}

/// Four writers meet the end of the disk, reads go on, and when there is space they play on.
fn fills_while_played(lab: &Lab, disk: &Mount, dir: &Path, free: u64) -> Vec<Harm> {
    let mut promises = lab.scene_in(setting(Operation::Play), dir);
    shrink(disk, free);
    let mut harms = Vec::new();
    let mut child = Running::start(lab, dir, &Start::new(Operation::Play, free + 1));
    // some may not even get it open
    let met = child.hear_until(|heard| heard.iter().filter(|(_, line)| is_trouble(line)).count() >= 5);
    if let Err(error) = facts(dir) {
        harms.push(Harm::new(Kind::Manners, format!("reads do not go on: {error}")));
    }
    drop(disk.change("size=64m"));
    let grown = Instant::now();
    let counts = |at: &Instant, line: &Line| *at > grown && matches!(line, Line::Acknowledged { .. });
    let healed = child.hear_until(|heard| {
        heard.iter().any(|(at, line)| counts(at, line)) || grown.elapsed() > HEALING + Duration::from_secs(1)
    });
    let took = grown.elapsed();
    let ended = child.kill();
    must_be(&ended, &NO_SPACE, &mut harms);
    let could_not_open = ended.heard.iter().any(|(_, line)| matches!(line, Line::Healed));
    if !could_not_open && (!met || !healed || took > HEALING) {
        harms.push(Harm::new(Kind::Manners, format!("full: {met}, healed: {healed} after {took:?}")));
    }
    harms.extend(ended.tell(&mut promises));
    harms.extend(lab.block(super::check::check(dir, &mut promises)));
    harms
}

/// Not a refusal of the game.
fn is_trouble(line: &Line) -> bool {
    line.error().is_some_and(|error| error.kind != "refused") || matches!(line, Line::Healed)
}

/// A disk that is read-only when an operation starts.
pub(crate) struct ReadOnly;

impl Row for ReadOnly {
    fn prepare(&mut self, lab: &Lab) -> Result<Total, String> {
        lab.small_disk("read-only", "1m")?.change("ro")?;
        Ok(Total::Points(OPERATIONS.len() as u64))
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let operation = OPERATIONS[case as usize];
        let what = format!("{} on a read-only disk", operation.name());
        let disk = match lab.small_disk("read-only", "64m") {
            Ok(disk) => disk,
            Err(error) => return Ran { cases: 1, harms: vec![Harm::new(Kind::Manners, error)], what },
        };
        let dir = disk.at.join("case");
        let mut named = Vec::new();
        let run = || {
            drop(disk.change("ro"));
            let ended = Running::start(lab, &dir, &start(operation)).end();
            must_be(&ended, &["read_only", "refused"], &mut named);
            ended
        };
        let mut harms = limited(lab, operation, &dir, run, || drop(disk.change("rw")));
        harms.extend(named);
        Ran { cases: 1, harms, what }
    }
}

/// A limit on the size of files.
pub(crate) struct SizeLimit;

impl Row for SizeLimit {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Points(STEPS * OPERATIONS.len() as u64))
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let operation = OPERATIONS[(case % OPERATIONS.len() as u64) as usize];
        let blocks = 8 + case / OPERATIONS.len() as u64 * STEP_KB / 2;
        let what = format!("{} with files of at most {blocks} blocks", operation.name());
        let dir = lab.path("case");
        let mut named = Vec::new();
        let run = || {
            let shell = Some(format!("trap '' XFSZ; ulimit -f {blocks}; exec"));
            let ended = Running::start(lab, &dir, &Start { shell, ..start(operation) }).end();
            must_be(&ended, &NO_SPACE, &mut named);
            ended
        };
        let mut harms = limited(lab, operation, &dir, run, || {});
        harms.extend(named);
        Ran { cases: 1, harms, what }
    }
}

/// A file or directory that may not be written.
pub(crate) struct Permission;

const FORBIDDEN: [(&str, u32); 3] = [("", 0o500), (DATABASE, 0o400), (BACKUPS, 0o500)];

impl Row for Permission {
    fn prepare(&mut self, lab: &Lab) -> Result<Total, String> {
        if !rustix::process::getuid().is_root() {
            return Ok(Total::Points((FORBIDDEN.len() * OPERATIONS.len()) as u64));
        }
        // nobody must get to the program and to the case
        fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o711)).expect("it is ours");
        let shell = format!("{} test -x {}", nobody(), lab.driver().display());
        let reached = Command::new("sh").arg("-c").arg(shell).status().is_ok_and(|status| status.success());
        if !reached {
            return Err("another user cannot be taken, or cannot reach the build".to_owned());
        }
        Ok(Total::Points((FORBIDDEN.len() * OPERATIONS.len()) as u64))
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let operation = OPERATIONS[case as usize % OPERATIONS.len()];
        let (name, mode) = FORBIDDEN[case as usize / OPERATIONS.len() % FORBIDDEN.len()];
        let what = format!("{} without permission to write {name:?}", operation.name());
        let dir = lab.path("case");
        let path = dir.join(name);
        let mut named = Vec::new();
        let run = || {
            let shell = rustix::process::getuid().is_root().then(|| {
                let given = Command::new("chown").arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(&dir).status();
                assert!(given.is_ok_and(|status| status.success()), "the case can be given away");
                nobody()
            });
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is there");
            let ended = Running::start(lab, &dir, &Start { shell, ..start(operation) }).end();
            must_be(&ended, &["read_only", "refused"], &mut named);
            ended
        };
        let lift = || {
            let mode = if path.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is there");
        };
        let mut harms = limited(lab, operation, &dir, run, lift);
        harms.extend(named);
        Ran { cases: 1, harms, what }
    }
}

fn nobody() -> String {
    format!("exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups")
}
