//! Moves on the database: load what they touch, let the domain judge them, store what changed.

mod load;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use tokio::sync::oneshot;
use trivia_domain::model::{Closing, GameSession, LedgerEntry, Period, Receipt, SessionId, UserId};
use trivia_domain::play::{Command, Outcome, RuleBook, Touched, WorkingSet};
use trivia_domain::ports::{
    AnswerSubmission, AwardRequest, ClosePeriod, GrantRequest, PlayPort, ResetRequest, StartChallenge, StartSession,
};
use trivia_domain::{StoreError, StoreResult};

use self::load::{load, load_facts};
use self::store::store;
use super::projection::{self, Waiting};
use super::{Repository, rule_book};
use crate::database::{Core, Job, Scope};
use crate::read_model::{Changed, Effects, Leftover, Player, Warm};

#[async_trait]
impl PlayPort for Repository {
    async fn start_session(&self, request: StartSession) -> StoreResult<GameSession> {
        let core = self.scope.core();
        let id = SessionId::generate(core.clock.now(), &*core.random);
        self.make(Command::Start { id, request }).await?.session()
    }

    async fn start_challenge(&self, request: StartChallenge) -> StoreResult<GameSession> {
        let core = self.scope.core();
        let id = SessionId::generate(core.clock.now(), &*core.random);
        self.make(Command::StartChallenge { id, seed: core.random.next_u64(), request }).await?.session()
    }

    async fn advance(&self, session: SessionId, from: usize) -> StoreResult<GameSession> {
        self.make(Command::Advance { session, from }).await?.session()
    }

    async fn finish(&self, session: SessionId) -> StoreResult<GameSession> {
        self.make(Command::Finish { session }).await?.session()
    }

    async fn expire(&self, session: SessionId) -> StoreResult<GameSession> {
        self.make(Command::Expire { session }).await?.session()
    }

    async fn submit_answer(&self, submission: AnswerSubmission) -> StoreResult<Receipt> {
        self.make(Command::Answer(submission)).await?.receipt()
    }

    async fn award(&self, request: AwardRequest) -> StoreResult<Receipt> {
        self.make(Command::Award(request)).await?.receipt()
    }

    async fn grant(&self, request: GrantRequest) -> StoreResult<Receipt> {
        self.make(Command::Grant(request)).await?.receipt()
    }

    async fn reset(&self, request: ResetRequest) -> StoreResult<Receipt> {
        self.make(Command::Reset(request)).await?.receipt()
    }

    async fn close_period(&self, request: ClosePeriod) -> StoreResult<Closing> {
        self.make(Command::Close(request)).await?.closing()
    }
}

impl Repository {
    /// In the store a move waits for the next batch, in a unit of work it is made at once.
    async fn make(&self, command: Command) -> StoreResult<Outcome> {
        let at = self.scope.core().clock.now();
        match &self.scope {
            Scope::Store { queue, .. } => {
                let (reply, outcome) = oneshot::channel();
                let stopped = || StoreError::OutcomeUnknown { reason: "the writer stopped".to_owned() };
                queue.send(Job { command, at, reply }).await.map_err(|_| stopped())?;
                outcome.await.map_err(|_| stopped())?
            }
            Scope::Work { transaction, core } => {
                let moves = [(&command, at)];
                let Applied { mut outcomes, effects, .. } =
                    apply(&***transaction, core, &moves, None, Trust::Nothing, Projection::Now).await?;
                // a later step may fail, and then these rows are not so
                transaction.tell(effects.without_rows());
                outcomes.pop().unwrap_or_else(|| Err(StoreError::backend("a move", "it has no outcome")))
            }
        }
    }
}

/// What is known of moves before they are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Each may have been counted before, so its facts and the session that it starts are looked up.
    Nothing,
    /// They are taken for new ones. That one is not breaks a constraint, which is an error: the caller
    /// then tries again without trust.
    New,
}

/// When what follows about players is written to its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    /// With the facts.
    Now,
    /// After the facts; until then they are noted as waiting.
    Later,
}

/// What came of moves that were judged together.
pub(crate) struct Applied {
    pub(crate) outcomes: Vec<StoreResult<Outcome>>,
    pub(crate) effects: Effects,
    /// The number of the commit, if they changed anything.
    pub(crate) number: Option<i64>,
}

