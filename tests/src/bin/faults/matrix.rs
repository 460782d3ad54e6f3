//! All rows, with their targets.

use serde::Serialize;

use super::child::Fault;
use super::controls::Control;
use super::damage::{Hostile, Log, Rot};
use super::disk::{Full, Permission, ReadOnly, SizeLimit};
use super::drive::Operation;
use super::kills::Kills;
use super::points::{OPERATIONS, Points};
use super::power::Power;
use super::row::Row;
use super::services::{Lease, Two, UnderLoad, WrongClock};

/// What is expected of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Nature {
    /// No harm may come.
    Row,
    /// Harm must come: the harness can see it.
    Control,
}

/// A row and how much of it is run.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) target: &'static str,
    pub(crate) nature: Nature,
    /// Cases of a quick run, and most of a deep one.
    pub(crate) quick: u64,
    pub(crate) wanted: u64,
    /// Its share of the time of a deep run.
    pub(crate) weight: u32,
    pub(crate) row: Box<dyn Row>,
}

/// What no row can run.
pub(crate) const MISSING: [(&str, &str); 4] = [
    ("PostgreSQL: kill, partition, failover", "there is no adapter for it yet"),
    ("Kills at writes to mapped memory (`-shm`)", "they are no system calls; the rows that kill at random meet them"),
    ("Names that are not durable after a power cut at a call", "the shim keeps them; the row `power` loses them, too"),
    ("p99 of a writer during a backup", "it is measured by `cargo xtask bench`"),
];

/// What is known and no row fails for.
pub(crate) const KNOWN: [&str; 3] = [
    "A read error is damage to SQLite, and damage stops all writing until a check finds none; the database checks by \
     itself when it meets damage.",
    "A read error while a restore backs up the database sets it aside as damaged instead; one while retention looks \
     at backups keeps one more.",
    "When SQLite meets a quota or a limit on files, it says only that a write failed; whether one is used up is found \
     out by a look at the limits and a write beside the file. Where it is not, as for an error that a test makes up, \
     the error is one of the backend. A file that cannot be made for want of a free inode is one that cannot be \
     written.",
];

/// All points, as many as there are.
const ALL: u64 = u64::MAX;
const OWN_ERROR: &str = "its own error; works again";
const OLD_OR_NEW: &str = "100 % of points: the old or the new state";

/// Error numbers of Linux.
const EIO: i32 = 5;
const EACCES: i32 = 13;
pub(crate) const EFBIG: i32 = 27;
pub(crate) const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
pub(crate) const EDQUOT: i32 = 122;

pub(crate) fn matrix() -> Vec<Entry> {
    let kill = |calls| vec![Fault { calls, action: "kill", ..Fault::default() }];
    let mut rows = vec![
        row("kill", "`kill -9` at random, four writers", "10,000 kills, 0 lost, 0 corrupt", Kills).cases(10, 10_000, 8),
    ];
    for operation in OPERATIONS {
        // verifying only reads
        let calls = if operation == Operation::Verify { "r" } else { "wsn" };
        let points = Points::new(&[operation], kill(calls));
        rows.push(row(kill_of(operation), "killed at each call", OLD_OR_NEW, points).cases(2, ALL, 2));
    }
    rows.extend(at_calls());
    rows.extend(around());
    rows.extend(controls());
    rows
}

/// Calls that fail, tear, lie, or are the last before a power cut.
fn at_calls() -> Vec<Entry> {
    let torn = [1, 300, 999].map(|keep| Fault { calls: "w", action: "torn", keep, ..Fault::default() });
    let cut = [0, 1, 2].map(|some| Fault { calls: "wsn", action: "cut", some, ..Fault::default() });
    let lose = vec![Fault { calls: "s", action: "lose", errno: EIO, ..Fault::default() }];
    let points = |variants: Vec<Fault>| Points::new(&OPERATIONS, variants);
    vec![
        row("torn", "torn write at each write", "100 %", points(torn.to_vec())).cases(6, ALL, 4),
        row("cut", "power cut at each call: nothing unsynced is left, or some of it", OLD_OR_NEW, points(cut.to_vec()))
            .cases(8, ALL, 6),
        row("sync-error", "sync fails (EIO), once or from then on", "0 false acks", points(fails("s", &[EIO])))
            .cases(6, ALL, 3),
        row("sync-loss", "sync fails (EIO) and what it should have written is gone", "0 false acks", points(lose))
            .cases(6, ALL, 3),
        row("read-error", "read fails (EIO), once or from then on", "0 false acks", points(fails("r", &[EIO])))
            .cases(6, ALL, 4),
        row(
            "write-error",
            "write fails (EIO, ENOSPC, EDQUOT, EFBIG), once or from then on",
            "0 false acks",
            points(fails("w", &[EIO, ENOSPC, EDQUOT, EFBIG])),
        )
        .cases(8, ALL, 5),
        row(
            "name-error",
            "create, rename, remove or cut fails (EIO, EACCES, EROFS, ENOSPC), once or from then on",
            "0 false acks",
            points(fails("n", &[EIO, EACCES, EROFS, ENOSPC])),
        )
        .cases(8, ALL, 4),
    ]
}

