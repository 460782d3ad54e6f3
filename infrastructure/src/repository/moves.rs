//! Moves on the database: load what they touch, let the domain judge them, store what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};
use tokio::sync::oneshot;
use trivia_domain::model::{
    Board, Closing, DayKey, Fact, GameSession, Period, QuestionId, Receipt, SessionId, SessionStatus, UserId,
};
use trivia_domain::play::{Changes, Command, Dimension, Outcome, RuleBook, Touched, WorkingSet};
use trivia_domain::ports::{
    AnswerSubmission, AwardRequest, ClosePeriod, GrantRequest, PlayPort, ResetRequest, StartChallenge, StartSession,
};
use trivia_domain::{StoreError, StoreResult};

use super::players::{self, Part, PlayerRows};
use super::{Repository, challenges, questions as stored_questions, rankings, rows, rules, sessions};
use crate::database::{Core, Job, Scope};
use crate::entity::{
    closed_periods, game_sessions, ledger, live_sessions, question_counters, questions, session_questions,
};
use crate::error::{During, bad_row};
use crate::read_model::{Changed, Effects, Known, Needed, Warm};

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
                let (mut outcomes, effects) =
                    apply(&**transaction, core, &[(&command, at)], Warm::default(), Trust::Nothing).await?;
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
    /// Each may have been counted before, so its facts are looked up.
    Nothing,
    /// They are taken for new ones. That one is not breaks a constraint, which is an error: the caller
    /// then tries again without trust.
    New,
}

