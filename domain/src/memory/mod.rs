//! A complete store without a database, for unit tests of a game-logic service and as the reference
//! that every other backend is compared with by the contract suite.
//!
//! ```
//! use std::sync::Arc;
//!
//! use trivia_domain::StoreError;
//! use trivia_domain::memory::{ManualClock, MemoryStore, SeededRandom};
//! use trivia_domain::model::{Board, IdempotencyKey, Points, UserId};
//! use trivia_domain::ports::{AwardRequest, Clock, Repositories};
//!
//! # futures_executor::block_on(async {
//! let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
//! let random = Arc::new(SeededRandom::new(7));
//! let store = MemoryStore::new(clock.clone(), random.clone());
//!
//! let user_id = store.users().get_or_create(UserId::new(1)?).await?.user_id;
//! let key = IdempotencyKey::generate(clock.now(), random.as_ref());
//! let award = AwardRequest { key, user_id, points: Points::small(10), reason: "welcome".to_owned() };
//! let receipt = store.play().award(award.clone()).await?;
//! assert_eq!(store.play().award(award).await?, receipt, "a retry counts once");
//! let standing = store.rankings().standing(Board::AllTime, user_id).await?;
//! assert_eq!(standing.map(|standing| standing.rank), Some(1));
//! # Ok::<(), StoreError>(())
//! # }).unwrap();
//! ```

mod achievements;
mod challenges;
mod clock;
mod packs;
mod people;
mod play;
mod questions;
mod random;
mod rankings;
mod reports;
mod rules;
mod sessions;
mod users;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::questions::Shelf;
use self::reports::Reports;
pub use self::{clock::ManualClock, random::SeededRandom};
use crate::error::StoreResult;
use crate::model::{QuestionId, UserId};
use crate::play::{RuleBook, WorkingSet};
use crate::ports::{
    AchievementRepository, ChallengeRepository, Clock, ErasedWork, PackRepository, PeoplePort, PickOwner, PlayPort,
    QuestionRepository, RandomSource, RankingRepository, ReportRepository, Repositories, RulesPort, SessionRepository,
    Store, UnitOfWork, UserRepository,
};

/// A [`Store`] that keeps everything in memory and forgets it when dropped.
///
/// Units of work are optimistic: each runs on a copy, and runs again when somebody else wrote meanwhile.
pub struct MemoryStore(Tables);

impl MemoryStore {
    /// An empty store that plays by the built-in achievements and the default calendar.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Self {
        Self(Tables { state: Mutex::default(), clock, random })
    }
}

/// All that is stored.
#[derive(Debug, Clone, Default)]
struct State {
    /// Grows with every write, so that a unit of work sees whether it ran on what is there now.
    version: u64,
    rules: RuleBook,
    play: WorkingSet,
    questions: Shelf,
    /// What was picked for whom, the oldest pick first; a question is there once.
    picks: HashMap<PickOwner, Vec<QuestionId>>,
    reports: Reports,
    /// Who may be erased again without having been there since.
    erased: HashSet<UserId>,
}

/// The repositories over one state: that of the store, or the copy of a unit of work.
struct Tables {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
}

impl Tables {
    /// The state, to look at.
    fn read(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, to change.
    fn write(&self) -> MutexGuard<'_, State> {
        let mut state = self.read();
        state.version += 1;
        state
    }

    /// The same repositories over a copy of the state.
    fn copy(&self) -> Self {
        Self {
            state: Mutex::new(self.read().clone()),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
        }
    }

    /// Takes over what a copy became, unless somebody wrote since the copy was made at version `base`.
    fn adopt(&self, copy: Self, base: u64) -> bool {
        let copy = copy.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let only_read = copy.version == base;
        let mut state = self.read();
        let unchanged = state.version == base;
        if unchanged {
            *state = copy;
        }
        only_read || unchanged
    }
}

impl Repositories for Tables {
    fn users(&self) -> &dyn UserRepository {
        self
    }
    fn questions(&self) -> &dyn QuestionRepository {
        self
    }
    fn packs(&self) -> &dyn PackRepository {
        self
    }
    fn reports(&self) -> &dyn ReportRepository {
        self
    }
    fn sessions(&self) -> &dyn SessionRepository {
        self
    }
    fn challenges(&self) -> &dyn ChallengeRepository {
        self
    }
    fn achievements(&self) -> &dyn AchievementRepository {
        self
    }
    fn rankings(&self) -> &dyn RankingRepository {
        self
    }
    fn play(&self) -> &dyn PlayPort {
        self
    }
}

impl UnitOfWork for Tables {}

impl Repositories for MemoryStore {
    fn users(&self) -> &dyn UserRepository {
        &self.0
    }
    fn questions(&self) -> &dyn QuestionRepository {
        &self.0
    }
    fn packs(&self) -> &dyn PackRepository {
        &self.0
    }
    fn reports(&self) -> &dyn ReportRepository {
        &self.0
    }
    fn sessions(&self) -> &dyn SessionRepository {
        &self.0
    }
    fn challenges(&self) -> &dyn ChallengeRepository {
        &self.0
    }
    fn achievements(&self) -> &dyn AchievementRepository {
        &self.0
    }
    fn rankings(&self) -> &dyn RankingRepository {
        &self.0
    }
    fn play(&self) -> &dyn PlayPort {
        &self.0
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn rules(&self) -> &dyn RulesPort {
        &self.0
    }
    fn people(&self) -> &dyn PeoplePort {
        &self.0
    }
    async fn run(&self, work: &dyn ErasedWork) -> StoreResult<()> {
        loop {
            let copy = self.0.copy();
            let base = copy.read().version;
            work.run(&copy).await?;
            if self.0.adopt(copy, base) {
                return Ok(());
            }
        }
    }
}
