//! Judging moves: the rows that a unit of work has loaded, and what the moves changed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Command, Outcome, PlayerState, RULE_VERSION, RuleBook, fold, points_for};
use crate::error::{Refusal, StoreError, StoreResult};
use crate::model::{
    AnswerFact, Calendar, Challenge, ChallengeId, ChallengeQuestion, ChannelId, Closing, DayKey, Fact, GameSession,
    IdempotencyKey, InChallenge, LedgerEntry, Period, QuestionContent, QuestionId, Receipt, SessionId, SessionQuestion,
    SessionStatus, UserId,
};
use crate::ports::{AnswerSubmission, ClosePeriod, StartChallenge, StartSession};

/// Longest reason of an award, in characters.
const MAX_REASON: usize = 200;

/// What moves are judged against: a store loads what [`Touched`](super::Touched) names, applies the
/// moves one by one and stores the [`Changes`]. A move that is refused changes nothing.
#[derive(Debug, Clone, Default)]
pub struct WorkingSet {
    /// Players; shared, since a store may keep them from one set to the next.
    pub players: HashMap<UserId, Arc<PlayerState>>,
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
    /// Challenges that are fixed.
    pub challenges: HashMap<ChallengeId, Challenge>,
    /// What those would ask that are not fixed: see [`challenge_picks`](super::challenge_picks).
    pub drawn: HashMap<ChallengeId, Result<Vec<ChallengeQuestion>, Refusal>>,
    /// Periods that were closed.
    pub closed: HashMap<(Period, DayKey), Closing>,
    /// Players with points in the periods that are to be closed.
    pub ranked: HashMap<(Period, DayKey), u64>,
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
    /// Challenges that are new.
    pub challenges: Vec<Challenge>,
    /// Periods that were closed now.
    pub closings: Vec<Closing>,
}

impl Changes {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { entries, cleared, sessions, challenges, closings } = self;
        entries.is_empty() && cleared.is_empty() && sessions.is_empty() && challenges.is_empty() && closings.is_empty()
    }
}

/// How often facts answer each question, and answer it right.
#[must_use]
pub fn question_counts<'a>(facts: impl IntoIterator<Item = &'a LedgerEntry>) -> BTreeMap<QuestionId, (u64, u64)> {
    let mut counts = BTreeMap::new();
    for entry in facts {
        if let Fact::Answer(answer) = &entry.fact {
            let (asked, right): &mut (u64, u64) = counts.entry(answer.question_id).or_default();
            *asked += 1;
            *right += u64::from(answer.correct);
        }
    }
    counts
}

