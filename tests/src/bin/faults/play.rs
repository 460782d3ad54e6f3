//! What writers ask for, and the lines in which a driven process tells what became of it.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{
    Category, ChannelId, Difficulty, GameSession, Given, IdempotencyKey, Page, Points, QuestionBody, QuestionContent,
    QuestionId, Receipt, SessionId, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AnswerSubmission, AwardRequest, Clock, MaintenancePort, QuestionFilter, RandomSource, Repositories, ResetRequest,
    StartSession,
};
use trivia_domain::{Refusal, StoreError, StoreResult};
use trivia_infrastructure::{Database, SystemClock};

/// Questions of the database, and of one session.
const QUESTIONS: u64 = 12;
const ASKED: usize = 4;
/// Players of each writer; no two writers have the same.
const PLAYERS: i64 = 4;
/// A player whom no writer has, for single moves.
pub(crate) const SOMEBODY: i64 = 1;
/// How long a store may take to work again when a fault is over.
const HEALING: Duration = Duration::from_secs(5);
/// Between two attempts at something that a fault prevents.
const PAUSE: Duration = Duration::from_millis(5);

/// A move that counts once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "move", rename_all = "snake_case")]
pub(crate) enum Request {
    Answer { key: IdempotencyKey, user: UserId, session: SessionId, question: QuestionId, given: Given },
    Award { key: IdempotencyKey, user: UserId, points: Points },
    Reset { key: IdempotencyKey, user: UserId },
}

impl Request {
    pub(crate) const fn key(&self) -> IdempotencyKey {
        match self {
            Self::Answer { key, .. } | Self::Award { key, .. } | Self::Reset { key, .. } => *key,
        }
    }

    pub(crate) async fn send(&self, database: &Database) -> StoreResult<Receipt> {
        let play = database.play();
        match self.clone() {
            Self::Answer { key, user, session, question, given } => {
                let submission =
                    AnswerSubmission { key, user_id: user, session_id: session, question_id: question, given };
                play.submit_answer(submission).await
            }
            Self::Award { key, user, points } => {
                play.award(AwardRequest { key, user_id: user, points, reason: "a test".to_owned() }).await
            }
            Self::Reset { key, user } => play.reset(ResetRequest { key, user_id: user }).await,
        }
    }

    /// Some points for one player.
    pub(crate) fn award(user: i64, random: &dyn RandomSource) -> Self {
        Self::Award { key: key(random), user: player(user), points: Points::small(1 + below(random, 9) as u32) }
    }
}

/// An error as its reader sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) hint: String,
}

impl From<&StoreError> for Told {
    fn from(error: &StoreError) -> Self {
        let (mut text, mut cause) = (error.to_string(), error.source());
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self { kind: error.kind().to_owned(), text, hint: error.hint().to_owned() }
    }
}

/// What a driven process tells, one JSON object a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    /// It is open and the fault can come.
    Ready,
    /// A move is on its way.
    Sent { request: Request },
    /// It was counted.
    Acknowledged { key: IdempotencyKey, user: UserId, seq: u64 },
    /// It was not counted, for sure.
    Refused { key: IdempotencyKey, error: Told },
    /// Nobody knows.
    Unknown { key: IdempotencyKey, error: Told },
    /// Something without a key failed.
    Failed { what: String, error: Told },
    /// Something without a key was done.
    Done { what: String },
    /// It works again, in the same process.
    Healed,
    /// It does not, though the fault is over.
    Unhealed { error: Told },
}

impl Line {
    /// The error in it.
    pub(crate) const fn error(&self) -> Option<&Told> {
        match self {
            Self::Refused { error, .. }
            | Self::Unknown { error, .. }
            | Self::Failed { error, .. }
            | Self::Unhealed { error } => Some(error),
            Self::Ready | Self::Sent { .. } | Self::Acknowledged { .. } | Self::Done { .. } | Self::Healed => None,
        }
    }
}