/// Judges moves in order and stores what they changed; the caller commits, and tells the read model. A move
/// that the rules refuse is an outcome, so it undoes nobody else's.
///
/// The rows at hand are used, and given back with the effects.
pub(crate) async fn apply(
    connection: &impl ConnectionTrait,
    core: &Core,
    moves: &[(&Command, DateTime<Utc>)],
    mut warm: Warm,
    trust: Trust,
) -> StoreResult<(Vec<StoreResult<Outcome>>, Effects)> {
    let rules = rules::current(core, connection).await?;
    let mut touched = Touched::default();
    let mut periods = BTreeSet::new();
    for (command, at) in moves {
        touched.add(command, *at, &rules.calendar);
        periods.extend(Period::ALL.map(|period| (period, rules.calendar.start_at(period, *at))));
    }
    let (mut set, known) = load(connection, &touched, &periods, moves, &mut warm).await?;
    if trust == Trust::Nothing {
        load_facts(connection, &touched, &mut set).await?;
    }
    let mut outcomes: Vec<_> = moves.iter().map(|(command, at)| set.apply(command, *at, &rules)).collect();
    if trust == Trust::New {
        look_again(connection, moves, &rules, &mut set, &mut outcomes).await?;
    }
    let changes = set.take_changes();
    store(connection, &set, &changes, &rules).await?;
    let players: BTreeSet<_> = changes.entries.iter().map(|(entry, _)| entry.user_id).collect();
    let changed = |id| Some(Changed::by_moves(set.players.get(id)?, changes.cleared.contains(id)));
    let changed = players.iter().filter_map(changed).collect();
    warm.keep(set.players, &known, set.sessions, set.contents);
    Ok((outcomes, Effects::on(changed, Some(warm))))
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

/// Loads what moves touch, but no facts, and says how much is known of each player.
async fn load(
    connection: &impl ConnectionTrait,
    touched: &Touched,
    periods: &BTreeSet<(Period, DayKey)>,
    moves: &[(&Command, DateTime<Utc>)],
    warm: &mut Warm,
) -> StoreResult<(WorkingSet, HashMap<UserId, Arc<Known>>)> {
    let mut set = WorkingSet::default();
    let mut session_ids = touched.sessions.clone();
    if !touched.channels.is_empty() {
        let live = live_sessions::Entity::find()
            .filter(live_sessions::Column::ChannelId.is_in(touched.channels.iter().map(|channel| channel.get())))
            .all(connection)
            .await
            .during("loading live sessions")?;
        session_ids.extend(live.iter().map(|row| SessionId::new(row.session_id)));
    }
    for id in std::mem::take(&mut session_ids) {
        match warm.session(id) {
            Some(session) => drop(set.sessions.insert(id, session)),
            None => drop(session_ids.insert(id)),
        }
    }
    set.sessions.extend(sessions::load(connection, &session_ids).await?);
    set.live = set
        .sessions
        .values()
        .filter(|session| session.status == SessionStatus::Live)
        .map(|session| (session.channel_id, session.id))
        .collect();
    load_questions(connection, touched, moves, &mut set, warm).await?;
    let known = load_players(connection, touched, periods, moves, &mut set, warm).await?;
    challenges::load(connection, &touched.challenges, &mut set).await?;
    load_closings(connection, &touched.periods, &mut set).await?;
    Ok((set, known))
}

/// Loads the players who are not at hand, or of whom too little is.
async fn load_players(
    connection: &impl ConnectionTrait,
    touched: &Touched,
    periods: &BTreeSet<(Period, DayKey)>,
    moves: &[(&Command, DateTime<Utc>)],
    set: &mut WorkingSet,
    warm: &mut Warm,
) -> StoreResult<HashMap<UserId, Arc<Known>>> {
    let mut needed: HashMap<UserId, Needed<'_>> = HashMap::new();
    for (command, _) in moves {
        let Command::Answer(submission) = command else { continue };
        let Some(session) = set.sessions.get(&submission.session_id) else { continue };
        let needed = needed.entry(submission.user_id).or_default();
        let content = session.open_question().and_then(|asked| set.contents.get(&(asked.question_id, asked.version)));
        needed.categories.extend(content.map(|content| content.category()));
        needed.challenges.extend(session.challenge);
    }
    let nothing = Needed::default();
    let (mut players, mut known, mut missing) = (HashMap::new(), HashMap::new(), BTreeSet::new());
    for id in &touched.users {
        match warm.take_player(*id, needed.get(id).unwrap_or(&nothing), periods) {
            Some((state, knows)) => {
                players.insert(*id, state);
                known.insert(*id, knows);
            }
            None => {
                missing.insert(*id);
            }
        }
    }
    if !missing.is_empty() {
        let loaded = Arc::new(Known {
            // those that a batch after this one is likely to need as well
            categories: set.contents.values().map(|content| content.category().clone()).collect(),
            periods: periods.clone(),
            challenges: set.sessions.values().filter_map(|session| session.challenge).collect(),
        });
        let Known { categories, periods, challenges } = &*loaded;
        let part = Part::Touched { categories, periods, challenges };
        players.extend(players::load(connection, &missing, part).await?);
        known.extend(missing.into_iter().map(|id| (id, Arc::clone(&loaded))));
    }
    set.players = players;
    Ok(known)
}

/// Loads facts that may make a move a retry or a second answer.
async fn load_facts(connection: &impl ConnectionTrait, touched: &Touched, set: &mut WorkingSet) -> StoreResult<()> {
    if !touched.keys.is_empty() {
        let keys = touched.keys.iter().map(|(user, key)| (user.get(), key.get()));
        let known = Expr::tuple([Expr::col(ledger::Column::UserId), Expr::col(ledger::Column::Key)]).in_tuples(keys);
        remember(connection, known, set).await?;
    }
    if !touched.answers.is_empty() {
        let answers =
            touched.answers.iter().map(|(session, user, question)| (session.get(), user.get(), question.get()));
        let columns = [ledger::Column::SessionId, ledger::Column::UserId, ledger::Column::QuestionId];
        let known = Expr::tuple(columns.map(Expr::col)).in_tuples(answers);
        remember(connection, known, set).await?;
    }
    Ok(())
}

async fn remember(connection: &impl ConnectionTrait, known: Expr, set: &mut WorkingSet) -> StoreResult<()> {
    let rows = ledger::Entity::find().filter(known).all(connection).await.during("loading facts")?;
    for row in rows {
        let (entry, receipt) = rows::ledger_entry(row)?;
        if let Fact::Answer(answer) = &entry.fact {
            set.answered.insert((answer.session_id, entry.user_id, answer.question_id));
        }
        set.recorded.insert((entry.user_id, entry.key), (entry, receipt));
    }
    Ok(())
}

/// Loads the newest version of questions, and older ones that a session asks for.
async fn load_questions(
    connection: &impl ConnectionTrait,
    touched: &Touched,
    moves: &[(&Command, DateTime<Utc>)],
    set: &mut WorkingSet,
    warm: &mut Warm,
) -> StoreResult<()> {
    let open: Vec<_> = set.sessions.values().filter_map(GameSession::open_question).cloned().collect();
    let mut ids = touched.questions.clone();
    for asked in open {
        match warm.content(asked.question_id, asked.version) {
            Some(content) => {
                set.contents.insert((asked.question_id, asked.version), content);
                // it is there, and whoever only answers need not know whether there is a newer version
                set.versions.insert(asked.question_id, asked.version);
                ids.remove(&asked.question_id);
            }
            None => {
                ids.insert(asked.question_id);
            }
        }
    }
    for (command, _) in moves {
        if let Command::Start { request, .. } = command {
            ids.extend(&request.questions);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let rows = questions::Entity::find()
        .filter(questions::Column::Id.is_in(ids.iter().map(|id| id.get())))
        .all(connection)
        .await
        .during("loading questions")?;
    for row in rows {
        let id = QuestionId::new(row.id)?;
        let version = u32::try_from(row.version).map_err(|error| bad_row("questions", row.id, error))?;
        set.versions.insert(id, version);
        set.contents.insert((id, version), rows::content(&row)?);
    }
    let asked = set.sessions.values().filter_map(GameSession::open_question);
    let older: Vec<_> = asked
        .map(|asked| (asked.question_id, asked.version))
        .filter(|asked| !set.contents.contains_key(asked))
        .collect();
    for (id, version) in older {
        if let Some(content) = stored_questions::earlier(connection, id, version).await? {
            set.contents.insert((id, version), content);
        }
    }
    Ok(())
}

/// Loads what is known of periods that somebody wants to close.
async fn load_closings(
    connection: &impl ConnectionTrait,
    periods: &BTreeSet<(Period, DayKey)>,
    set: &mut WorkingSet,
) -> StoreResult<()> {
    for (period, start) in periods {
        let key = (period.as_str().to_owned(), start.date());
        let found = closed_periods::Entity::find_by_id(key).all(connection).await.during("loading a closed period")?;
        for row in found {
            set.closed.insert((*period, *start), rows::closing(row)?);
        }
        let board = Board::Period { period: *period, start: *start };
        set.ranked.insert((*period, *start), rankings::players(connection, board).await?);
    }
    Ok(())
}

async fn store(
    connection: &impl ConnectionTrait,
    set: &WorkingSet,
    changes: &Changes,
    rules: &RuleBook,
) -> StoreResult<()> {
    store_sessions(connection, set, &changes.sessions).await?;
    challenges::store(connection, &changes.challenges).await?;
    if !changes.closings.is_empty() {
        let rows = changes.closings.iter().map(|closing| rows::closing_row(closing).into_active_model());
        closed_periods::Entity::insert_many(rows)
            .exec_without_returning(connection)
            .await
            .during("closing a period")?;
    }
    if changes.entries.is_empty() {
        return Ok(());
    }
    let facts = changes
        .entries
        .iter()
        .map(|(entry, receipt)| Ok(rows::ledger_row(entry, receipt)?.into_active_model()))
        .collect::<StoreResult<Vec<_>>>()?;
    ledger::Entity::insert_many(facts).exec_without_returning(connection).await.during("appending to the ledger")?;
    store_players(connection, set, changes, rules).await?;
    store_counters(connection, &changes.counters).await
}

async fn store_players(
    connection: &impl ConnectionTrait,
    set: &WorkingSet,
    changes: &Changes,
    rules: &RuleBook,
) -> StoreResult<()> {
    for user in &changes.cleared {
        players::clear(connection, *user).await?;
    }
    let mut rows = PlayerRows::default();
    for (entry, receipt) in &changes.entries {
        let Some(player) = set.players.get(&entry.user_id) else { continue };
        rows.profile(player);
        // what a later reset in the same batch took away is not there any more
        for id in &receipt.unlocked {
            rows.achievement(player, id);
        }
        if let Fact::Answer(answer) = &entry.fact {
            rows.tally(player, &Dimension::Difficulty(answer.difficulty));
            rows.tally(player, &Dimension::Category(answer.category.clone()));
            if let Some(challenge) = answer.challenge {
                rows.attempt(player, challenge.id)?;
            }
        }
        for period in Period::ALL {
            rows.score(player, period, rules.calendar.start_at(period, entry.at));
        }
    }
    rows.store(connection).await
}

async fn store_counters(
    connection: &impl ConnectionTrait,
    counters: &BTreeMap<QuestionId, (u64, u64)>,
) -> StoreResult<()> {
    use question_counters::{Column, Entity};

    if counters.is_empty() {
        return Ok(());
    }
    let rows = counters.iter().map(|(id, (asked, correct))| {
        question_counters::Model {
            question_id: id.get(),
            times_asked: rows::stored(*asked),
            times_correct: rows::stored(*correct),
            opening_asked: 0,
            opening_correct: 0,
        }
        .into_active_model()
    });
    let grown = |column: Column| Expr::col((Entity, column)).add(Expr::col(("excluded", column)));
    // the opening columns of a row that is there stay as they are: the ledger does not explain them
    let add = OnConflict::column(Column::QuestionId)
        .value(Column::TimesAsked, grown(Column::TimesAsked))
        .value(Column::TimesCorrect, grown(Column::TimesCorrect))
        .to_owned();
    Entity::insert_many(rows).on_conflict(add).exec_without_returning(connection).await.during("counting questions")?;
    Ok(())
}

async fn store_sessions(
    connection: &impl ConnectionTrait,
    set: &WorkingSet,
    changed: &BTreeSet<SessionId>,
) -> StoreResult<()> {
    let changed: Vec<&GameSession> = changed.iter().filter_map(|id| set.sessions.get(id)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    {
        use game_sessions::Column;
        let rows = changed.iter().map(|session| game_sessions::Model::from(*session).into_active_model());
        let replace = OnConflict::column(Column::Id)
            .update_columns([Column::Status, Column::Position, Column::EndedAt])
            .to_owned();
        game_sessions::Entity::insert_many(rows)
            .on_conflict(replace)
            .exec_without_returning(connection)
            .await
            .during("storing sessions")?;
    }
    {
        use session_questions::Column;
        let rows: Vec<_> = changed
            .iter()
            .flat_map(|session| {
                session.questions.iter().enumerate().map(|(position, asked)| {
                    session_questions::Model {
                        session_id: session.id.get(),
                        position: rows::stored(position as u64),
                        question_id: asked.question_id.get(),
                        version: asked.version.into(),
                        opened_at: asked.opened_at,
                    }
                    .into_active_model()
                })
            })
            .collect();
        let replace =
            OnConflict::columns([Column::SessionId, Column::Position]).update_column(Column::OpenedAt).to_owned();
        for rows in rows.chunks(CHUNK) {
            session_questions::Entity::insert_many(rows.to_vec())
                .on_conflict(replace.clone())
                .exec_without_returning(connection)
                .await
                .during("storing the questions of sessions")?;
        }
    }
    let (live, over): (Vec<&GameSession>, Vec<&GameSession>) =
        changed.into_iter().partition(|session| session.status == SessionStatus::Live);
    if !over.is_empty() {
        live_sessions::Entity::delete_many()
            .filter(live_sessions::Column::SessionId.is_in(over.iter().map(|session| session.id.get())))
            .exec(connection)
            .await
            .during("freeing channels")?;
    }
    if !live.is_empty() {
        let rows = live.iter().map(|session| {
            live_sessions::Model { channel_id: session.channel_id.get(), session_id: session.id.get() }
                .into_active_model()
        });
        // the same session again is no news; another one in the channel breaks the constraint
        let same = OnConflict::column(live_sessions::Column::SessionId).do_nothing().to_owned();
        live_sessions::Entity::insert_many(rows)
            .on_conflict(same)
            .exec_without_returning(connection)
            .await
            .during("occupying channels")?;
    }
    Ok(())
}

/// Rows of one statement: five values each stay far below SQLite's limit of 32,766.
const CHUNK: usize = 1_000;
