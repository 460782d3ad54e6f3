//! Judging moves: the rows that a unit of work has loaded, and what the moves changed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{Catalog, Command, Outcome, PlayerState, RULE_VERSION, fold, points_for};
use crate::error::{Refusal, StoreError, StoreResult};
use crate::model::{
    AnswerFact, ChannelId, DayKey, Fact, GameSession, IdempotencyKey, LedgerEntry, QuestionContent, QuestionId,
    Receipt, SessionId, SessionKind, SessionQuestion, SessionStatus, UserId,
};
use crate::ports::{AnswerSubmission, StartSession};

/// Longest reason of an award, in characters.
const MAX_REASON: usize = 200;

/// What moves are judged against: a store loads what [`Touched`](super::Touched) names, applies the
/// moves one by one and stores the [`Changes`]. A move that is refused changes nothing.
#[derive(Debug, Clone, Default)]
pub struct WorkingSet {
    /// Players.
    pub players: HashMap<UserId, PlayerState>,
    /// Sessions.
    pub sessions: HashMap<SessionId, GameSession>,
    /// Live session of each channel.
    pub live: HashMap<ChannelId, SessionId>,
    /// Newest version of the questions that exist.
    pub versions: HashMap<QuestionId, u32>,
    /// Content of the versions that sessions ask for.
    pub contents: HashMap<(QuestionId, u32), QuestionContent>,
    /// Requests that were counted, with what their callers were told.
    pub recorded: HashMap<(UserId, IdempotencyKey), (LedgerEntry, Receipt)>,
    /// Answers that were given.
    pub answered: HashSet<(SessionId, UserId, QuestionId)>,
    changes: Changes,
}

/// What a store must write, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// New lines of the ledger, in order.
    pub entries: Vec<(LedgerEntry, Receipt)>,
    /// Players who started over: everything derived about them is replaced.
    pub cleared: BTreeSet<UserId>,
    /// Sessions that are new or moved.
    pub sessions: BTreeSet<SessionId>,
    /// How often questions were answered, and answered right.
    pub counters: BTreeMap<QuestionId, (u64, u64)>,
}

impl WorkingSet {
    /// Judges one move at one instant and carries it out.
    ///
    /// # Errors
    /// As the method of [`PlayPort`](crate::ports::PlayPort) that the move belongs to; nothing is
    /// changed then.
    pub fn apply(&mut self, command: &Command, at: DateTime<Utc>, catalog: &Catalog) -> StoreResult<Outcome> {
        match command {
            Command::Start { id, request } => self.start(*id, request, at).map(Outcome::Session),
            Command::Advance { session, from } => self.advance(*session, *from, at).map(Outcome::Session),
            Command::Finish { session } => self.finish(*session, at).map(Outcome::Session),
            Command::Expire { session } => self.expire(*session, at).map(Outcome::Session),
            Command::Answer(submission) => self.answer(submission, at, catalog).map(Outcome::Receipt),
            Command::Award(request) => {
                let reason = crate::model::checked_text("reason", &request.reason, MAX_REASON)?;
                let fact = Fact::Award { points: request.points, reason };
                self.record_once(request.user_id, request.key, fact, at, catalog).map(Outcome::Receipt)
            }
            Command::Grant(request) => {
                if catalog.get(&request.achievement_id).is_none() {
                    return Err(StoreError::missing("achievement", &request.achievement_id));
                }
                let fact = Fact::Grant { achievement_id: request.achievement_id.clone() };
                self.record_once(request.user_id, request.key, fact, at, catalog).map(Outcome::Receipt)
            }
            Command::Reset(request) => {
                self.record_once(request.user_id, request.key, Fact::Reset, at, catalog).map(Outcome::Receipt)
            }
        }
    }

