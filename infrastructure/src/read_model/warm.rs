//! What the writer has at hand: the rows that the last batches touched.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hashlink::LruCache;
use trivia_domain::model::{
    Category, ChallengeId, DayKey, GameSession, Period, QuestionContent, QuestionId, SessionId, UserId,
};
use trivia_domain::play::PlayerState;

/// Players that are kept, some 3 kB each.
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
    fn has(&self, needed: &Needed<'_>, periods: &BTreeSet<(Period, DayKey)>) -> bool {
        needed.categories.iter().all(|category| self.categories.contains(*category))
            && needed.challenges.iter().all(|challenge| self.challenges.contains(challenge))
            && periods.is_subset(&self.periods)
    }
}

/// Rows as they are after the last batch.
pub(crate) struct Warm {
    players: LruCache<UserId, (PlayerState, Arc<Known>)>,
    sessions: LruCache<SessionId, GameSession>,
    contents: LruCache<(QuestionId, u32), QuestionContent>,
}

impl Default for Warm {
    fn default() -> Self {
        Self { players: LruCache::new(PLAYERS), sessions: LruCache::new(OTHERS), contents: LruCache::new(OTHERS) }
    }
}

impl Warm {
    /// Takes a player out who is known well enough.
    pub(crate) fn take_player(
        &mut self,
        id: UserId,
        needed: &Needed<'_>,
        periods: &BTreeSet<(Period, DayKey)>,
    ) -> Option<(PlayerState, Arc<Known>)> {
        self.players.remove(&id).filter(|(_, known)| known.has(needed, periods))
    }

    pub(crate) fn session(&mut self, id: SessionId) -> Option<GameSession> {
        self.sessions.get(&id).cloned()
    }

    pub(crate) fn content(&mut self, id: QuestionId, version: u32) -> Option<QuestionContent> {
        self.contents.get(&(id, version)).cloned()
    }

    /// Keeps what a batch has left.
    pub(crate) fn keep(
        &mut self,
        players: HashMap<UserId, PlayerState>,
        known: &HashMap<UserId, Arc<Known>>,
        sessions: HashMap<SessionId, GameSession>,
        contents: HashMap<(QuestionId, u32), QuestionContent>,
    ) {
        for (id, player) in players {
            if let Some(known) = known.get(&id) {
                self.players.insert(id, (player, Arc::clone(known)));
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
