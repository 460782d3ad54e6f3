//! What was promised, and whether it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{IdempotencyKey, UserId};
use trivia_domain::ports::{CheckOutcome, MaintenancePort, RandomSource};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::Database;
use uuid::Uuid;

use super::drive::{DATABASE, open};
use super::play::{Line, Request, SOMEBODY, Told};

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Acknowledged, and gone.
    Lost,
    /// Neither the old nor the new state; refused, but there; numbers that do not follow from the ledger.
    Half,
    /// The file is damaged or does not open.
    Corrupt,
    /// Said to be done, and not done.
    FalseAck,
    /// A panic, an error without a next step, work that does not go on after the fault.
    Manners,
}

/// Something that must never happen, and did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Harm {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Harm {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// The facts of a ledger: player and number of each key.
pub(crate) type Facts = BTreeMap<IdempotencyKey, (UserId, u64)>;

/// Reads the ledger of a database as it is on the disk.
pub(crate) fn facts(dir: &Path) -> Result<Facts, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    facts_of(&Connection::open_with_flags(dir.join(DATABASE), flags)?)
}

/// Reads the ledger through a connection.
pub(crate) fn facts_of(connection: &Connection) -> Result<Facts, rusqlite::Error> {
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    let mut statement = connection.prepare("SELECT key, user_id, seq FROM ledger")?;
    let rows = statement.query_map([], |row| {
        let user = UserId::new(row.get(1)?).map_err(|_| rusqlite::Error::InvalidQuery)?;
        let seq = row.get::<_, i64>(2)?.unsigned_abs();
        Ok((IdempotencyKey::new(row.get::<_, Uuid>(0)?), (user, seq)))
    })?;
    rows.collect()
}

/// Everything that a store has told about moves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promises {
    requests: BTreeMap<IdempotencyKey, Request>,
    /// How often each was sent and no outcome was heard.
    open: BTreeMap<IdempotencyKey, u64>,
    unknown: BTreeSet<IdempotencyKey>,
    pub(crate) acknowledged: Facts,
    refused: BTreeSet<IdempotencyKey>,
    /// All that was in the ledger once; it stays there.
    seen: Facts,
}

impl Promises {
    /// Takes a line in, and says what is wrong with it.
    pub(crate) fn hear(&mut self, line: &Line) -> Vec<Harm> {
        let mut harms = Vec::new();
        match line {
            Line::Sent { request } => {
                self.requests.insert(request.key(), request.clone());
                *self.open.entry(request.key()).or_default() += 1;
            }
            Line::Acknowledged { key, user, seq } => {
                self.answered(key);
                let promise = (*user, *seq);
                let earlier = self.acknowledged.insert(*key, promise);
                if earlier.is_some_and(|earlier| earlier != promise) {
                    harms.push(Harm::new(Kind::FalseAck, format!("{key} was acknowledged as two facts")));
                }
            }
            Line::Refused { key, error } => {
                self.answered(key);
                self.refused.insert(*key);
                harms.extend(manners(error));
            }
            Line::Unknown { key, error } => {
                self.answered(key);
                self.unknown.insert(*key);
                harms.extend(manners(error));
            }
            Line::Failed { error, .. } => harms.extend(manners(error)),
            Line::Unhealed { error } => {
                let text = format!("it does not work again after the fault: {}", error.text);
                harms.push(Harm::new(Kind::Manners, text));
            }
            Line::Ready | Line::Done { .. } | Line::Healed => {}
        }
        harms
    }

    fn answered(&mut self, key: &IdempotencyKey) {
        if let Some(open) = self.open.get_mut(key) {
            *open = open.saturating_sub(1);
        }
    }

    /// What is there already is promised, too.
    pub(crate) fn expect(&mut self, facts: Facts) {
        self.seen = facts;
    }

    /// Players whose facts went to another player, or away: nothing is promised about their numbers.
    pub(crate) fn release(&mut self, users: &[UserId]) {
        for facts in [&mut self.acknowledged, &mut self.seen] {
            facts.retain(|_, (user, _)| !users.contains(user));
        }
    }

    /// Requests whose outcome nobody was told.
    pub(crate) fn unknown(&self) -> Vec<&Request> {
        let is_unknown = |key: &IdempotencyKey| {
            let open = self.open.get(key).is_some_and(|open| *open > 0) || self.unknown.contains(key);
            open && !self.acknowledged.contains_key(key)
        };
        self.requests.values().filter(|request| is_unknown(&request.key())).collect()
    }