    /// What has changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    fn start(&mut self, id: SessionId, request: &StartSession, at: DateTime<Utc>) -> StoreResult<GameSession> {
        self.player(request.host)?;
        if request.questions.is_empty() {
            return Err(StoreError::invalid("session", "it has no questions"));
        }
        let mut questions = Vec::with_capacity(request.questions.len());
        for (at, question_id) in request.questions.iter().enumerate() {
            if request.questions[..at].contains(question_id) {
                return Err(StoreError::invalid("session", format!("question {question_id} is in it twice")));
            }
            let version =
                *self.versions.get(question_id).ok_or_else(|| StoreError::missing("question", question_id))?;
            questions.push(SessionQuestion { question_id: *question_id, version, opened_at: None });
        }
        if let Some(live) = self.live.get(&request.channel_id).and_then(|live| self.sessions.get(live)) {
            if !live.is_overdue(at) {
                return Err(Refusal::ChannelOccupied.into());
            }
            self.expire(live.id, at)?;
        }
        questions[0].opened_at = Some(at);
        let session = GameSession {
            id,
            channel_id: request.channel_id,
            host: request.host,
            kind: request.kind,
            status: SessionStatus::Live,
            time_limit: request.time_limit,
            questions,
            position: 0,
            started_at: at,
            ended_at: None,
        };
        self.live.insert(session.channel_id, id);
        Ok(self.keep(session))
    }

    fn advance(&mut self, id: SessionId, from: usize, at: DateTime<Utc>) -> StoreResult<GameSession> {
        let mut session = self.session(id)?.clone();
        if session.status != SessionStatus::Live || from < session.position {
            return Ok(session);
        }
        if from > session.position {
            let reason = format!("question {from} is not open yet, the session is at {}", session.position);
            return Err(StoreError::invalid("position", reason));
        }
        if from + 1 == session.questions.len() {
            return Ok(self.end(session, SessionStatus::Finished, at));
        }
        session.position = from + 1;
        session.questions[from + 1].opened_at = Some(at);
        Ok(self.keep(session))
    }

    fn finish(&mut self, id: SessionId, at: DateTime<Utc>) -> StoreResult<GameSession> {
        let session = self.session(id)?.clone();
        if session.status != SessionStatus::Live {
            return Ok(session);
        }
        Ok(self.end(session, SessionStatus::Finished, at))
    }

    fn expire(&mut self, id: SessionId, at: DateTime<Utc>) -> StoreResult<GameSession> {
        let session = self.session(id)?.clone();
        if session.status != SessionStatus::Live {
            return Ok(session);
        }
        if !session.is_overdue(at) {
            return Err(Refusal::TimeNotUp.into());
        }
        let ended_at = session.deadline().unwrap_or(at);
        Ok(self.end(session, SessionStatus::Expired, ended_at))
    }

    fn end(&mut self, mut session: GameSession, status: SessionStatus, at: DateTime<Utc>) -> GameSession {
        session.status = status;
        session.ended_at = Some(at);
        self.live.remove(&session.channel_id);
        self.keep(session)
    }

    fn keep(&mut self, session: GameSession) -> GameSession {
        self.changes.sessions.insert(session.id);
        self.sessions.insert(session.id, session.clone());
        session
    }

    fn answer(&mut self, submission: &AnswerSubmission, at: DateTime<Utc>, catalog: &Catalog) -> StoreResult<Receipt> {
        let AnswerSubmission { key, user_id, session_id, question_id, ref given } = *submission;
        if let Some((entry, receipt)) = self.recorded.get(&(user_id, key)) {
            return match &entry.fact {
                Fact::Answer(fact)
                    if fact.session_id == session_id && fact.question_id == question_id && fact.given == *given =>
                {
                    Ok(receipt.clone())
                }
                _ => Err(Refusal::KeyReused.into()),
            };
        }
        self.player(user_id)?;
        let session = self.session(session_id)?;
        if !self.versions.contains_key(&question_id) {
            return Err(StoreError::missing("question", question_id));
        }
        if self.answered.contains(&(session_id, user_id, question_id)) {
            return Err(Refusal::AlreadyAnswered.into());
        }
        let asked = session.open_question().ok_or(Refusal::SessionOver)?;
        if asked.question_id != question_id {
            return Err(Refusal::NotOpen.into());
        }
        if let Some(deadline) = session.deadline().filter(|deadline| at > *deadline) {
            let late_by_us = (at - deadline).num_microseconds().unwrap_or(i64::MAX);
            return Err(Refusal::Late { late_by_ms: late_by_us.saturating_add(999) / 1000 }.into());
        }
        let content = self.contents.get(&(question_id, asked.version)).ok_or_else(|| StoreError::Corrupt {
            what: format!("question {question_id}"),
            reason: format!("its version {} is gone", asked.version),
        })?;
        let correct = content.is_right(given).ok_or(Refusal::WrongKind)?;
        let elapsed = asked.opened_at.and_then(|opened_at| (at - opened_at).num_microseconds()).unwrap_or(0);
        let elapsed_us = u64::try_from(elapsed).unwrap_or(0);
        let is_last = session.position + 1 == session.questions.len();
        let fact = AnswerFact {
            session_id,
            session_kind: session.kind,
            question_id,
            question_version: asked.version,
            difficulty: content.difficulty(),
            category: content.category().clone(),
            given: given.clone(),
            correct,
            points: points_for(content.base_points(), correct, elapsed_us, session.kind)?,
            rule_version: RULE_VERSION,
            elapsed_us,
            completes_challenge: session.kind != SessionKind::Normal && is_last,
        };
        let receipt = self.record(user_id, key, Fact::Answer(fact), at, catalog)?;
        self.answered.insert((session_id, user_id, question_id));
        let (asked, right) = self.changes.counters.entry(question_id).or_default();
        *asked += 1;
        *right += u64::from(correct);
        Ok(receipt)
    }

    /// Records a fact unless its key was recorded before with the same one.
    fn record_once(
        &mut self,
        user: UserId,
        key: IdempotencyKey,
        fact: Fact,
        at: DateTime<Utc>,
        catalog: &Catalog,
    ) -> StoreResult<Receipt> {
        match self.recorded.get(&(user, key)) {
            Some((entry, receipt)) if entry.fact == fact => Ok(receipt.clone()),
            Some(_) => Err(Refusal::KeyReused.into()),
            None => self.record(user, key, fact, at, catalog),
        }
    }

    fn record(
        &mut self,
        user: UserId,
        key: IdempotencyKey,
        fact: Fact,
        at: DateTime<Utc>,
        catalog: &Catalog,
    ) -> StoreResult<Receipt> {
        // folded on a copy, so that an overflow half-way leaves nothing behind
        let mut player = self.player(user)?.clone();
        let entry = LedgerEntry { user_id: user, seq: player.profile.last_seq + 1, key, at, day: DayKey::of(at), fact };
        let receipt = fold(&mut player, &entry, catalog)?;
        self.players.insert(user, player);
        if entry.fact == Fact::Reset {
            self.changes.cleared.insert(user);
        }
        self.recorded.insert((user, key), (entry.clone(), receipt.clone()));
        self.changes.entries.push((entry, receipt.clone()));
        Ok(receipt)
    }

    fn player(&self, id: UserId) -> StoreResult<&PlayerState> {
        self.players.get(&id).ok_or_else(|| StoreError::missing("user", id))
    }

    fn session(&self, id: SessionId) -> StoreResult<&GameSession> {
        self.sessions.get(&id).ok_or_else(|| StoreError::missing("session", id))
    }
}
