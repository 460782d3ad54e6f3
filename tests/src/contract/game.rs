//! What every test starts from.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use tokio::sync::Barrier;
use tokio::time::timeout;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    AchievementCategory, AchievementDefinition, AchievementId, AchievementRule, ChallengeKind, ChannelId, DayKey,
    GameSession, Given, IdempotencyKey, Points, QuestionContent, QuestionId, Receipt, TimeLimit, TimeZone, UserId,
    UserProfile,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, AwardRequest, Clock, GrantRequest, MaintenancePort, RandomSource, ResetRequest,
    StartChallenge, StartSession, Store, UnitOfWork, Work,
};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::content::statement;

/// When this variable is set, a backend that is not there fails its tests.
const REQUIRE_ALL: &str = "TRIVIA_TEST_REQUIRE_ALL";

/// Longest time of one test on a busy machine; a deadlock must not stop the suite.
const LIMIT: Duration = Duration::from_secs(300);

/// A kind of store that must keep the contract.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Opens a new, empty store that goes by this clock and this chance; `None` when there is no server
    /// for it here.
    async fn open(&self, clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Option<OpenStore>;

    /// How many random histories it plays.
    fn histories(&self) -> Histories {
        Histories { cases: 2_000, per_store: 1 }
    }
}

/// How many random histories a backend plays.
#[derive(Debug, Clone, Copy)]
pub struct Histories {
    /// All of them.
    pub cases: u32,
    /// Those that share a store, one after the other: for backends that are slow to open.
    pub per_store: u32,
}

/// A store, and what must live as long as it does.
pub struct OpenStore {
    store: Arc<dyn Store>,
    keep: Box<dyn Any + Send + Sync>,
    maintenance: Option<Arc<dyn MaintenancePort>>,
}

impl OpenStore {
    /// A store that needs nothing else.
    #[must_use]
    pub fn new(store: impl Store + 'static) -> Self {
        Self::keeping(store, ())
    }

    /// A store that needs something else, such as its temporary directory.
    #[must_use]
    pub fn keeping(store: impl Store + 'static, keep: impl Any + Send + Sync) -> Self {
        Self { store: Arc::new(store), keep: Box::new(keep), maintenance: None }
    }

    /// After the test every derived number must follow from the ledger.
    #[must_use]
    pub fn verified_by(mut self, maintenance: impl MaintenancePort + 'static) -> Self {
        self.maintenance = Some(Arc::new(maintenance));
        self
    }
}

/// Runs one test on a new store of a backend.
///
/// # Panics
/// When the test does, when it hangs, or when the backend is not there but required.
pub async fn run<F>(name: &str, backend: impl Backend, test: impl FnOnce(Game) -> F)
where
    F: Future<Output = ()>,
{
    let Some(game) = Game::open(Arc::new(backend)).await else {
        assert!(std::env::var_os(REQUIRE_ALL).is_none(), "{REQUIRE_ALL} is set, but this backend has no server here");
        eprintln!("{name}: not run, this backend has no server here");
        return;
    };
    let afterwards = game.clone();
    timeout(LIMIT, test(game)).await.expect("the test does not hang");
    afterwards.verify().await;
}

/// A store with a clock and chance that the test controls. Clones share all of them.
#[derive(Clone)]
pub struct Game {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) random: Arc<SeededRandom>,
    backend: Arc<dyn Backend>,
    next: Arc<AtomicI64>,
    maintenance: Option<Arc<dyn MaintenancePort>>,
    _keep: Arc<dyn Any + Send + Sync>,
}

impl Game {
    async fn open(backend: Arc<dyn Backend>) -> Option<Self> {
        let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
        let random = Arc::new(SeededRandom::new(7));
        let OpenStore { store, keep, maintenance } = backend.open(clock.clone(), random.clone()).await?;
        Some(Self { store, clock, random, backend, next: Arc::default(), maintenance, _keep: Arc::from(keep) })
    }

    /// Another, empty store of the same backend.
    pub(crate) async fn fresh(&self) -> Self {
        Self::open(Arc::clone(&self.backend)).await.expect("the backend was there before")
    }

    /// Every number must follow from the ledger.
    pub(crate) async fn verify(&self) {
        if let Some(maintenance) = &self.maintenance {
            assert_eq!(maintenance.verify().await.unwrap(), [], "L3: a number does not follow from the ledger");
        }
    }