    /// Compares with a ledger.
    pub(crate) fn compare(&self, ledger: &Facts) -> Vec<Harm> {
        let mut harms = Vec::new();
        for (key, (user, seq)) in self.acknowledged.iter().chain(&self.seen) {
            match ledger.get(key) {
                Some(found) if found == &(*user, *seq) => {}
                Some((_, found)) => {
                    harms.push(Harm::new(Kind::Lost, format!("fact {seq} of {user} is number {found} now")));
                }
                None => harms.push(Harm::new(Kind::Lost, format!("fact {seq} of {user} ({key}) is gone"))),
            }
        }
        let unknown: BTreeSet<_> = self.unknown().into_iter().map(Request::key).collect();
        for key in &self.refused {
            let is_promised = self.acknowledged.contains_key(key) || unknown.contains(key);
            if ledger.contains_key(key) && !is_promised {
                harms.push(Harm::new(Kind::Half, format!("{key} was refused and is in the ledger")));
            }
        }
        harms.dedup_by(|a, b| a.text == b.text);
        harms
    }
}

/// Whether an error names a cause and a next step.
fn manners(error: &Told) -> Option<Harm> {
    let panicked = error.text.contains("panicked");
    (error.text.len() < 10 || error.hint.is_empty() || panicked)
        .then(|| Harm::new(Kind::Manners, format!("an error that helps nobody: {error:?}")))
}

/// Looks at everything that a fault has left: facts, numbers, pages; settles what is unknown; and makes a move, because
/// work must go on without anybody's hands.
pub(crate) async fn check(dir: &Path, promises: &mut Promises) -> Vec<Harm> {
    let database = match open(dir, false).await {
        Ok(database) => database,
        Err(error) => return vec![Harm::new(Kind::Corrupt, format!("it does not open: {error}"))],
    };
    let mut harms = Vec::new();
    if let Err(error) = look(dir, &database, promises, &mut harms).await {
        harms.push(Harm::new(Kind::Manners, format!("it does not work: {error}")));
    }
    if let Err(error) = database.close().await {
        harms.push(Harm::new(Kind::Manners, format!("it does not close: {error}")));
    }
    harms
}

async fn look(dir: &Path, database: &Database, promises: &mut Promises, harms: &mut Vec<Harm>) -> StoreResult<()> {
    let read = || facts(dir).map_err(|error| StoreError::backend("reading the ledger", error));
    let before = read()?;
    harms.extend(promises.compare(&before));
    let mut expected = before.clone();
    let unknown: Vec<_> = promises.unknown().into_iter().cloned().collect();
    for request in unknown {
        let key = request.key();
        match (request.send(database).await, before.get(&key)) {
            (Ok(receipt), Some(stored)) if stored == &(receipt.user_id, receipt.seq) => {}
            (Ok(receipt), None) => drop(expected.insert(key, (receipt.user_id, receipt.seq))),
            (Err(StoreError::Refused(_)), None) => {}
            (other, stored) => {
                let text = format!("a retry of {key} says {other:?}, the ledger {stored:?}");
                harms.push(Harm::new(Kind::Half, text));
            }
        }
        promises.unknown.remove(&key);
        promises.open.remove(&key);
        if let Some(stored) = expected.get(&key) {
            promises.acknowledged.insert(key, *stored);
        } else {
            promises.refused.insert(key);
        }
    }
    let receipt = Request::award(SOMEBODY, &Fresh).send(database).await?;
    expected.insert(receipt.key, (receipt.user_id, receipt.seq));
    let after = read()?;
    if after != expected {
        harms.push(Harm::new(Kind::Half, format!("{} facts instead of {}", after.len(), expected.len())));
    }
    harms.extend(sound(database).await);
    promises.seen = after;
    Ok(())
}

/// Pages, keys, and every number against the ledger.
pub(crate) async fn sound(database: &Database) -> Vec<Harm> {
    match database.check().await {
        CheckOutcome::Ok => Vec::new(),
        CheckOutcome::Bad { problems } => {
            let kind = |problem: &str| if problem.contains("pages") { Kind::Corrupt } else { Kind::Half };
            problems.iter().take(5).map(|problem| Harm::new(kind(problem), problem)).collect()
        }
        CheckOutcome::CouldNotCheck { reason } => vec![Harm::new(Kind::Manners, format!("no check: {reason}"))],
    }
}

/// Chance for the keys of the harness itself, which nobody has to repeat.
struct Fresh;

impl RandomSource for Fresh {
    fn next_u64(&self) -> u64 {
        let (high, low) = Uuid::now_v7().as_u64_pair();
        SeededRandom::new(high ^ low.rotate_left(17)).next_u64()
    }
}
