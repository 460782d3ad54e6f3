//! Flipped bits, cut files, logs that are gone or somebody else's, hostile files.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use trivia_domain::model::BackupId;
use trivia_domain::ports::{BackupService, MaintenancePort, RandomSource, RecoveryService};
use trivia_domain::{StoreError, StoreResult};

use super::check::{Facts, Harm, Kind, check, facts, sound};
use super::child::{Running, Start};
use super::drive::{BACKUPS, DATABASE, Operation, backups, open, recovery};
use super::lab::{Lab, Setting};
use super::play::below;
use super::row::{Ran, Row, Total};

/// Where files are cut, beside their ends.
const BLOCK: u64 = 512;
/// Every so many flips a restore is tried as well.
const RESTORED: u64 = 64;

/// Every byte of a backup, its manifest and its checksums is changed, or everything from there on is cut.
#[derive(Default)]
pub(crate) struct Rot {
    cut: bool,
    /// Each file, and where its cases begin.
    files: Vec<(PathBuf, u64)>,
    backup: Option<BackupId>,
    before: Facts,
}

impl Rot {
    pub(crate) fn new(cut: bool) -> Self {
        Self { cut, ..Self::default() }
    }
}

impl Row for Rot {
    fn prepare(&mut self, lab: &Lab) -> Result<Total, String> {
        let dir = lab.path("rot");
        lab.scene_in(Setting::Played, &dir);
        self.before = facts(&dir).map_err(|error| error.to_string())?;
        let list = lab.block(backups(&dir).list()).map_err(|error| error.to_string())?;
        let newest = &list.first().ok_or("there is no backup")?.manifest.id;
        let mut cases = 0;
        for extension in ["db", "json", "sha256"] {
            let path = dir.join(BACKUPS).join(format!("{newest}.{extension}"));
            let bytes = fs::metadata(&path).map_err(|error| error.to_string())?.len();
            self.files.push((path, cases));
            cases += if self.cut { bytes.div_ceil(BLOCK) } else { bytes };
        }
        self.backup = Some(newest.clone());
        Ok(Total::Points(cases))
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let dir = lab.path("rot");
        let (path, first) = self.files.iter().rfind(|(_, first)| *first <= case).expect("there is a file");
        let backup = self.backup.as_ref().expect("it is prepared");
        let name = path.extension().unwrap_or_default().display().to_string();
        let file = File::options().read(true).write(true).open(path).expect("it is there");
        let mut harms = Vec::new();
        let at = if self.cut { (case - first) * BLOCK } else { case - first };
        let good = fs::read(path).expect("it can be read");
        if self.cut {
            file.set_len(at).expect("it can be cut");
        } else {
            let flipped = good[at as usize] ^ (1 << (case % 8));
            file.write_all_at(&[flipped], at).expect("it can be changed");
        }
        let mut refused = |what: &str, result: StoreResult<()>| match result {
            Ok(()) => harms.push(Harm::new(Kind::Corrupt, format!("{what} does not see it"))),
            // a manifest without its beginning is none
            Err(StoreError::Corrupt { .. } | StoreError::Missing { .. }) => {}
            Err(error) => harms.push(Harm::new(Kind::Manners, format!("{what} says {error}"))),
        };
        lab.block(async {
            let service = backups(&dir);
            let verified = service.verify(backup).await.and_then(|verification| match verification.problems.first() {
                Some(problem) => Err(StoreError::Corrupt { what: backup.to_string(), reason: problem.clone() }),
                None => Ok(()),
            });
            refused("verify", verified);
            if case.is_multiple_of(RESTORED) {
                refused("restore", service.restore(backup).await.map(drop));
            }
        });
        fs::write(path, &good).expect("it can be mended");
        if case.is_multiple_of(RESTORED) && facts(&dir).is_ok_and(|now| now != self.before) {
            harms.push(Harm::new(Kind::Lost, "a refused restore changed the database"));
        }
        let verb = if self.cut { "cut" } else { "flipped" };
        Ran { cases: 1, harms, what: format!("{name} {verb} at {at}") }
    }
}

/// What happens to the log of a dead process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Log {
    /// It is gone, cut, or has a flipped bit.
    Damaged,
    /// It is that of another database.
    Foreign,
    /// The index of the log is old, garbage, or gone.
    Index,
}

