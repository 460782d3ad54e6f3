//! What the writer has at hand: the rows that the last batches touched, and the facts that wait to be
//! projected.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use hashlink::{LinkedHashMap, LruCache};
use trivia_domain::model::{
    Category, ChallengeId, DayKey, GameSession, LedgerEntry, Period, QuestionContent, QuestionId, Receipt, SessionId,
    UserId,
};
use trivia_domain::play::{PlayerState, RuleBook};

/// Players that are kept beside those whose facts wait, some 3 kB each.
const PLAYERS: usize = 16_384;
/// Sessions and versions of questions that are kept.
const OTHERS: usize = 4_096;

/// Which of a player's tallies, scores and attempts are in a state; a row that is not there is known not
/// to exist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) categories: BTreeSet<Category>,
    pub(crate) periods: BTreeSet<(Period, DayKey)>,
    pub(crate) challenges: BTreeSet<ChallengeId>,
}

/// What a batch needs to know of one player.
#[derive(Debug, Default)]
pub(crate) struct Needed<'a> {
    pub(crate) categories: Vec<&'a Category>,
    pub(crate) challenges: Vec<ChallengeId>,
}

impl Known {
    pub(crate) fn has(&self, needed: &Needed<'_>, periods: &BTreeSet<(Period, DayKey)>) -> bool {
        needed.categories.iter().all(|category| self.categories.contains(*category))
            && needed.challenges.iter().all(|challenge| self.challenges.contains(challenge))
            && periods.is_subset(&self.periods)
    }

    /// What one or the other knows.
    pub(crate) fn and(&self, more: &Self) -> Self {
        Self {
            categories: self.categories.union(&more.categories).cloned().collect(),
            periods: self.periods.union(&more.periods).copied().collect(),
            challenges: self.challenges.union(&more.challenges).copied().collect(),
        }
    }
}

/// A player as the ledger leaves him.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) state: Arc<PlayerState>,
    pub(crate) known: Arc<Known>,
}

/// A player whose newest facts are in the ledger only.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) player: Player,
    pub(crate) facts: Vec<(LedgerEntry, Receipt)>,
    /// Since when the first of them waits.
    pub(crate) since: Instant,
}

/// What a batch leaves at hand.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) rules: Arc<RuleBook>,
    pub(crate) players: HashMap<UserId, Player>,
    /// New facts that wait, in order.
    pub(crate) facts: BTreeMap<UserId, Vec<(LedgerEntry, Receipt)>>,
    pub(crate) sessions: HashMap<SessionId, GameSession>,
    pub(crate) contents: HashMap<(QuestionId, u32), QuestionContent>,
}

/// Rows as they are after the last batch.
pub(crate) struct Warm {
    players: LruCache<UserId, Player>,
    /// Those who wait longest come first.
    pending: LinkedHashMap<UserId, Pending>,
    /// Those of them whom the transaction under way has projected.
    projected: HashSet<UserId>,
    sessions: LruCache<SessionId, GameSession>,
    contents: LruCache<(QuestionId, u32), QuestionContent>,
    rules: Option<Arc<RuleBook>>,
}

impl Default for Warm {
    fn default() -> Self {
        Self {
            players: LruCache::new(PLAYERS),
            pending: LinkedHashMap::new(),
            projected: HashSet::new(),
            sessions: LruCache::new(OTHERS),
            contents: LruCache::new(OTHERS),
            rules: None,
        }
    }
}

impl Warm {
    pub(crate) fn player(&mut self, id: UserId) -> Option<Player> {
        self.pending.get(&id).map(|pending| &pending.player).or_else(|| self.players.get(&id)).cloned()
    }

    pub(crate) fn rules(&self) -> Option<Arc<RuleBook>> {
        self.rules.clone()
    }

    pub(crate) fn session(&mut self, id: SessionId) -> Option<GameSession> {
        self.sessions.get(&id).cloned()
    }

    pub(crate) fn content(&mut self, id: QuestionId, version: u32) -> Option<QuestionContent> {
        self.contents.get(&(id, version)).cloned()
    }

    /// Those whose facts wait, longest first.
    pub(crate) const fn pending(&self) -> &LinkedHashMap<UserId, Pending> {
        &self.pending
    }

    /// Whether the file lists a player as waiting.
    pub(crate) fn is_listed(&self, id: UserId) -> bool {
        self.pending.contains_key(&id) && !self.projected.contains(&id)
    }

    /// The transaction under way has projected these.
    pub(crate) fn projected(&mut self, ids: &[UserId]) {
        self.projected.extend(ids);
    }

    /// It has committed; these wait no more.
    pub(super) fn landed(&mut self) -> HashSet<UserId> {
        let projected = std::mem::take(&mut self.projected);
        for id in &projected {
            if let Some(pending) = self.pending.remove(id) {
                self.players.insert(*id, pending.player);
            }
        }
        projected
    }

    /// It has not.
    pub(super) fn undone(&mut self) {
        self.projected.clear();
    }

    /// Forgets everything that can be read again.
    pub(super) fn forget(&mut self) {
        self.players.clear();
        self.sessions.clear();
        self.contents.clear();
        self.rules = None;
    }

    /// Keeps what a batch has left.
    pub(super) fn keep(&mut self, left: Leftover, now: Instant) {
        let Leftover { rules, mut players, facts, sessions, contents } = left;
        self.rules = Some(rules);
        for (id, facts) in facts {
            let Some(player) = players.remove(&id) else { continue };
            match self.pending.get_mut(&id) {
                Some(pending) => {
                    pending.player = player;
                    pending.facts.extend(facts);
                }
                None => {
                    self.players.remove(&id);
                    self.pending.insert(id, Pending { player, facts, since: now });
                }
            }
        }
        for (id, player) in players {
            match self.pending.get_mut(&id) {
                Some(pending) => pending.player = player,
                None => drop(self.players.insert(id, player)),
            }
        }
        for (id, session) in sessions {
            self.sessions.insert(id, session);
        }
        for (version, content) in contents {
            self.contents.insert(version, content);
        }
    }
}
