//! Every call of an operation to the file system is met once: the process dies there, the call fails, a write is torn,
//! or all that was never synced is gone. Afterwards there is the old state or the new one, and nothing between.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use trivia_domain::model::{BackupKind, RetentionPolicy, UserId};
use trivia_domain::ports::{BackupService, MaintenancePort, RecoveryService, Repositories, Store};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::schema;

use super::check::{Facts, Harm, Kind, Promises, check, facts, facts_of};
use super::child::{Ended, Fault, Running, Start};
use super::disk::{NO_SPACE, must_be};
use super::drive::{BACKUPS, DATABASE, DOUBLE, KEPT, LEAVING, Operation, STEPS, backups, open, options, recovery};
use super::lab::{Lab, Setting};
use super::matrix::{EDQUOT, EFBIG, ENOSPC};
use super::play::{SOMEBODY, player};
use super::row::{Ran, Row, Total};

/// Moves of a commit row.
const MOVES: u64 = 12;

/// Everything that is met at each of its calls.
pub(crate) const OPERATIONS: [Operation; 11] = [
    Operation::Play,
    Operation::Checkpoint,
    Operation::Open,
    Operation::People,
    Operation::MigrateUp,
    Operation::MigrateDown,
    Operation::Backup,
    Operation::Verify,
    Operation::Prune,
    Operation::Restore,
    Operation::Recover,
];

/// A fault at each call of some operations.
pub(crate) struct Points {
    operations: Vec<Operation>,
    variants: Vec<Fault>,
    /// With `synchronous=NORMAL`.
    normal: bool,
    /// Calls of each operation.
    calls: Vec<u64>,
}

impl Points {
    pub(crate) fn new(operations: &[Operation], variants: Vec<Fault>) -> Self {
        Self { operations: operations.to_vec(), variants, normal: false, calls: Vec::new() }
    }

    /// The same with `synchronous=NORMAL`.
    pub(crate) fn normal(self) -> Self {
        Self { normal: true, ..self }
    }

    /// Which fault of which operation a case is.
    fn find(&self, case: u64) -> (Operation, Fault) {
        let variants = self.variants.len() as u64;
        let (mut point, variant) = (case / variants, &self.variants[(case % variants) as usize]);
        for (operation, calls) in self.operations.iter().zip(&self.calls) {
            if point < *calls {
                return (*operation, Fault { at: point + 1, ..variant.clone() });
            }
            point -= calls;
        }
        // one more than there are
        (self.operations[0], Fault { at: case, ..variant.clone() })
    }
}

impl Row for Points {
    fn prepare(&mut self, lab: &Lab) -> Result<Total, String> {
        let calls = self.variants[0].calls;
        for operation in &self.operations {
            let (dir, mut promises) = lab.scene(setting(*operation));
            let trace = lab.path("trace");
            // it may not be there
            let _ = fs::remove_file(&trace);
            let watched = Fault { calls, trace: Some(trace.clone()), ..Fault::default() };
            let ended =
                Running::start(lab, &dir, &Start { normal: self.normal, ..start(*operation) }.with(watched)).end();
            let harms = ended.tell(&mut promises);
            if !harms.is_empty() || !ended.has_done(&operation.name()) {
                return Err(format!("{} does not work without a fault: {harms:?}", operation.name()));
            }
            self.calls.push(fs::read_to_string(&trace).unwrap_or_default().lines().count() as u64);
        }
        Ok(Total::Points(self.calls.iter().sum::<u64>() * self.variants.len() as u64))
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let (operation, fault) = self.find(case);
        let (dir, mut promises) = lab.scene(setting(operation));
        let before = State::of(lab, &dir);
        let trace = lab.path("trace");
        // it may not be there
        let _ = fs::remove_file(&trace);
        let (at, action) = (fault.at as usize, fault.action);
        // what is over at once cannot be told from a broken disk
        let lasts = fault.calls == "w" && fault.times > 1 && [EDQUOT, EFBIG, ENOSPC].contains(&fault.errno);
        let fault = Fault { trace: Some(trace.clone()), ..fault };
        let start = Start { normal: self.normal, ..start(operation) }.with(fault);
        let ended = Running::start(lab, &dir, &start).end();
        let mut harms = ended.tell(&mut promises);
        if lasts {
            must_be(&ended, &NO_SPACE, &mut harms);
        }
        harms.extend(judge(lab, operation, &dir, &before, &mut promises, &ended));
        let text = fs::read_to_string(&trace).unwrap_or_default();
        // not every run makes as many calls: what was not reached does not count
        let call = text.lines().nth(at.saturating_sub(1)).map(|call| call.replace(&dir.display().to_string(), ""));
        let what = format!("{action} {} at {}", operation.name(), call.as_deref().unwrap_or("no call"));
        Ran { cases: call.is_some().into(), harms, what }
    }
}

