use async_trait::async_trait;

use crate::error::StoreResult;
use crate::model::{
    AchievementId, ChallengeKind, ChannelId, Closing, DayKey, GameSession, Given, IdempotencyKey, Period, Points,
    QuestionId, Receipt, SessionId, TimeLimit, UserId,
};

/// The moves of the game. Each is one transaction: all that follows from it is stored, or nothing.
/// A request with a key counts once: a retry, even after a crash, gets the first receipt.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PlayPort: Send + Sync {
    /// Starts a session and opens its first question. An overdue session of the channel is expired.
    ///
    /// Returns `Refused(ChannelOccupied)` while the channel has a live session whose time is not up,
    /// `Missing` for an unknown host or question, `Invalid` without questions or with one twice.
    async fn start_session(&self, request: StartSession) -> StoreResult<GameSession>;

    /// Starts a session with the questions of the present day or week. The first one anywhere draws them,
    /// and they are the same for everybody from then on. A player has one attempt: what was answered in
    /// an earlier session stays answered, the rest can be answered here.
    ///
    /// Returns `Refused` with `ChannelOccupied`, or with `NotEnoughQuestions` when the first one finds too
    /// few; `Missing` for an unknown host.
    async fn start_challenge(&self, request: StartChallenge) -> StoreResult<GameSession>;

    /// Closes the question at index `from` and opens the next one; after the last one the session is
    /// finished and the channel free. When the session is past `from` already, nothing changes.
    ///
    /// Returns `Missing` for an unknown session, `Invalid` when the session has not reached `from`.
    async fn advance(&self, session: SessionId, from: usize) -> StoreResult<GameSession>;

    /// Ends a session now; one that is over stays as it is.
    ///
    /// Returns `Missing` for an unknown session.
    async fn finish(&self, session: SessionId) -> StoreResult<GameSession>;

    /// Ends a session whose time is up; one that is over stays as it is.
    ///
    /// Returns `Missing` for an unknown session, `Refused(TimeNotUp)` while there is time.
    async fn expire(&self, session: SessionId) -> StoreResult<GameSession>;

    /// Counts an answer to the open question of a session.
    ///
    /// Returns `Missing` for an unknown user, session or question; `Refused` with `AlreadyAnswered`,
    /// `Late`, `NotOpen`, `SessionOver`, `WrongKind`, `KeyReused` or `Overflow`.
    async fn submit_answer(&self, submission: AnswerSubmission) -> StoreResult<Receipt>;

    /// Gives points for something outside the questions.
    ///
    /// Returns `Missing` for an unknown user, `Invalid` for a reason that is empty or longer than 200
    /// characters; `Refused` with `KeyReused` or `Overflow`.
    async fn award(&self, request: AwardRequest) -> StoreResult<Receipt>;

    /// Gives an achievement by hand. Its bonus is paid once, however often it is granted or earned.
    ///
    /// Returns `Missing` for an unknown user or achievement; `Refused` with `KeyReused` or `Overflow`.
    async fn grant(&self, request: GrantRequest) -> StoreResult<Receipt>;

    /// Lets a player start over: points, streaks, boards and achievements are cleared; the ledger, the
    /// question statistics and the attempts at challenges stay.
    ///
    /// Returns `Missing` for an unknown user; `Refused(KeyReused)`.
    async fn reset(&self, request: ResetRequest) -> StoreResult<Receipt>;

    /// Declares a period over, once: however many ask, in however many processes, all are told which
    /// request was the first. So its sender announces the winners, also after a crash, and nobody else
    /// does. No job has to run at midnight: ask whenever somebody looks. A fact that comes later still
    /// lands in the period of its time.
    ///
    /// Returns `Refused(PeriodNotOver)`, `Invalid` when no such period starts on that day.
    async fn close_period(&self, request: ClosePeriod) -> StoreResult<Closing>;
}

/// A session to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartSession {
    /// Where it is played.
    pub channel_id: ChannelId,
    /// Who starts it.
    pub host: UserId,
    /// Its questions, in the order in which they are asked.
    pub questions: Vec<QuestionId>,
    /// Time to answer each.
    pub time_limit: TimeLimit,
}

/// A session with the questions of the present day or week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartChallenge {
    /// Where it is played.
    pub channel_id: ChannelId,
    /// Who starts it.
    pub host: UserId,
    /// Which challenge.
    pub kind: ChallengeKind,
    /// Time to answer each question.
    pub time_limit: TimeLimit,
}

/// An answer of a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerSubmission {
    /// Makes it count once.
    pub key: IdempotencyKey,
    /// The player.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The question.
    pub question_id: QuestionId,
    /// The answer: see [`QuestionContent::read`](crate::model::QuestionContent::read).
    pub given: Given,
}

/// Points for something outside the questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwardRequest {
    /// Makes it count once.
    pub key: IdempotencyKey,
    /// The player.
    pub user_id: UserId,
    /// How many.
    pub points: Points,
    /// What for.
    pub reason: String,
}

/// An achievement given by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRequest {
    /// Makes it count once.
    pub key: IdempotencyKey,
    /// The player.
    pub user_id: UserId,
    /// Which one.
    pub achievement_id: AchievementId,
}

/// A player who starts over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRequest {
    /// Makes it count once.
    pub key: IdempotencyKey,
    /// The player.
    pub user_id: UserId,
}

/// A period to declare over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosePeriod {
    /// Says later whether this request was the one.
    pub key: IdempotencyKey,
    /// Its length.
    pub period: Period,
    /// Its first day.
    pub starts_on: DayKey,
}
