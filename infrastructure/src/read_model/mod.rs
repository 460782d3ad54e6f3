//! What is read most, in memory: profiles and boards. It never answers with anything but the present
//! state of the database: each answer is preceded by a look at the database's counter of commits, which
//! every process moves. Commits of this process change the model along; after one of another process it
//! starts empty.

mod ladder;
mod warm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use trivia_domain::StoreResult;
use trivia_domain::model::{
    Board, Cursor, DayKey, LeaderboardEntry, LeaderboardPage, Period, PeriodScore, Standing, UserId, UserProfile,
};
use trivia_domain::play::PlayerState;

pub(crate) use self::ladder::{Ladder, Line};
pub(crate) use self::warm::{Known, Needed, Warm};
use crate::database::{Moment, Watch};

/// Profiles that are kept; some 250 bytes each.
const PROFILES: usize = 200_000;
/// Boards that are kept or were looked at once; some 100 bytes for each player of a kept one.
const BOARDS: usize = 8;

/// What a transaction did to one player, as it is afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    profile: UserProfile,
    /// All scores were cleared before.
    cleared: bool,
    scores: Vec<((Period, DayKey), PeriodScore)>,
}

impl Changed {
    /// Everything that is known of a player after a move.
    pub(crate) fn by_moves(player: &PlayerState, cleared: bool) -> Self {
        let scores = player.scores.iter().map(|(key, score)| (*key, score.clone())).collect();
        Self { profile: player.profile.clone(), cleared, scores }
    }

    /// A profile whose points are what they were.
    pub(crate) const fn profile(profile: UserProfile) -> Self {
        Self { profile, cleared: false, scores: Vec::new() }
    }
}

/// What a transaction did to what is kept here.
pub(crate) struct Effects {
    /// The players whom it changed; `None` when it may have changed anything.
    players: Option<Vec<Changed>>,
    warm: Warmth,
}

/// What a transaction did to the rows that the writer has at hand.
enum Warmth {
    /// Nothing.
    Stays,
    /// These are the rows now.
    Now(Box<Warm>),
    /// Something.
    Gone,
}

impl Effects {
    /// Nothing that is kept here.
    pub(crate) const NONE: Self = Self { players: Some(Vec::new()), warm: Warmth::Stays };
    /// Sessions, but no players.
    pub(crate) const SESSIONS: Self = Self { players: Some(Vec::new()), warm: Warmth::Gone };
    /// Anything.
    pub(crate) const UNKNOWN: Self = Self { players: None, warm: Warmth::Gone };

    /// These players and what belongs to them; the writer has `warm` at hand then.
    pub(crate) fn on(players: Vec<Changed>, warm: Option<Warm>) -> Self {
        Self { players: Some(players), warm: warm.map_or(Warmth::Gone, |warm| Warmth::Now(Box::new(warm))) }
    }

    /// The same, but the rows at hand are not to be kept.
    pub(crate) fn without_rows(self) -> Self {
        Self { warm: Warmth::Gone, ..self }
    }

    /// Adds those of another step of the same transaction.
    pub(crate) fn add(&mut self, more: Self) {
        match (&mut self.players, more.players) {
            (Some(all), Some(more)) => all.extend(more),
            _ => self.players = None,
        }
        if !matches!(more.warm, Warmth::Stays) {
            self.warm = more.warm;
        }
    }
}

/// A board on its way into the model.
pub(crate) struct Loading {
    pub(crate) board: Board,
    number: u64,
}

enum Slot {
    /// Somebody has looked at it once.
    Seen,
    /// It is being read; meanwhile changes wait here.
    Loading {
        number: u64,
        missed: Vec<Changed>,
    },
    Ready(Ladder),
}

#[derive(Default)]
struct State {
    watch: Option<Watch>,
    /// What the content is right for.
    moment: Option<Moment>,
    /// A transaction of this process is under way, so a new moment may be its own.
    writing: bool,
    profiles: Option<LruCache<UserId, UserProfile>>,
    warm: Option<Box<Warm>>,
    boards: HashMap<Board, (u64, Slot)>,
    /// Grows with each use, so that the board is found that nobody looks at.
    uses: u64,
}

impl State {
    /// Whether the content is right now. After a commit of another process it is dropped.
    fn is_present(&mut self) -> bool {
        let now = self.watch.as_ref().and_then(Watch::now);
        if now.is_some() && now != self.moment && !self.writing {
            self.start_over(now);
        }
        now.is_some() && now == self.moment
    }

    fn start_over(&mut self, moment: Option<Moment>) {
        self.moment = moment;
        self.boards.clear();
        self.profiles = None;
        self.warm = None;
    }

    fn profiles(&mut self) -> &mut LruCache<UserId, UserProfile> {
        self.profiles.get_or_insert_with(|| LruCache::new(PROFILES))
    }

    fn change(&mut self, changed: Changed) {
        for (board, (_, slot)) in &mut self.boards {
            match slot {
                Slot::Seen => {}
                Slot::Loading { missed, .. } => missed.push(changed.clone()),
                Slot::Ready(ladder) => ladder.change(*board, &changed),
            }
        }
        let profiles = self.profiles();
        if let Some(known) = profiles.get_mut(&changed.profile.user_id) {
            *known = changed.profile;
        }
    }

    /// Forgets the board that nobody has looked at for longest, when there are too many.
    fn forget_oldest(&mut self) {
        if self.boards.len() <= BOARDS {
            return;
        }
        let oldest = self.boards.iter().min_by_key(|(_, (used, _))| *used).map(|(board, _)| *board);
        if let Some(board) = oldest {
            self.boards.remove(&board);
        }
    }