    /// How many random histories the backend plays.
    pub(crate) fn histories(&self) -> Histories {
        self.backend.histories()
    }

    /// A number that this game did not use before.
    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn key(&self) -> IdempotencyKey {
        IdempotencyKey::generate(self.clock.now(), self.random.as_ref())
    }

    pub(crate) fn wait(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    pub(crate) fn set_clock(&self, at: &str) {
        self.clock.set(at.parse().unwrap());
    }

    /// The player with this id, created if need be.
    pub(crate) async fn user(&self, id: i64) -> UserId {
        self.store.users().get_or_create(user_id(id)).await.unwrap().user_id
    }

    pub(crate) async fn profile(&self, user: UserId) -> UserProfile {
        self.store.users().get(user).await.unwrap()
    }

    /// Total points of a player.
    pub(crate) async fn points(&self, user: UserId) -> i64 {
        self.profile(user).await.total_points.get()
    }

    /// Adds a question that must be new.
    pub(crate) async fn add(&self, content: QuestionContent) -> QuestionId {
        match self.store.questions().add(vec![content]).await.unwrap()[..] {
            [AddOutcome::Added { id }] => id,
            ref other => panic!("the question is not new: {other:?}"),
        }
    }

    /// Adds easy true statements.
    pub(crate) async fn statements(&self, count: usize) -> Vec<QuestionId> {
        let contents = (0..count).map(|_| statement(&format!("Statement {}", self.number()), true)).collect();
        let outcomes = self.store.questions().add(contents).await.unwrap();
        outcomes
            .into_iter()
            .map(|outcome| match outcome {
                AddOutcome::Added { id } => id,
                other => panic!("the statement is not new: {other:?}"),
            })
            .collect()
    }

    /// What starts a normal session with 30 seconds a question.
    pub(crate) fn request(&self, channel: i64, host: UserId, questions: &[QuestionId]) -> StartSession {
        StartSession {
            channel_id: channel_id(channel),
            host,
            questions: questions.to_vec(),
            time_limit: TimeLimit::default(),
        }
    }

    /// Starts a normal session with 30 seconds a question.
    pub(crate) async fn start(&self, channel: i64, host: UserId, questions: &[QuestionId]) -> GameSession {
        self.store.play().start_session(self.request(channel, host, questions)).await.unwrap()
    }

    pub(crate) async fn try_challenge(
        &self,
        channel: i64,
        host: UserId,
        kind: ChallengeKind,
    ) -> StoreResult<GameSession> {
        let (channel_id, time_limit) = (channel_id(channel), TimeLimit::default());
        self.store.play().start_challenge(StartChallenge { channel_id, host, kind, time_limit }).await
    }

    /// Starts the present challenge with 30 seconds a question.
    pub(crate) async fn start_challenge(&self, channel: i64, host: UserId, kind: ChallengeKind) -> GameSession {
        self.try_challenge(channel, host, kind).await.unwrap()
    }

    /// Starts the present challenge in a channel that nobody used.
    pub(crate) async fn start_challenge_anywhere(&self, host: UserId, kind: ChallengeKind) -> GameSession {
        self.start_challenge(1_000_000 + self.number(), host, kind).await
    }

    /// Plays a whole challenge of statements in a session of its own, as right and wrong as said.
    pub(crate) async fn play_challenge(&self, user: UserId, kind: ChallengeKind, answers: &[bool]) -> Vec<Receipt> {
        let mut session = self.start_challenge_anywhere(user, kind).await;
        assert_eq!(session.questions.len(), answers.len());
        let mut receipts = Vec::new();
        for (at, correct) in answers.iter().enumerate() {
            receipts.push(self.answer(user, &session, *correct).await.unwrap());
            session = self.store.play().advance(session.id, at).await.unwrap();
        }
        receipts
    }

    /// Starts a normal session in a channel that nobody used.
    pub(crate) async fn start_anywhere(&self, host: UserId, questions: &[QuestionId]) -> GameSession {
        self.start(1_000_000 + self.number(), host, questions).await
    }

    /// An answer to the open question of a session.
    pub(crate) fn submission(&self, user: UserId, session: &GameSession, given: Given) -> AnswerSubmission {
        AnswerSubmission {
            key: self.key(),
            user_id: user,
            session_id: session.id,
            question_id: session.open_question().expect("a question is open").question_id,
            given,
        }
    }

    /// Answers the open question, a statement.
    pub(crate) async fn answer(&self, user: UserId, session: &GameSession, truth: bool) -> StoreResult<Receipt> {
        self.store.play().submit_answer(self.submission(user, session, Given::Truth(truth))).await
    }

    /// Answers a true statement in a session of its own.
    pub(crate) async fn play(&self, user: UserId, statement: QuestionId, correct: bool) -> Receipt {
        let session = self.start_anywhere(user, &[statement]).await;
        self.answer(user, &session, correct).await.unwrap()
    }

    pub(crate) fn award_request(&self, user: UserId, points: i64) -> AwardRequest {
        AwardRequest {
            key: self.key(),
            user_id: user,
            points: Points::new(points).unwrap(),
            reason: "contract".to_owned(),
        }
    }

    pub(crate) async fn award(&self, user: UserId, points: i64) -> StoreResult<Receipt> {
        self.store.play().award(self.award_request(user, points)).await
    }

    pub(crate) async fn grant(&self, user: UserId, achievement: &str) -> StoreResult<Receipt> {
        let request = GrantRequest { key: self.key(), user_id: user, achievement_id: achievement_id(achievement) };
        self.store.play().grant(request).await
    }

    pub(crate) async fn reset(&self, user: UserId) -> Receipt {
        self.store.play().reset(ResetRequest { key: self.key(), user_id: user }).await.unwrap()
    }
}

pub(crate) fn user_id(id: i64) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn channel_id(id: i64) -> ChannelId {
    ChannelId::new(id).unwrap()
}

pub(crate) fn question_id(id: i64) -> QuestionId {
    QuestionId::new(id).unwrap()
}

pub(crate) fn achievement_id(id: &str) -> AchievementId {
    AchievementId::new(id).unwrap()
}

pub(crate) fn zone(name: &str) -> TimeZone {
    name.parse().unwrap()
}

pub(crate) fn day(text: &str) -> DayKey {
    text.parse().unwrap()
}

/// An achievement that everybody sees.
pub(crate) fn definition(id: &str, rule: AchievementRule, bonus: u32) -> AchievementDefinition {
    AchievementDefinition {
        id: achievement_id(id),
        name: "For a test".into(),
        emoji: "🧪".into(),
        category: AchievementCategory::Participation,
        rule,
        bonus: Points::small(bonus),
        hidden: false,
    }
}

/// Which rule refused the move.
#[track_caller]
pub(crate) fn refusal<T: Debug>(result: StoreResult<T>) -> Refusal {
    match result {
        Err(StoreError::Refused(refusal)) => refusal,
        other => panic!("a refusal was expected: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_missing<T: Debug>(result: StoreResult<T>, expected: &str) {
    match result {
        Err(StoreError::Missing { entity, .. }) => assert_eq!(entity, expected),
        other => panic!("a missing {expected} was expected: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_conflict<T: Debug>(result: StoreResult<T>) {
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "a conflict was expected: {result:?}");
}

#[track_caller]
pub(crate) fn assert_invalid<T: Debug>(result: StoreResult<T>, expected: &str) {
    match result {
        Err(StoreError::Invalid { what, .. }) => assert_eq!(what, expected),
        other => panic!("an invalid {expected} was expected: {other:?}"),
    }
}

/// Runs tasks that start at the same moment; the results are in the order of the tasks.
pub(crate) async fn together<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|at| {
            let (barrier, task) = (Arc::clone(&barrier), task(at));
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.expect("the task ends"));
    }
    results
}

/// What a work made of a closure returns.
pub(crate) type WorkFuture<'a, T> = Pin<Box<dyn Future<Output = StoreResult<T>> + Send + 'a>>;

/// A work made of a closure.
pub(crate) struct FnWork<T, F>(F, PhantomData<fn() -> T>);

pub(crate) fn work<T, F>(run: F) -> FnWork<T, F>
where
    F: for<'a> Fn(&'a dyn UnitOfWork) -> WorkFuture<'a, T> + Send + Sync,
{
    FnWork(run, PhantomData)
}

#[async_trait]
impl<T, F> Work for FnWork<T, F>
where
    T: Send,
    F: for<'a> Fn(&'a dyn UnitOfWork) -> WorkFuture<'a, T> + Send + Sync,
{
    type Output = T;

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<T> {
        (self.0)(uow).await
    }
}