/// Judges moves in order and stores what they changed; the caller commits, and tells the read model. A move
/// that the rules refuse is an outcome, so it undoes nobody else's.
///
/// The rows at hand are used; what the moves leave of them is in the effects.
pub(crate) async fn apply(
    connection: &impl ConnectionTrait,
    core: &Core,
    moves: &[(&Command, DateTime<Utc>)],
    warm: Option<&mut Warm>,
    trust: Trust,
    projection: Projection,
) -> StoreResult<Applied> {
    let mut nothing = Warm::default();
    let warm = warm.unwrap_or(&mut nothing);
    let rules = match warm.rules() {
        Some(rules) => rules,
        None => rule_book::current(core, connection).await?,
    };
    let mut touched = Touched::default();
    let mut periods = BTreeSet::new();
    for (command, at) in moves {
        touched.add(command, *at, &rules.calendar);
        if let (Trust::Nothing, Command::Start { id, .. } | Command::StartChallenge { id, .. }) = (trust, command) {
            touched.sessions.insert(*id);
        }
        periods.extend(Period::ALL.map(|period| (period, rules.calendar.start_at(period, *at))));
    }
    let language = rules.challenge_language.as_ref();
    let (mut set, known) = load(connection, &touched, &periods, moves, language, warm).await?;
    if trust == Trust::Nothing {
        load_facts(connection, &touched, &mut set).await?;
    }
    let mut outcomes: Vec<_> = moves.iter().map(|(command, at)| set.apply(command, *at, &rules)).collect();
    if trust == Trust::New {
        look_again(connection, moves, &rules, &mut set, &mut outcomes).await?;
    }
    let changes = set.take_changes();
    let moved: BTreeSet<_> = changes.entries.iter().map(|(entry, _)| entry.user_id).collect();
    let new: Vec<_> = match projection {
        Projection::Now => Vec::new(),
        Projection::Later => moved.into_iter().filter(|id| !warm.is_listed(*id)).collect(),
    };
    let number = store(connection, &set, &changes, &new).await?;
    let mut facts: BTreeMap<UserId, Vec<(LedgerEntry, Receipt)>> = BTreeMap::new();
    for (entry, receipt) in changes.entries {
        facts.entry(entry.user_id).or_default().push((entry, receipt));
    }
    let changed = |id| Some(Changed::by_moves(set.players.get(id)?, changes.cleared.contains(id)));
    let changed = facts.keys().filter_map(changed).collect();
    if projection == Projection::Now {
        let waiting: Vec<_> =
            facts.iter().filter_map(|(id, facts)| Some(Waiting { state: set.players.get(id)?, facts })).collect();
        projection::store(connection, &rules, &waiting).await?;
        facts.clear();
    }
    let players = set.players.into_iter().filter_map(|(id, state)| {
        let known = Arc::clone(known.get(&id)?);
        Some((id, Player { state, known }))
    });
    let (players, sessions, contents) = (players.collect(), set.sessions, set.contents);
    let left = Leftover { rules, players, facts, sessions, contents };
    Ok(Applied { outcomes, effects: Effects::of_moves(changed, left), number })
}

/// Moves that were refused may have been counted before: a retry gets its receipt, and a second answer is
/// told that it is one.
async fn look_again(
    connection: &impl ConnectionTrait,
    moves: &[(&Command, DateTime<Utc>)],
    rules: &RuleBook,
    set: &mut WorkingSet,
    outcomes: &mut [StoreResult<Outcome>],
) -> StoreResult<()> {
    let mut refused = Touched::default();
    for ((command, at), _) in moves.iter().zip(&*outcomes).filter(|(_, outcome)| outcome.is_err()) {
        refused.add(command, *at, &rules.calendar);
    }
    if refused.keys.is_empty() {
        return Ok(());
    }
    load_facts(connection, &refused, set).await?;
    for ((command, at), outcome) in moves.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_err()) {
        let mut touched = Touched::default();
        touched.add(command, *at, &rules.calendar);
        let is_there = touched.keys.iter().any(|key| set.recorded.contains_key(key))
            || touched.answers.iter().any(|answer| set.answered.contains(answer));
        if is_there {
            *outcome = set.apply(command, *at, rules);
        }
    }
    Ok(())
}