    fn ladder(&mut self, board: Board) -> Option<&Ladder> {
        if !self.is_present() {
            return None;
        }
        self.uses += 1;
        let (used, slot) = self.boards.get_mut(&board)?;
        *used = self.uses;
        match slot {
            Slot::Ready(ladder) => Some(ladder),
            Slot::Seen | Slot::Loading { .. } => None,
        }
    }
}

/// Profiles and boards in memory.
#[derive(Default)]
pub(crate) struct ReadModel(Mutex<State>);

impl ReadModel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows an open database from now on, or none: then every question goes to the database.
    pub(crate) fn follow(&self, watch: Option<Watch>) {
        let mut state = self.state();
        state.start_over(None);
        state.watch = watch;
    }

    /// A transaction of this process may write from now on, and nobody else.
    pub(crate) fn begin(self: &Arc<Self>) -> Flight {
        let mut state = self.state();
        state.is_present();
        state.writing = true;
        Flight(Arc::clone(self))
    }

    /// The rows that the writer has at hand, for the transaction under way; [`Flight::land`] gives them back.
    pub(crate) fn take_warm(&self) -> Warm {
        let mut state = self.state();
        let warm = if state.is_present() { state.warm.take() } else { None };
        warm.map_or_else(Warm::default, |warm| *warm)
    }

    /// The profile, if it is known here.
    pub(crate) fn profile(&self, id: UserId) -> Option<UserProfile> {
        let mut state = self.state();
        if !state.is_present() {
            return None;
        }
        state.profiles().get(&id).cloned()
    }

    /// The present moment, for [`Self::keep_profile`].
    pub(crate) fn moment(&self) -> Option<Moment> {
        let mut state = self.state();
        if state.is_present() { state.moment } else { None }
    }

    /// Keeps a profile that was read at a moment or later, unless somebody wrote since.
    pub(crate) fn keep_profile(&self, moment: Option<Moment>, profile: &UserProfile) {
        let mut state = self.state();
        if moment.is_some() && state.is_present() && state.moment == moment {
            state.profiles().insert(profile.user_id, profile.clone());
        }
    }

    /// See [`RankingRepository::page`](trivia_domain::ports::RankingRepository::page).
    pub(crate) fn page(&self, board: Board, after: Option<Cursor>, limit: u32) -> Option<StoreResult<LeaderboardPage>> {
        Some(self.state().ladder(board)?.page(board, after, limit as usize))
    }

    /// See [`RankingRepository::standing`](trivia_domain::ports::RankingRepository::standing).
    pub(crate) fn standing(&self, board: Board, user: UserId) -> Option<Option<Standing>> {
        Some(self.state().ladder(board)?.standing(user))
    }

    /// See [`RankingRepository::around`](trivia_domain::ports::RankingRepository::around).
    pub(crate) fn around(&self, board: Board, user: UserId, radius: u32) -> Option<Vec<LeaderboardEntry>> {
        Some(self.state().ladder(board)?.around(user, radius as usize))
    }

    /// Says that somebody had to ask the database about a board. From the second time on it is worth
    /// reading whole; then the caller does that and calls [`Self::loaded`].
    pub(crate) fn wanted(&self, board: Board) -> Option<Loading> {
        let mut state = self.state();
        if !state.is_present() {
            return None;
        }
        state.uses += 1;
        let number = state.uses;
        match state.boards.get_mut(&board) {
            None => {
                state.boards.insert(board, (number, Slot::Seen));
                state.forget_oldest();
                None
            }
            Some((_, slot @ Slot::Seen)) => {
                *slot = Slot::Loading { number, missed: Vec::new() };
                Some(Loading { board, number })
            }
            Some(_) => None,
        }
    }

    /// Takes a board in that was read after [`Self::wanted`], unless another process wrote meanwhile.
    pub(crate) fn loaded(&self, loading: &Loading, mut ladder: Ladder) {
        let mut state = self.state();
        let Some((_, slot)) = state.boards.get_mut(&loading.board) else { return };
        if let Slot::Loading { number, missed } = slot
            && *number == loading.number
        {
            for changed in missed.drain(..) {
                ladder.change(loading.board, &changed);
            }
            *slot = Slot::Ready(ladder);
        }
    }

    /// Lets a board be wanted again that could not be read.
    pub(crate) fn not_loaded(&self, loading: &Loading) {
        self.state().boards.remove(&loading.board);
    }
}

/// A transaction under way. Dropped without [`Flight::land`], it has changed nothing, or nobody knows.
pub(crate) struct Flight(Arc<ReadModel>);

impl Flight {
    /// The transaction has committed, and nobody else could since.
    pub(crate) fn land(self, effects: Effects) {
        let mut state = self.0.state();
        let now = state.watch.as_ref().and_then(Watch::now);
        let Effects { players, warm } = effects;
        match (state.moment, now, players) {
            // nothing was written
            (Some(before), Some(after), _) if after == before => {}
            (Some(before), Some(after), Some(players)) if after.follows(&before) => {
                state.moment = now;
                for changed in players {
                    state.change(changed);
                }
            }
            _ => return state.start_over(now),
        }
        match warm {
            Warmth::Stays => {}
            Warmth::Now(warm) => state.warm = Some(warm),
            Warmth::Gone => state.warm = None,
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.state().writing = false;
    }
}
