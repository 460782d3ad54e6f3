//! Several processes, a process that stands still, backups under load, wrong clocks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rustix::process::Signal;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{BackupKind, RetentionPolicy};
use trivia_domain::ports::{BackupService, Clock, MaintenancePort, RandomSource};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::{Database, SqliteBackups, SystemClock};

use super::check::{Harm, Kind, check, facts_of};
use super::child::{Running, Start};
use super::drive::{BACKUPS, Operation, backups, options};
use super::lab::{Lab, Setting};
use super::play::{Line, Request, SOMEBODY, below};
use super::row::{Ran, Row, Total};

/// Two services on one file, one of which is stopped for a while.
pub(crate) struct Two;

impl Row for Two {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let random = lab.chance("two", case);
        let (dir, mut promises) = lab.scene(Setting::Played);
        let start = || Running::start(lab, &dir, &Start::new(Operation::Play, random.next_u64()));
        let (mut one, mut other) = (start(), start());
        one.hear_acknowledgements(10);
        other.hear_acknowledgements(10);
        // now and then longer than anybody waits for a lock
        let stopped = Duration::from_millis(if case % 8 == 7 { 2_500 } else { below(&random, 150) });
        for _ in 0..1 + below(&random, 3) {
            std::thread::sleep(Duration::from_micros(below(&random, 20_000)));
            one.signal(Signal::STOP);
            std::thread::sleep(stopped);
            one.signal(Signal::CONT);
        }
        one.hear_acknowledgements(40);
        let mut harms = Vec::new();
        for ended in [one.kill(), other.kill()] {
            harms.extend(ended.tell(&mut promises));
        }
        harms.extend(lab.block(check(&dir, &mut promises)));
        Ran { cases: 1, harms, what: format!("one of two services stopped for {stopped:?}") }
    }
}

/// The holder of the lock of the scheduler is stopped, goes on, and dies.
pub(crate) struct Lease;

impl Row for Lease {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let (dir, _) = lab.scene(Setting::Played);
        let mut harms = Vec::new();
        let start = || Running::start(lab, &dir, &Start::new(Operation::Hold, case));
        let is_held = |heard: &[(Instant, Line)]| heard.iter().any(|(_, line)| matches!(line, Line::Ready));
        let mut holder = start();
        holder.hear_until(is_held);
        for signal in [Signal::STOP, Signal::CONT] {
            holder.signal(signal);
            let mut second = start();
            let decided = |heard: &[(Instant, Line)]| {
                heard.iter().any(|(_, line)| matches!(line, Line::Ready | Line::Failed { .. }))
            };
            second.hear_until(decided);
            let ended = second.end();
            let errors: Vec<_> = ended.errors().map(|error| error.kind.clone()).collect();
            if is_held(&ended.heard) || errors != ["busy"] {
                harms.push(Harm::new(Kind::FalseAck, format!("a second scheduler beside one after {signal:?}")));
            }
        }
        holder.kill();
        let mut next = start();
        next.hear_until(is_held);
        if !is_held(&next.kill().heard) {
            harms.push(Harm::new(Kind::Manners, "the lock of a dead process is still held"));
        }
        Ran { cases: 1, harms, what: "a stopped scheduler".to_owned() }
    }
}

/// Backups of one database while its writers play.
pub(crate) struct UnderLoad;

/// Backups of a case.
const BACKUPS_OF_A_CASE: u64 = 5;

impl Row for UnderLoad {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let (dir, mut promises) = lab.scene(Setting::Played);
        let mut harms = Vec::new();
        let mut child = Running::start(lab, &dir, &Start::new(Operation::Play, case + 1));
        let mut made = Vec::new();
        for number in 1..=BACKUPS_OF_A_CASE {
            child.hear_acknowledgements(20 * number as usize);
            made.push((Instant::now(), lab.block(backups(&dir).create(BackupKind::Manual, "under load"))));
        }
        let ended = child.kill();
        for (since, backup) in made {
            let backup = match backup {
                Ok(backup) => backup,
                Err(error) => {
                    harms.push(Harm::new(Kind::Manners, format!("no backup under load: {error}")));
                    continue;
                }
            };
            let copy = rusqlite::Connection::open(&backup.path).expect("a backup opens");
            let held = facts_of(&copy).expect("a ledger");
            drop(copy);
            // what was acknowledged before it began is in it
            for (_, line) in ended.heard.iter().filter(|(at, _)| *at < since) {
                if let Line::Acknowledged { key, user, seq } = line
                    && held.get(key) != Some(&(*user, *seq))
                {
                    harms.push(Harm::new(Kind::Lost, format!("{key} is not in {}", backup.manifest.id)));
                }
            }
            // every number of the copy against its ledger
            match lab.block(backups(&dir).drill(&backup.manifest.id)) {
                Ok(drill) if drill.ok => {}
                Ok(drill) => harms.push(Harm::new(Kind::Half, format!("{:?}", drill.problems))),
                Err(error) => harms.push(Harm::new(Kind::Manners, format!("no drill: {error}"))),
            }
        }
        harms.extend(ended.tell(&mut promises));
        harms.extend(lab.block(check(&dir, &mut promises)));
        Ran { cases: BACKUPS_OF_A_CASE, harms, what: "backups under load".to_owned() }
    }
}

/// A clock that jumps by years, in both directions.
pub(crate) struct WrongClock;

impl Row for WrongClock {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let random = lab.chance("clock", case);
        let mut harms = Vec::new();
        let (dir, mut promises) = lab.scene(Setting::Played);
        let done: StoreResult<()> = lab.block(async {
            let clock = Arc::new(ManualClock::new(SystemClock.now()));
            let service = SqliteBackups::new(options(&dir, false), dir.join(BACKUPS), clock.clone());
            let random_port = Arc::new(SeededRandom::new(random.next_u64()));
            let database = Database::open(options(&dir, false), clock.clone(), random_port).await?;
            for _ in 0..4 {
                let days = 3_653 - below(&random, 7_306) as i64;
                clock.set(SystemClock.now() + TimeDelta::days(days));
                let receipt = Request::award(SOMEBODY, &random).send(&database).await?;
                let line = Line::Acknowledged { key: receipt.key, user: receipt.user_id, seq: receipt.seq };
                harms.extend(promises.hear(&line));
                let kinds = [BackupKind::Manual, BackupKind::Daily, BackupKind::Weekly];
                service.create(kinds[below(&random, 3) as usize], "a wrong clock").await?;
            }
            database.close().await?;
            let before = service.list().await?;
            let mut sequences: Vec<_> = before.iter().map(|backup| backup.manifest.sequence).collect();
            sequences.sort_unstable();
            let keep = 1 + below(&random, before.len() as u64) as usize;
            service.prune(&RetentionPolicy { keep, ..RetentionPolicy::default() }).await?;
            let mut left: Vec<_> = service.list().await?.iter().map(|backup| backup.manifest.sequence).collect();
            left.sort_unstable();
            if left != sequences[sequences.len() - keep..] {
                harms.push(Harm::new(Kind::Lost, format!("of {sequences:?} the newest {keep} are not {left:?}")));
            }
            Ok::<_, StoreError>(())
        });
        if let Err(error) = done {
            harms.push(Harm::new(Kind::Manners, format!("a wrong clock stops it: {error}")));
        }
        harms.extend(lab.block(check(&dir, &mut promises)));
        Ran { cases: 1, harms, what: "a clock that jumps".to_owned() }
    }
}