impl WorkingSet {
    /// Judges one move at one instant and carries it out.
    ///
    /// # Errors
    /// As the method of [`PlayPort`](crate::ports::PlayPort) that the move belongs to; nothing is
    /// changed then.
    pub fn apply(&mut self, command: &Command, at: DateTime<Utc>, rules: &RuleBook) -> StoreResult<Outcome> {
        match command {
            Command::Start { id, request } => self.start(*id, request, at).map(Outcome::Session),
            Command::StartChallenge { id, request, .. } => {
                self.start_challenge(*id, request, at, &rules.calendar).map(Outcome::Session)
            }
            Command::Advance { session, from } => self.advance(*session, *from, at).map(Outcome::Session),
            Command::Finish { session } => self.finish(*session, at).map(Outcome::Session),
            Command::Expire { session } => self.expire(*session, at).map(Outcome::Session),
            Command::Answer(submission) => self.answer(submission, at, rules).map(Outcome::Receipt),
            Command::Award(request) => {
                let reason = crate::model::checked_text("reason", &request.reason, MAX_REASON)?;
                let fact = Fact::Award { points: request.points, reason };
                self.record_once(request.user_id, request.key, fact, at, rules).map(Outcome::Receipt)
            }
            Command::Grant(request) => {
                // a retry is answered also when the achievement was retired meanwhile
                let is_known = self.recorded.contains_key(&(request.user_id, request.key));
                if !is_known && rules.catalog.get(&request.achievement_id).is_none() {
                    return Err(StoreError::missing("achievement", &request.achievement_id));
                }
                let fact = Fact::Grant { achievement_id: request.achievement_id.clone() };
                self.record_once(request.user_id, request.key, fact, at, rules).map(Outcome::Receipt)
            }
            Command::Reset(request) => {
                self.record_once(request.user_id, request.key, Fact::Reset, at, rules).map(Outcome::Receipt)
            }
            Command::Close(request) => self.close(request, at, &rules.calendar).map(Outcome::Closing),
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
        for (index, question_id) in request.questions.iter().enumerate() {
            if request.questions[..index].contains(question_id) {
                return Err(StoreError::invalid("session", format!("question {question_id} is in it twice")));
            }
            let version =
                *self.versions.get(question_id).ok_or_else(|| StoreError::missing("question", question_id))?;
            questions.push(SessionQuestion { question_id: *question_id, version, opened_at: None });
        }
        self.open(GameSession {
            id,
            channel_id: request.channel_id,
            host: Some(request.host),
            challenge: None,
            status: SessionStatus::Live,
            time_limit: request.time_limit,
            questions,
            position: 0,
            started_at: at,
            ended_at: None,
        })
    }

    /// Starts a session of the present challenge; the first one fixes its questions.
    fn start_challenge(
        &mut self,
        id: SessionId,
        request: &StartChallenge,
        at: DateTime<Utc>,
        calendar: &Calendar,
    ) -> StoreResult<GameSession> {
        self.player(request.host)?;
        let challenge_id = ChallengeId::at(request.kind, at, calendar);
        let (challenge, is_new) = match (self.challenges.get(&challenge_id), self.drawn.get(&challenge_id)) {
            (Some(fixed), _) => (fixed.clone(), false),
            (None, Some(Ok(drawn))) => (Challenge { id: challenge_id, questions: drawn.clone(), created_at: at }, true),
            (None, Some(Err(refusal))) => return Err(refusal.clone().into()),
            (None, None) => return Err(StoreError::missing("challenge", challenge_id)),
        };
        let asked = |asked: &ChallengeQuestion| SessionQuestion {
            question_id: asked.question_id,
            version: asked.version,
            opened_at: None,
        };
        let session = self.open(GameSession {
            id,
            channel_id: request.channel_id,
            host: Some(request.host),
            challenge: Some(challenge_id),
            status: SessionStatus::Live,
            time_limit: request.time_limit,
            questions: challenge.questions.iter().map(asked).collect(),
            position: 0,
            started_at: at,
            ended_at: None,
        })?;
        if is_new {
            self.challenges.insert(challenge_id, challenge.clone());
            self.changes.challenges.push(challenge);
        }
        Ok(session)
    }

    /// Lets a session occupy its channel and opens its first question.
    fn open(&mut self, mut session: GameSession) -> StoreResult<GameSession> {
        let at = session.started_at;
        // its id is made for one move, which is tried again when it is not known whether it was stored
        if let Some(started) = self.sessions.get(&session.id) {
            return Ok(started.clone());
        }
        if let Some(live) = self.live.get(&session.channel_id).and_then(|live| self.sessions.get(live)) {
            if !live.is_overdue(at) {
                return Err(Refusal::ChannelOccupied.into());
            }
            self.expire(live.id, at)?;
        }
        session.questions[0].opened_at = Some(at);
        self.live.insert(session.channel_id, session.id);
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

    fn answer(&mut self, submission: &AnswerSubmission, at: DateTime<Utc>, rules: &RuleBook) -> StoreResult<Receipt> {
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
        let player = self.player(user_id)?;
        let session = self.session(session_id)?;
        if !self.versions.contains_key(&question_id) {
            return Err(StoreError::missing("question", question_id));
        }
        // a challenge is one attempt, however many sessions play it
        let attempt = session.challenge.and_then(|challenge| player.challenges.get(&challenge));
        if self.answered.contains(&(session_id, user_id, question_id))
            || attempt.is_some_and(|attempt| attempt.has_answered(question_id))
        {
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
        let size = u32::try_from(session.questions.len()).unwrap_or(u32::MAX);
        let challenge = session.challenge.map(|id| InChallenge { id, size });
        let fact = AnswerFact {
            session_id,
            question_id,
            question_version: asked.version,
            difficulty: content.difficulty(),
            category: content.category().clone(),
            given: given.clone(),
            correct,
            points: points_for(
                content.base_points(),
                correct,
                elapsed_us,
                challenge.map(|challenge| challenge.id.kind),
            )?,
            rule_version: RULE_VERSION,
            elapsed_us,
            challenge,
        };
        let receipt = self.record(user_id, key, Fact::Answer(fact), at, rules)?;
        self.answered.insert((session_id, user_id, question_id));
        Ok(receipt)
    }

    /// Records a fact unless its key was recorded before with the same one.
    fn record_once(
        &mut self,
        user: UserId,
        key: IdempotencyKey,
        fact: Fact,
        at: DateTime<Utc>,
        rules: &RuleBook,
    ) -> StoreResult<Receipt> {
        match self.recorded.get(&(user, key)) {
            Some((entry, receipt)) if entry.fact == fact => Ok(receipt.clone()),
            Some(_) => Err(Refusal::KeyReused.into()),
            None => self.record(user, key, fact, at, rules),
        }
    }

    fn record(
        &mut self,
        user: UserId,
        key: IdempotencyKey,
        fact: Fact,
        at: DateTime<Utc>,
        rules: &RuleBook,
    ) -> StoreResult<Receipt> {
        // folded on a copy, so that an overflow half-way leaves nothing behind
        let mut player = PlayerState::clone(self.player(user)?);
        let day = player.profile.time_zone.day(at);
        let entry = LedgerEntry { user_id: user, seq: player.profile.last_seq + 1, key, at, day, fact };
        let receipt = fold(&mut player, &entry, rules)?;
        self.players.insert(user, Arc::new(player));
        if entry.fact == Fact::Reset {
            self.changes.cleared.insert(user);
        }
        self.recorded.insert((user, key), (entry.clone(), receipt.clone()));
        self.changes.entries.push((entry, receipt.clone()));
        Ok(receipt)
    }

    /// Closes a period that is over; the first request wins and every later one is told so.
    fn close(&mut self, request: &ClosePeriod, at: DateTime<Utc>, calendar: &Calendar) -> StoreResult<Closing> {
        let ClosePeriod { key, period, starts_on } = *request;
        if calendar.start(period, starts_on) != starts_on {
            let reason = format!("no {period} starts on {starts_on}");
            return Err(StoreError::invalid("period", reason));
        }
        if let Some(closing) = self.closed.get(&(period, starts_on)) {
            return Ok(closing.clone());
        }
        if calendar.day(at) < period.end(starts_on) {
            return Err(Refusal::PeriodNotOver.into());
        }
        let players = self.ranked.get(&(period, starts_on)).copied().unwrap_or_default();
        let closing = Closing { period, starts_on, key, closed_at: at, players };
        self.closed.insert((period, starts_on), closing.clone());
        self.changes.closings.push(closing.clone());
        Ok(closing)
    }

    fn player(&self, id: UserId) -> StoreResult<&PlayerState> {
        self.players.get(&id).map(Arc::as_ref).ok_or_else(|| StoreError::missing("user", id))
    }

    fn session(&self, id: SessionId) -> StoreResult<&GameSession> {
        self.sessions.get(&id).ok_or_else(|| StoreError::missing("session", id))
    }
}