/// How an operation is started.
pub(crate) fn start(operation: Operation) -> Start {
    Start { moves: Some(MOVES), writers: 1, ..Start::new(operation, 7) }
}

/// What an operation needs.
pub(crate) const fn setting(operation: Operation) -> Setting {
    match operation {
        Operation::Open => Setting::Crashed,
        Operation::MigrateUp => Setting::Old,
        Operation::Recover => Setting::Damaged,
        _ => Setting::Played,
    }
}

/// What was there before.
pub(crate) struct State {
    ledger: Facts,
    /// The ledger of the oldest backup.
    oldest: Facts,
    backups: usize,
    damaged: Option<Vec<u8>>,
}

impl State {
    pub(crate) fn of(lab: &Lab, dir: &Path) -> Self {
        let list = lab.block(backups(dir).list()).expect("backups can be listed");
        let oldest = list.iter().rfind(|backup| backup.manifest.kind == BackupKind::Initial).expect("there is one");
        let oldest = Connection::open(&oldest.path).expect("a backup opens");
        let is_damaged = lab.path("scene-damaged").join(DATABASE);
        let damaged =
            fs::read(is_damaged).ok().filter(|bytes| *bytes == fs::read(dir.join(DATABASE)).unwrap_or_default());
        // the log of the dead stays as it is
        let ledger =
            if dir.join(format!("{DATABASE}-wal")).exists() { Facts::new() } else { facts(dir).expect("a ledger") };
        Self { ledger, oldest: facts_of(&oldest).expect("a ledger"), backups: list.len(), damaged }
    }
}

/// What is wrong with what an operation has left.
pub(crate) fn judge(
    lab: &Lab,
    operation: Operation,
    dir: &Path,
    before: &State,
    promises: &mut Promises,
    ended: &Ended,
) -> Vec<Harm> {
    let mut harms = Vec::new();
    let done = ended.has_done(&operation.name());
    let judged: StoreResult<()> = lab.block(async {
        match operation {
            Operation::MigrateUp | Operation::MigrateDown => {
                let pending = schema::status(&options(dir, false)).await?.pending.len();
                let wanted = if operation == Operation::MigrateUp { 0 } else { STEPS as usize };
                if done && pending != wanted {
                    harms.push(Harm::new(Kind::FalseAck, format!("{pending} migrations are pending")));
                }
                schema::up(&options(dir, false), None).await?;
            }
            Operation::Backup => {
                let now = whole_backups(dir, &mut harms).await?;
                if now < before.backups + usize::from(done) {
                    harms.push(Harm::new(Kind::FalseAck, format!("{now} backups after {}", before.backups)));
                }
                backups(dir).create(BackupKind::Manual, "again").await?;
            }
            Operation::Prune => {
                let now = whole_backups(dir, &mut harms).await?;
                // one that could not be read counts as none that must stay
                if now < KEPT {
                    harms.push(Harm::new(Kind::FalseAck, format!("{now} backups are left")));
                }
                let policy = RetentionPolicy { keep: KEPT, ..RetentionPolicy::default() };
                backups(dir).prune(&policy).await?;
                let left = whole_backups(dir, &mut harms).await?;
                if left != KEPT {
                    harms.push(Harm::new(Kind::Half, format!("{left} backups stay")));
                }
            }
            Operation::Verify | Operation::Drill => {
                let now = whole_backups(dir, &mut harms).await?;
                if now != before.backups {
                    harms.push(Harm::new(Kind::Half, format!("{now} backups instead of {}", before.backups)));
                }
            }
            Operation::Restore => restored(dir, before, done, promises, &mut harms).await?,
            Operation::Recover => {
                if let Some(damaged) = before.damaged.as_ref().filter(|bytes| !is_kept(dir, bytes)) {
                    harms.push(Harm::new(Kind::Lost, format!("{} bytes of evidence are gone", damaged.len())));
                }
                recovery(dir).recover().await?;
            }
            Operation::People => people(dir, before, ended, promises, &mut harms).await?,
            Operation::Play | Operation::Checkpoint | Operation::Open | Operation::Look | Operation::Hold => {}
        }
        harms.extend(check(dir, promises).await);
        Ok(())
    });
    if let Err(error) = judged {
        harms.push(Harm::new(Kind::Manners, format!("a second attempt fails: {error}")));
    }
    harms
}

