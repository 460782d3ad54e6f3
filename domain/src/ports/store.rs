use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{
    AchievementRepository, ChallengeRepository, PackRepository, PeoplePort, PlayPort, QuestionRepository,
    RankingRepository, ReportRepository, RulesPort, SessionRepository, UserRepository,
};
use crate::error::{StoreError, StoreResult};

/// The repositories, either of a store, where each call stands alone, or of a unit of work,
/// where all calls are one transaction.
pub trait Repositories: Send + Sync {
    /// Players.
    fn users(&self) -> &dyn UserRepository;
    /// Questions.
    fn questions(&self) -> &dyn QuestionRepository;
    /// Where questions come from.
    fn packs(&self) -> &dyn PackRepository;
    /// Reports about questions.
    fn reports(&self) -> &dyn ReportRepository;
    /// Sessions.
    fn sessions(&self) -> &dyn SessionRepository;
    /// Challenges.
    fn challenges(&self) -> &dyn ChallengeRepository;
    /// Achievements.
    fn achievements(&self) -> &dyn AchievementRepository;
    /// Leaderboards.
    fn rankings(&self) -> &dyn RankingRepository;
    /// The moves of the game.
    fn play(&self) -> &dyn PlayPort;
}

/// One transaction: reads see its own writes, and nobody else sees them before it ends.
pub trait UnitOfWork: Repositories {}

/// A storage backend.
#[async_trait]
pub trait Store: Repositories {
    /// The rules of the game.
    fn rules(&self) -> &dyn RulesPort;

    /// What a person may ask for.
    fn people(&self) -> &dyn PeoplePort;

    /// Runs a work in one transaction; [`execute`] gives its result back.
    ///
    /// When the work fails or its future is dropped, nothing of it stays.
    async fn run(&self, work: &dyn ErasedWork) -> StoreResult<()>;
}

/// Something that must be atomic and is not a move of the game. It may be run again from its start
/// when the backend asks for it, so it must not keep what an earlier run did.
///
/// In a unit test it runs against `MockUnitOfWork`, without any store.
#[async_trait]
pub trait Work: Send + Sync {
    /// What it returns.
    type Output: Send;

    /// Does it.
    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<Self::Output>;
}

/// A [`Work`] whose result is kept inside, so that [`Store`] can be a trait object.
#[async_trait]
pub trait ErasedWork: Send + Sync {
    /// Runs it once and keeps the result.
    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()>;
}

struct Capture<'a, W: Work> {
    work: &'a W,
    output: Mutex<Option<W::Output>>,
}

#[async_trait]
impl<W: Work> ErasedWork for Capture<'_, W> {
    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()> {
        let output = self.work.run(uow).await?;
        *self.output.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        Ok(())
    }
}

/// Runs a work in one transaction of a store and returns its result.
///
/// # Errors
/// What the work returns, or what the store meets while committing.
pub async fn execute<W: Work>(store: &dyn Store, work: &W) -> StoreResult<W::Output> {
    let capture = Capture { work, output: Mutex::new(None) };
    store.run(&capture).await?;
    capture
        .output
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .ok_or_else(|| StoreError::backend("running a unit of work", "the store did not run it"))
}
