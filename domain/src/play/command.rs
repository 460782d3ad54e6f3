//! Moves as values, so that many can share one transaction.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{StoreError, StoreResult};
use chrono::{DateTime, Utc};

use crate::model::{
    Calendar, ChallengeId, ChannelId, Closing, DayKey, GameSession, IdempotencyKey, Period, QuestionId, Receipt,
    SessionId, UserId,
};
use crate::ports::{
    AnswerSubmission, AwardRequest, ClosePeriod, GrantRequest, ResetRequest, StartChallenge, StartSession,
};

/// A move of the game: see [`PlayPort`](crate::ports::PlayPort) for what each promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start a session.
    Start {
        /// The id that it gets.
        id: SessionId,
        /// What is wanted.
        request: StartSession,
    },
    /// Start a session with the questions of the present challenge.
    StartChallenge {
        /// The id that it gets.
        id: SessionId,
        /// Chance, for whoever is the first.
        seed: u64,
        /// What is wanted.
        request: StartChallenge,
    },
    /// Open the next question.
    Advance {
        /// The session.
        session: SessionId,
        /// Index of the question to close.
        from: usize,
    },
    /// End a session now.
    Finish {
        /// The session.
        session: SessionId,
    },
    /// End a session whose time is up.
    Expire {
        /// The session.
        session: SessionId,
    },
    /// Answer a question.
    Answer(AnswerSubmission),
    /// Give points.
    Award(AwardRequest),
    /// Give an achievement.
    Grant(GrantRequest),
    /// Start over.
    Reset(ResetRequest),
    /// Declare a period over.
    Close(ClosePeriod),
}

impl Command {
    /// Whether it may start, move or end a session; the others only look at one.
    #[must_use]
    pub const fn changes_sessions(&self) -> bool {
        match self {
            Self::Start { .. }
            | Self::StartChallenge { .. }
            | Self::Advance { .. }
            | Self::Finish { .. }
            | Self::Expire { .. } => true,
            Self::Answer(_) | Self::Award(_) | Self::Grant(_) | Self::Reset(_) | Self::Close(_) => false,
        }
    }
}

/// What a move returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The session as it is now.
    Session(GameSession),
    /// What the player is told.
    Receipt(Receipt),
    /// How the period was closed.
    Closing(Closing),
}

impl Outcome {
    /// The session that a move of a session returns.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the move was another one.
    pub fn session(self) -> StoreResult<GameSession> {
        match self {
            Self::Session(session) => Ok(session),
            other => Err(other.is_not("a session")),
        }
    }

    /// The receipt that a move of a player returns.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the move was another one.
    pub fn receipt(self) -> StoreResult<Receipt> {
        match self {
            Self::Receipt(receipt) => Ok(receipt),
            other => Err(other.is_not("a receipt")),
        }
    }

    /// The closing that [`Command::Close`] returns.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the move was another one.
    pub fn closing(self) -> StoreResult<Closing> {
        match self {
            Self::Closing(closing) => Ok(closing),
            other => Err(other.is_not("a closing")),
        }
    }

    fn is_not(&self, wanted: &str) -> StoreError {
        StoreError::backend("judging a move", format!("{self:?} came where {wanted} belongs"))
    }
}

/// What must be loaded before a list of moves can be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Players.
    pub users: BTreeSet<UserId>,
    /// Sessions.
    pub sessions: BTreeSet<SessionId>,
    /// Channels whose live session matters.
    pub channels: BTreeSet<ChannelId>,
    /// Questions that must exist.
    pub questions: BTreeSet<QuestionId>,
    /// Requests that may be retries.
    pub keys: BTreeSet<(UserId, IdempotencyKey)>,
    /// Answers that may be there already.
    pub answers: BTreeSet<(SessionId, UserId, QuestionId)>,
    /// Challenges that may be there already, each with the chance that draws it otherwise. Those that the
    /// sessions are about are touched too.
    pub challenges: BTreeMap<ChallengeId, u64>,
    /// Periods that may be closed already.
    pub periods: BTreeSet<(Period, DayKey)>,
}

impl Touched {
    /// Adds what a move touches at an instant.
    pub fn add(&mut self, command: &Command, at: DateTime<Utc>, calendar: &Calendar) {
        match command {
            Command::Start { request, .. } => {
                self.users.insert(request.host);
                self.channels.insert(request.channel_id);
                self.questions.extend(&request.questions);
            }
            Command::StartChallenge { request, seed, .. } => {
                self.users.insert(request.host);
                self.channels.insert(request.channel_id);
                self.challenges.entry(ChallengeId::at(request.kind, at, calendar)).or_insert(*seed);
            }
            Command::Advance { session, .. } | Command::Finish { session } | Command::Expire { session } => {
                self.sessions.insert(*session);
            }
            Command::Answer(submission) => {
                let AnswerSubmission { key, user_id, session_id, question_id, .. } = *submission;
                self.fact(user_id, key);
                self.sessions.insert(session_id);
                self.questions.insert(question_id);
                self.answers.insert((session_id, user_id, question_id));
            }
            Command::Award(AwardRequest { user_id, key, .. })
            | Command::Grant(GrantRequest { user_id, key, .. })
            | Command::Reset(ResetRequest { user_id, key }) => self.fact(*user_id, *key),
            Command::Close(ClosePeriod { period, starts_on, .. }) => {
                self.periods.insert((*period, *starts_on));
            }
        }
    }

    fn fact(&mut self, user: UserId, key: IdempotencyKey) {
        self.users.insert(user);
        self.keys.insert((user, key));
    }
}