/// Tells it in one piece: a reader finds whole lines, whatever ends the process.
pub(crate) fn tell(line: &Line) {
    let mut text = serde_json::to_string(line).expect("a line is JSON");
    text.push('\n');
    // whoever listened may be gone
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Sends a move and tells what became of it.
pub(crate) async fn make(database: &Database, request: Request) -> StoreResult<Receipt> {
    let key = request.key();
    tell(&Line::Sent { request: request.clone() });
    let result = request.send(database).await;
    tell(&match &result {
        Ok(receipt) => Line::Acknowledged { key, user: receipt.user_id, seq: receipt.seq },
        Err(error @ (StoreError::OutcomeUnknown { .. } | StoreError::Backend { .. })) => {
            Line::Unknown { key, error: error.into() }
        }
        Err(error) => Line::Refused { key, error: error.into() },
    });
    result
}

/// Makes moves until one counts: the fault is over.
pub(crate) async fn heal(database: &Database, random: &dyn RandomSource) {
    let started = Instant::now();
    loop {
        match make(database, Request::award(SOMEBODY, random)).await {
            Ok(_) => return tell(&Line::Healed),
            Err(error) if started.elapsed() > HEALING => return tell(&Line::Unhealed { error: (&error).into() }),
            Err(error) => {
                // SQLite takes a read error for damage, and damage stops all writing until a check finds none: a
                // service checks regularly
                if matches!(error, StoreError::Corrupt { .. }) {
                    database.check().await;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Adds the questions and the players that the writers need.
pub(crate) async fn furnish(database: &Database, writers: i64) -> StoreResult<()> {
    database.questions().add((0..QUESTIONS).map(question).collect()).await?;
    for user in [SOMEBODY].into_iter().chain((1..=writers).flat_map(players)) {
        database.users().get_or_create(player(user)).await?;
    }
    Ok(())
}

/// Writers who play at the same time until they have made so many moves together.
pub(crate) async fn play(database: &Database, writers: i64, moves: u64, seed: u64) {
    let left = Arc::new(AtomicU64::new(moves));
    let mut tasks = JoinSet::new();
    for number in 1..=writers {
        let writer = Writer {
            database: database.clone(),
            number,
            random: SeededRandom::new(seed ^ (number as u64) << 48),
            left: Arc::clone(&left),
        };
        tasks.spawn(async move {
            while writer.has_moves() {
                // a fault ends the game, not the writer
                if let Err(error) = writer.game().await {
                    tell(&Line::Failed { what: "playing".to_owned(), error: (&error).into() });
                    writer.take();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
    tasks.join_all().await;
}

struct Writer {
    database: Database,
    number: i64,
    random: SeededRandom,
    left: Arc<AtomicU64>,
}

impl Writer {
    fn has_moves(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// Takes one of the moves that are left.
    fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Makes a move if one is left. Its failure is told and costs nothing else.
    async fn make(&self, request: Request) {
        if self.take() {
            let failed =
                make(&self.database, request).await.is_err_and(|error| !matches!(error, StoreError::Refused(_)));
            if failed {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn game(&self) -> StoreResult<()> {
        let session = self.start().await?;
        for position in 0..session.questions.len() {
            let question = session.questions[position].question_id;
            for user in players(self.number).map(player) {
                let answer =
                    |given| Request::Answer { key: key(&self.random), user, session: session.id, question, given };
                let first = answer(Given::Choice(below(&self.random, 3) as usize));
                self.make(first.clone()).await;
                match below(&self.random, 16) {
                    // a retry gets the first receipt, another answer none
                    0 => self.make(first).await,
                    1 => self.make(answer(Given::Choice(0))).await,
                    2 => self.make(answer(Given::Truth(true))).await,
                    3 | 4 => self.make(Request::award(user.get(), &self.random)).await,
                    5 if below(&self.random, 8) == 0 => {
                        self.make(Request::Reset { key: key(&self.random), user }).await
                    }
                    _ => {}
                }
                if !self.has_moves() {
                    return Ok(());
                }
            }
            self.database.play().advance(session.id, position).await?;
        }
        Ok(())
    }

    /// A session in the writer's own channel; one that was left there is ended.
    async fn start(&self) -> StoreResult<GameSession> {
        let all = self.database.questions().list(&QuestionFilter::default(), Page::first(50)).await?;
        let from = below(&self.random, all.len() as u64) as usize;
        let request = StartSession {
            channel_id: ChannelId::new(self.number)?,
            host: player(100 * self.number),
            questions: all.iter().cycle().skip(from).take(ASKED).map(|question| question.id).collect(),
            time_limit: TimeLimit::new(Duration::from_secs(600))?,
        };
        match self.database.play().start_session(request.clone()).await {
            Err(StoreError::Refused(Refusal::ChannelOccupied)) => {
                if let Some(left) = self.database.sessions().live(request.channel_id).await? {
                    self.database.play().finish(left.id).await?;
                }
                self.database.play().start_session(request).await
            }
            other => other,
        }
    }
}

/// The players of a writer.
fn players(writer: i64) -> impl Iterator<Item = i64> {
    (0..PLAYERS).map(move |n| 100 * writer + n)
}

pub(crate) fn player(number: i64) -> UserId {
    UserId::new(number).expect("it is an id")
}

fn key(random: &dyn RandomSource) -> IdempotencyKey {
    IdempotencyKey::generate(SystemClock.now(), random)
}

/// Chance: 0 to `bound` - 1.
pub(crate) fn below(random: &dyn RandomSource, bound: u64) -> u64 {
    random.next_u64() % bound
}

fn question(number: u64) -> QuestionContent {
    let options = (0..3).map(|option| format!("{}", number * 7 + option)).collect();
    let body = QuestionBody::MultipleChoice { options, correct: (number % 3) as usize };
    let text = format!("How many lanterns hang in street {number}?");
    let category = Category::new("Lanterns").expect("it is a category");
    QuestionContent::new(body, &text, category, Difficulty::Easy).expect("it is a question")
}