/// How many backups are listed; each must be whole.
async fn whole_backups(dir: &Path, harms: &mut Vec<Harm>) -> StoreResult<usize> {
    let service = backups(dir);
    let list = service.list().await?;
    for backup in &list {
        let verification = service.verify(&backup.manifest.id).await?;
        if !verification.ok {
            let text = format!("backup {}: {:?}", backup.manifest.id, verification.problems);
            harms.push(Harm::new(Kind::Half, text));
        }
    }
    Ok(list.len())
}

async fn restored(
    dir: &Path,
    before: &State,
    done: bool,
    promises: &mut Promises,
    harms: &mut Vec<Harm>,
) -> StoreResult<()> {
    let now = facts(dir).map_err(|error| StoreError::backend("reading the ledger", error))?;
    let is_old = now == before.ledger;
    if !is_old && now != before.oldest {
        harms.push(Harm::new(Kind::Half, format!("{} facts are neither old nor restored", now.len())));
    }
    if done && is_old {
        harms.push(Harm::new(Kind::FalseAck, "it was said to be restored"));
    }
    whole_backups(dir, harms).await?;
    let list = backups(dir).list().await?;
    let is_backed_up = list.iter().any(|backup| backup.manifest.kind == BackupKind::PreRestore);
    // one that could not be read at that moment was set aside instead
    if !is_old && !is_backed_up && !is_set_aside(dir, &before.ledger) {
        harms.push(Harm::new(Kind::Lost, "there is no way back to the state before"));
    }
    let oldest = list.iter().rfind(|backup| backup.manifest.kind == BackupKind::Initial);
    let oldest = oldest.ok_or_else(|| StoreError::missing("backup", "oldest"))?;
    backups(dir).restore(&oldest.manifest.id).await?;
    *promises = Promises::default();
    promises.expect(before.oldest.clone());
    Ok(())
}

/// Whether a file with this ledger was set aside.
fn is_set_aside(dir: &Path, ledger: &Facts) -> bool {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut aside =
        files.filter(|path| path.file_name().is_some_and(|name| name.display().to_string().contains(".damaged-")));
    aside.any(|path| {
        Connection::open(path).and_then(|connection| facts_of(&connection)).is_ok_and(|found| found == *ledger)
    })
}

/// Whether a file with this content is still somewhere.
fn is_kept(dir: &Path, content: &[u8]) -> bool {
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    if let Ok(kept) = fs::read_dir(dir.join(BACKUPS).join("forensics")) {
        folders.extend(kept.flatten().map(|entry| entry.path()));
    }
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    files
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .any(|path| fs::read(path).is_ok_and(|it| it == content))
}

/// Two players are two or one; the third is there or gone.
async fn people(
    dir: &Path,
    before: &State,
    ended: &Ended,
    promises: &mut Promises,
    harms: &mut Vec<Harm>,
) -> StoreResult<()> {
    let now = facts(dir).map_err(|error| StoreError::backend("reading the ledger", error))?;
    let holders = |of: UserId| -> BTreeSet<Option<UserId>> {
        let keys = before.ledger.iter().filter(|(_, (user, _))| *user == of).map(|(key, _)| key);
        keys.map(|key| now.get(key).map(|(user, _)| *user)).collect()
    };
    let (double, leaving, somebody) = (player(DOUBLE), player(LEAVING), player(SOMEBODY));
    let (merged, erased) = (holders(double), holders(leaving));
    if merged.len() != 1 || merged.contains(&None) || erased.len() != 1 {
        harms.push(Harm::new(Kind::Half, format!("facts went to {merged:?} and {erased:?}")));
    }
    let said = |what: &str| ended.has_done(what);
    if said("merged") && !merged.contains(&Some(somebody)) || said("erased") && !erased.contains(&None) {
        harms.push(Harm::new(Kind::FalseAck, "it was said to be merged and erased"));
    }
    promises.release(&[double, leaving, somebody]);
    let database = open(dir, false).await?;
    let again = async {
        if database.users().find(double).await?.is_some() {
            database.people().merge(double, somebody).await?;
        }
        database.people().erase(leaving).await
    };
    let again = again.await;
    database.close().await?;
    again
}