/// What happens to disks, files, processes and clocks.
fn around() -> Vec<Entry> {
    vec![
        row("power", "power cut of an ext4 file system, four writers", "1,000 cuts, 0 lost", Power::new(false, false))
            .cases(4, 1_000, 8),
        row("disk-full", "disk full at each step of 32 KB, then larger", "its own error; heals within 5 s", Full)
            .cases(8, ALL, 4),
        row("read-only", "read-only file system", OWN_ERROR, ReadOnly).cases(3, ALL, 1),
        row("size-limit", "limit on the size of files at each step of 16 KB", OWN_ERROR, SizeLimit).cases(6, ALL, 3),
        row("permission", "directory, file or backups not writable", OWN_ERROR, Permission).cases(6, ALL, 1),
        row("rot", "flip in every byte of a backup, manifest and checksums", "100 % detected", Rot::new(false))
            .cases(300, ALL, 6),
        row("rot-cut", "backup, manifest or checksums cut at each block", "100 % detected", Rot::new(true))
            .cases(40, ALL, 2),
        row("log-damage", "log missing, cut or flipped", "100 % detected", Log::Damaged).cases(4, 400, 2),
        row("log-foreign", "log of another database", "100 % detected", Log::Foreign).cases(1, 50, 1),
        row("log-index", "index of the log missing or garbage", "0 lost", Log::Index).cases(4, 200, 1),
        row("two-services", "two services on one file, one stopped and resumed", "0 lost, counted once", Two)
            .cases(3, 300, 3),
        row("lease", "the scheduler stopped, resumed, killed", "never two", Lease).cases(1, 20, 1),
        row("backup-load", "backups under four writers", "500 backups, each agrees with its ledger", UnderLoad)
            .cases(5, 500, 4),
        row("clock", "clock off by up to 10 years", "retention by sequence, 0 lost", WrongClock).cases(2, 100, 1),
        row("hostile", "garbage in pages, cells, schema and header", "0 crashes, bounded memory and time", Hostile)
            .cases(6, 1_000, 4),
    ]
}

/// Harm on purpose.
fn controls() -> Vec<Entry> {
    let cut = vec![Fault { calls: "wsn", action: "cut", ..Fault::default() }];
    let lying = vec![Fault { calls: "wsn", action: "cut", lie: true, ..Fault::default() }];
    vec![
        control("c-normal-power", "`synchronous=NORMAL`, power cut of ext4", Power::new(true, false)),
        control("c-lie-power", "syncs that do nothing, power cut of ext4", Power::new(false, true)),
        control(
            "c-normal-cut",
            "`synchronous=NORMAL`, power cut at a call",
            Points::new(&[Operation::Play], cut).normal(),
        ),
        control("c-lie-cut", "syncs that do nothing, power cut at a call", Points::new(&[Operation::Play], lying)),
        control("c-deleted", "an acknowledged fact is deleted", Control::Deleted).once(),
        control("c-changed", "a counter is changed", Control::Changed).once(),
        control("c-forged", "an acknowledgement is forged", Control::Forged).once(),
        control("c-refused", "a refused fact is there", Control::Refused).once(),
    ]
}

/// Each error once, and from a call on.
fn fails(calls: &'static str, errors: &[i32]) -> Vec<Fault> {
    let both = |errno: &i32| {
        [1, 1_000_000].map(|times| Fault { calls, action: "fail", times, errno: *errno, ..Fault::default() })
    };
    errors.iter().flat_map(both).collect()
}

fn row(name: &'static str, fault: &'static str, target: &'static str, row: impl Row + 'static) -> Entry {
    Entry { name, fault, target, nature: Nature::Row, quick: 1, wanted: ALL, weight: 1, row: Box::new(row) }
}

fn control(name: &'static str, fault: &'static str, cases: impl Row + 'static) -> Entry {
    Entry { nature: Nature::Control, ..row(name, fault, "caught", cases) }.cases(30, 30, 1)
}

impl Entry {
    fn cases(self, quick: u64, wanted: u64, weight: u32) -> Self {
        Self { quick, wanted, weight, ..self }
    }

    fn once(self) -> Self {
        self.cases(1, 1, 1)
    }
}

const fn kill_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Checkpoint => "kill-checkpoint",
        Operation::Open => "kill-open",
        Operation::People => "kill-people",
        Operation::MigrateUp => "kill-migrate-up",
        Operation::MigrateDown => "kill-migrate-down",
        Operation::Backup => "kill-backup",
        Operation::Verify => "kill-verify",
        Operation::Prune => "kill-prune",
        Operation::Restore => "kill-restore",
        Operation::Recover => "kill-recover",
        _ => "kill-commit",
    }
}
