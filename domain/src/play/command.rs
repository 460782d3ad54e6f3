//! Moves as values, so that many can share one transaction.

use std::collections::BTreeSet;

use crate::error::{StoreError, StoreResult};
use crate::model::{ChannelId, GameSession, IdempotencyKey, QuestionId, Receipt, SessionId, UserId};
use crate::ports::{AnswerSubmission, AwardRequest, GrantRequest, ResetRequest, StartSession};

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
}

/// What a move returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The session as it is now.
    Session(GameSession),
    /// What the player is told.
    Receipt(Receipt),
}

impl Outcome {
    /// The session that a move of a session returns.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the move was another one.
    pub fn session(self) -> StoreResult<GameSession> {
        match self {
            Self::Session(session) => Ok(session),
            Self::Receipt(_) => Err(StoreError::backend("judging a move", "a receipt came where a session belongs")),
        }
    }

    /// The receipt that a move of a player returns.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the move was another one.
    pub fn receipt(self) -> StoreResult<Receipt> {
        match self {
            Self::Receipt(receipt) => Ok(receipt),
            Self::Session(_) => Err(StoreError::backend("judging a move", "a session came where a receipt belongs")),
        }
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
}

impl Touched {
    /// Adds what a move touches.
    pub fn add(&mut self, command: &Command) {
        match command {
            Command::Start { request, .. } => {
                self.users.insert(request.host);
                self.channels.insert(request.channel_id);
                self.questions.extend(&request.questions);
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
        }
    }

    fn fact(&mut self, user: UserId, key: IdempotencyKey) {
        self.users.insert(user);
        self.keys.insert((user, key));
    }
}
