//! The one error type of the ports.

use std::error::Error as StdError;

/// What a port call returns.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a storage operation did not happen. Each names the thing it is about;
/// [`StoreError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The thing exists already, or a rule of uniqueness forbids it.
    #[error("{entity} {id} already exists")]
    Conflict {
        /// Kind of thing, such as `user`.
        entity: &'static str,
        /// Its id, as the caller wrote it.
        id: String,
    },
    /// There is no such thing.
    #[error("{entity} {id} does not exist")]
    Missing {
        /// Kind of thing, such as `user`.
        entity: &'static str,
        /// Its id, as the caller wrote it.
        id: String,
    },
    /// The caller's value breaks a rule of the model.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// The value that was refused.
        what: &'static str,
        /// Which rule it breaks.
        reason: String,
    },
    /// The rules of the game refuse this move; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another process holds the database; nothing was changed.
    #[error("{what} is busy: another process is using it")]
    Busy {
        /// File or server.
        what: String,
    },
    /// The stored data contradicts itself.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// File, or table and row.
        what: String,
        /// What was found.
        reason: String,
    },
    /// The database or its directory cannot be written.
    #[error("{what} cannot be written: {reason}")]
    ReadOnly {
        /// File or directory.
        what: String,
        /// What the system said.
        reason: String,
    },
    /// The disk is full, or a quota or a limit is reached.
    #[error("no space left for {what}: {reason}")]
    DiskFull {
        /// File or directory.
        what: String,
        /// What is used up, with bytes where they are known.
        reason: String,
    },
    /// The database has another schema than this program.
    #[error("{what} is incompatible: {reason}")]
    Incompatible {
        /// File or server.
        what: String,
        /// What differs.
        reason: String,
    },
    /// It is encrypted, and no key here opens it.
    #[error("{what} cannot be opened: {reason}")]
    NoKey {
        /// What is encrypted.
        what: String,
        /// Which keys were tried.
        reason: String,
    },
    /// A program of somebody else, which this one needs, is not installed or too old.
    #[error("{what} is needed: {reason}")]
    NoProgram {
        /// Program and version.
        what: String,
        /// What was found instead.
        reason: String,
    },
    /// Another machine refuses this program's keys or what it asked for, or does not prove who it is.
    #[error("{what} was refused: {reason}")]
    Denied {
        /// Server or object.
        what: String,
        /// What the other machine said.
        reason: String,
    },
    /// Another machine does not answer, or not as it should.
    #[error("{what} cannot be reached: {reason}")]
    Unreachable {
        /// Server or object.
        what: String,
        /// What went wrong.
        reason: String,
    },
    /// The commit was sent, but whether it happened is unknown. A retry with the same key settles it.
    #[error("the outcome is unknown: {reason}")]
    OutcomeUnknown {
        /// What went wrong while committing.
        reason: String,
    },
    /// Anything else that the backend reports.
    #[error("storage backend: {context}")]
    Backend {
        /// What was being done.
        context: String,
        /// The backend's own error.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// A move that the rules of the game do not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The player answered this question of the session or challenge before; the first answer is final.
    #[error("this question was answered before; the first answer is final")]
    AlreadyAnswered,
    /// The time of the question was over.
    #[error("the answer came {late_by_ms} ms after the deadline")]
    Late {
        /// Milliseconds after the deadline, rounded up.
        late_by_ms: i64,
    },
    /// The question is not the one that is open in this session.
    #[error("this question is not open in the session")]
    NotOpen,
    /// The session has ended.
    #[error("the session is over")]
    SessionOver,
    /// The period cannot be closed, because it is not over.
    #[error("the period is not over")]
    PeriodNotOver,
    /// The session cannot be expired, because its time is not up.
    #[error("the time of the session is not up")]
    TimeNotUp,
    /// Another live session occupies the channel.
    #[error("the channel has a live session")]
    ChannelOccupied,
    /// The answer is not of the kind that the question asks for.
    #[error("the answer is not of the kind that the question asks for")]
    WrongKind,
    /// The idempotency key belongs to another request of the same player.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The sum would not fit.
    #[error("points would overflow")]
    Overflow,
    /// Fewer questions match than were wanted.
    #[error("only {available} questions match, {wanted} were wanted")]
    NotEnoughQuestions {
        /// How many match; for a scope that reuses nothing, how many of them were not picked before.
        available: u64,
        /// How many were wanted.
        wanted: u64,
    },
    /// The player has as many open reports as a player may have.
    #[error("this player has {most} open reports; no more are taken until some are settled")]
    TooManyReports {
        /// How many a player may have.
        most: u64,
    },
}

impl StoreError {
    /// There is no `entity` with this `id`.
    pub fn missing(entity: &'static str, id: impl ToString) -> Self {
        Self::Missing { entity, id: id.to_string() }
    }

    /// An `entity` with this `id` exists already.
    pub fn conflict(entity: &'static str, id: impl ToString) -> Self {
        Self::Conflict { entity, id: id.to_string() }
    }

    /// The value of `what` breaks a rule.
    pub fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }

    /// Any other failure of the backend.
    pub fn backend(context: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Backend { context: context.into(), source: source.into() }
    }

    /// Its kind in one word, for figures and logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::Missing { .. } => "missing",
            Self::Invalid { .. } => "invalid",
            Self::Refused(_) => "refused",
            Self::Busy { .. } => "busy",
            Self::Corrupt { .. } => "corrupt",
            Self::ReadOnly { .. } => "read_only",
            Self::DiskFull { .. } => "disk_full",
            Self::Incompatible { .. } => "incompatible",
            Self::NoKey { .. } => "no_key",
            Self::NoProgram { .. } => "no_program",
            Self::Denied { .. } => "denied",
            Self::Unreachable { .. } => "unreachable",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::Backend { .. } => "backend",
        }
    }

    /// The next step for a person who sees this error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "use another id, or update the existing one",
            Self::Missing { .. } => "check the id; list commands show what exists",
            Self::Invalid { .. } => "correct the value and try again; nothing was changed",
            Self::Refused(_) => "nothing was changed; the rules of the game decide",
            Self::Busy { .. } => "stop the other process or try again in a moment; nothing was changed",
            Self::Corrupt { .. } => "do not write to it; stop what uses it and run `trivia-db recover`",
            Self::ReadOnly { .. } => "give this user write permission, or choose another place",
            Self::DiskFull { .. } => "free some space or raise the limit, and try again; nothing was changed",
            Self::Incompatible { .. } => "use a program of the matching version, or run `migrate up`",
            Self::NoKey { .. } => {
                "set backup_identity_file to the file with the AGE-SECRET-KEY of one of its recipients"
            }
            Self::NoProgram { .. } => {
                "install PostgreSQL's client programs of that version or newer, such as the package postgresql-client; \
                 nothing was changed"
            }
            Self::Denied { .. } => {
                "check the address, the keys or the password, and what they may do there; nothing was changed"
            }
            Self::Unreachable { .. } => "check the address and the network, then try again; nothing was changed",
            Self::OutcomeUnknown { .. } => "retry with the same idempotency key; it is counted once",
            Self::Backend { .. } => "see the log for the cause; nothing was acknowledged",
        }
    }
}