impl Row for Log {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let random = lab.chance("log", case);
        let (dir, mut promises) = lab.scene(Setting::Crashed);
        let beside = |suffix: &str| dir.join(format!("{DATABASE}{suffix}"));
        let (log, index) = (beside("-wal"), beside("-shm"));
        let bytes = fs::read(&log).expect("there is a log");
        let at = below(&random, bytes.len() as u64);
        let what = match (*self, case % 4) {
            (Self::Damaged, 0) if case < 4 => {
                fs::remove_file(&log).expect("it can be removed");
                "no log".to_owned()
            }
            (Self::Damaged, 0 | 1) => {
                File::options().write(true).open(&log).and_then(|file| file.set_len(at)).expect("it can be cut");
                format!("log cut at {at} of {}", bytes.len())
            }
            (Self::Damaged, _) => {
                let flipped = bytes[at as usize] ^ (1 << below(&random, 8));
                let file = File::options().write(true).open(&log).expect("it is there");
                file.write_all_at(&[flipped], at).expect("it can be changed");
                format!("log flipped at {at} of {}", bytes.len())
            }
            (Self::Foreign, _) => {
                let other = lab.path("other");
                lab.scene_in(Setting::Played, &other);
                let strange = rusqlite::Connection::open(other.join(DATABASE)).expect("it is a database");
                strange.execute("UPDATE commit_count SET generation = randomblob(16)", []).expect("it can be changed");
                strange.close().expect("it can be closed");
                let start = Start::new(Operation::Play, random.next_u64());
                let mut child = Running::start(lab, &other, &start);
                child.hear_acknowledgements(20 + case as usize % 40);
                child.kill();
                fs::copy(other.join(format!("{DATABASE}-wal")), &log).expect("there is space");
                "the log of another database".to_owned()
            }
            (Self::Index, 0) => {
                let _ = fs::remove_file(&index);
                "no index".to_owned()
            }
            (Self::Index, step) => {
                let mut old = fs::read(&index).unwrap_or_else(|_| vec![0; 32_768]);
                let from = if step == 1 { 0 } else { below(&random, old.len() as u64) as usize };
                old[from..].iter_mut().for_each(|byte| *byte = random.next_u64() as u8);
                fs::write(&index, old).expect("there is space");
                format!("garbage in the index from {from}")
            }
        };
        let harms = match self {
            Self::Index => lab.block(check(&dir, &mut promises)),
            _ => lab.block(seen(&dir, &promises.acknowledged)),
        };
        Ran { cases: 1, harms, what }
    }
}

/// Facts that are gone must be missed by the check, or by the recovery.
async fn seen(dir: &Path, promised: &Facts) -> Vec<Harm> {
    let said = async {
        let database = open(dir, false).await?;
        let problems = sound(&database).await;
        database.close().await?;
        Ok::<_, StoreError>(problems)
    };
    let is_seen = said.await.map_or(true, |problems| !problems.is_empty());
    let missing = |dir: &Path| match facts(dir) {
        Ok(now) => promised.iter().filter(|(key, fact)| now.get(key) != Some(fact)).count(),
        Err(_) => promised.len(),
    };
    let lost = missing(dir);
    let mut harms = Vec::new();
    let recovered = recovery(dir).recover().await;
    if lost > 0 && !is_seen {
        harms.push(Harm::new(
            Kind::Lost,
            format!(
                "{lost} of {} facts are gone, `check` says nothing, `recover` brings back {}",
                promised.len(),
                lost - missing(dir).min(lost)
            ),
        ));
    }
    if let Err(error) = recovered {
        harms.push(Harm::new(Kind::Manners, format!("recovery fails: {error}")));
    }
    harms
}

/// Databases that nobody of ours has written: pages, cells, schema and header are garbage in places.
pub(crate) struct Hostile;

impl Row for Hostile {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let random = lab.chance("hostile", case);
        let (dir, mut promises) = lab.scene(Setting::Played);
        let path = dir.join(DATABASE);
        let mut bytes = fs::read(&path).expect("it can be read");
        let pages = bytes.len() as u64 / 4096;
        let places = 1 + below(&random, 40);
        for _ in 0..places {
            let page = match below(&random, 4) {
                // the header and the schema are met more often
                0 => 0,
                _ => below(&random, pages),
            };
            // and so are the beginnings of pages
            let offset = if below(&random, 2) == 0 { below(&random, 120) } else { below(&random, 4096) };
            let length = 1 + below(&random, 8);
            for at in page * 4096 + offset..(page * 4096 + offset + length).min(bytes.len() as u64) {
                bytes[at as usize] = random.next_u64() as u8;
            }
        }
        if below(&random, 10) == 0 {
            bytes.truncate(below(&random, bytes.len() as u64) as usize);
        }
        fs::write(&path, bytes).expect("there is space");
        let shell = Some("ulimit -v 4000000; exec".to_owned());
        let ended = Running::start(lab, &dir, &Start { shell, ..Start::new(Operation::Look, case) }).end();
        Ran { cases: 1, harms: ended.tell(&mut promises), what: format!("garbage in {places} places") }
    }
}
