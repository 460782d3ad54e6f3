//! What is read most, in memory: profiles and boards. It never answers with anything but the present
//! state of the database: each answer is preceded by a look at the database's counter of commits, which
//! every process moves. Commits of this process change the model along; after one of another process it
//! starts empty.

mod ladder;
mod warm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hashlink::LruCache;
use trivia_domain::StoreResult;
use trivia_domain::model::{
    Board, Cursor, DayKey, LeaderboardEntry, LeaderboardPage, Period, PeriodScore, Standing, UserId, UserProfile,
};
use trivia_domain::play::PlayerState;

pub(crate) use self::ladder::{Ladder, Line};
pub(crate) use self::warm::{Known, Leftover, Needed, Player, Warm};
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
    /// These are new or changed.
    Left(Box<Leftover>),
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

    /// These players; what else the writer has at hand may be wrong then.
    pub(crate) const fn on(players: Vec<Changed>) -> Self {
        Self { players: Some(players), warm: Warmth::Gone }
    }

    /// These players, and what a batch leaves at hand.
    pub(crate) fn of_moves(players: Vec<Changed>, left: Leftover) -> Self {
        Self { players: Some(players), warm: Warmth::Left(Box::new(left)) }
    }

    /// The same, but nothing is left at hand.
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

/// Whose facts are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Player(UserId),
    Everybody,
}

/// Whether facts wait to be projected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Nothing,
    Something,
    /// Only the file knows: another process has written, or nobody here has yet.
    Unknown(Option<Moment>),
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
    /// A transaction of this process is under way, so a new moment can only be its own.
    writing: bool,
    profiles: Option<LruCache<UserId, UserProfile>>,
    /// Whether `behind` is all that the file lists.
    knows: bool,
    /// Players whose newest facts are in the ledger only.
    behind: HashMap<UserId, Arc<PlayerState>>,
    /// Since when the first of those facts waits.
    since: Option<Instant>,
    /// What the writer has at hand, while it does not write.
    warm: Option<Box<Warm>>,
    boards: HashMap<Board, (u64, Slot)>,
    /// Grows with each use, so that the board is found that nobody looks at.
    uses: u64,
    /// Grows each time the content is dropped.
    generation: u64,
}

impl State {
    /// Whether the content is right now. After a commit of another process it is dropped.
    fn is_present(&mut self) -> bool {
        if self.writing {
            // nobody has been told of the transaction under way
            return self.moment.is_some();
        }
        let now = self.watch.as_ref().and_then(Watch::now);
        if now.is_some() && now != self.moment {
            self.start_over(now);
        }
        now.is_some() && now == self.moment
    }

    fn start_over(&mut self, moment: Option<Moment>) {
        self.moment = moment;
        self.boards.clear();
        self.profiles = None;
        self.knows = false;
        self.behind.clear();
        self.since = None;
        self.warm = None;
        self.generation += 1;
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
        let knows = state.is_present() && state.knows;
        state.writing = true;
        let warm = knows.then(|| state.warm.take().unwrap_or_default());
        let is_remembered = state.watch.is_some();
        Flight { model: Arc::clone(self), warm, generation: state.generation, is_remembered }
    }

    /// Whether facts wait that were recorded at an instant or before.
    pub(crate) fn behind(&self, whose: Whose, until: Instant) -> Behind {
        let mut state = self.state();
        if !state.is_present() || !state.knows {
            return Behind::Unknown(state.moment);
        }
        let waits = match whose {
            Whose::Player(id) => state.behind.contains_key(&id),
            Whose::Everybody => state.since.is_some_and(|since| since <= until),
        };
        if waits { Behind::Something } else { Behind::Nothing }
    }

    /// The file lists nobody whose facts wait, and did not at this moment.
    pub(crate) fn nothing_is_behind(&self, moment: Option<Moment>) {
        let mut state = self.state();
        if state.is_present() && !state.writing && state.moment == moment {
            state.knows = true;
        }
    }

    /// How many players' facts wait, as far as is known here.
    pub(crate) fn waiting(&self) -> usize {
        self.state().behind.len()
    }

    /// The profile, if it is known here.
    pub(crate) fn profile(&self, id: UserId) -> Option<UserProfile> {
        let mut state = self.state();
        if !state.is_present() {
            return None;
        }
        if let Some(player) = state.behind.get(&id) {
            return Some(player.profile.clone());
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
pub(crate) struct Flight {
    model: Arc<ReadModel>,
    /// What the writer has at hand; `None` when only the file knows whose facts wait.
    warm: Option<Box<Warm>>,
    generation: u64,
    is_remembered: bool,
}

impl Flight {
    /// Whether what the writer has at hand will still be there for the next transaction.
    pub(crate) const fn is_remembered(&self) -> bool {
        self.is_remembered
    }

    /// What the writer has at hand; `None` when only the file knows whose facts wait.
    pub(crate) fn warm(&mut self) -> Option<&mut Warm> {
        self.warm.as_deref_mut()
    }

    /// In the file, nobody's facts wait any more.
    pub(crate) fn caught_up(&mut self) {
        self.warm = Some(Box::default());
    }

    /// The transaction has committed, and nobody else could since.
    pub(crate) fn land(mut self, effects: Effects) {
        let warm = self.warm.take();
        let mut state = self.model.state();
        let now = state.watch.as_ref().and_then(Watch::now);
        let Effects { players, warm: warmth } = effects;
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
        let Some(mut warm) = warm else { return };
        for id in warm.landed() {
            state.behind.remove(&id);
        }
        match warmth {
            Warmth::Stays => {}
            Warmth::Gone => warm.forget(),
            Warmth::Left(left) => {
                let behind = left.facts.keys().filter_map(|id| Some((*id, Arc::clone(&left.players.get(id)?.state))));
                state.behind.extend(behind);
                warm.keep(*left, Instant::now());
            }
        }
        state.since = warm.pending().front().map(|(_, pending)| pending.since);
        state.warm = Some(warm);
        state.knows = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.model.state();
        state.writing = false;
        if let Some(mut warm) = self.warm.take()
            && state.generation == self.generation
        {
            warm.undone();
            state.warm = Some(warm);
        }
    }
}
