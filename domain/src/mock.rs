//! Stand-ins for unit tests of a game-logic service.
//!
//! ```
//! use trivia_domain::mock::MockUnitOfWork;
//! use trivia_domain::model::{UserId, UserProfile};
//! use trivia_domain::ports::{UnitOfWork, Work};
//! use trivia_domain::StoreResult;
//!
//! /// Greets a player and remembers him.
//! struct Greet(UserId);
//!
//! #[async_trait::async_trait]
//! impl Work for Greet {
//!     type Output = String;
//!     async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<String> {
//!         let profile = uow.users().get_or_create(self.0).await?;
//!         Ok(format!("Hello, you have {} points", profile.total_points))
//!     }
//! }
//!
//! # futures_executor::block_on(async {
//! let mut uow = MockUnitOfWork::new();
//! uow.users
//!     .expect_get_or_create()
//!     .returning(|id| Ok(UserProfile::new(id, chrono::DateTime::UNIX_EPOCH)));
//! assert_eq!(Greet(UserId::new(7)?).run(&uow).await?, "Hello, you have 0 points");
//! # Ok::<(), trivia_domain::StoreError>(())
//! # }).unwrap();
//! ```

use async_trait::async_trait;

use crate::error::StoreResult;
use crate::ports::{
    AchievementRepository, ChallengeRepository, ErasedWork, MockAchievementRepository, MockChallengeRepository,
    MockPackRepository, MockPeoplePort, MockPlayPort, MockQuestionRepository, MockRankingRepository,
    MockReportRepository, MockRulesPort, MockSessionRepository, MockUserRepository, PackRepository, PeoplePort,
    PlayPort, QuestionRepository, RankingRepository, ReportRepository, Repositories, RulesPort, SessionRepository,
    Store, UnitOfWork, UserRepository,
};

/// A unit of work made of mocks: set expectations on its fields, then run a
/// [`Work`](crate::ports::Work) on it. It is a [`Store`] too, which runs every work on itself.
#[derive(Default)]
pub struct MockUnitOfWork {
    /// Players.
    pub users: MockUserRepository,
    /// Questions.
    pub questions: MockQuestionRepository,
    /// Packs.
    pub packs: MockPackRepository,
    /// Reports about questions.
    pub reports: MockReportRepository,
    /// Sessions.
    pub sessions: MockSessionRepository,
    /// Challenges.
    pub challenges: MockChallengeRepository,
    /// Achievements.
    pub achievements: MockAchievementRepository,
    /// Leaderboards.
    pub rankings: MockRankingRepository,
    /// Moves.
    pub play: MockPlayPort,
    /// Rules.
    pub rules: MockRulesPort,
    /// What a person may ask for.
    pub people: MockPeoplePort,
}

impl MockUnitOfWork {
    /// No expectations: every call fails the test.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Repositories for MockUnitOfWork {
    fn users(&self) -> &dyn UserRepository {
        &self.users
    }
    fn questions(&self) -> &dyn QuestionRepository {
        &self.questions
    }
    fn packs(&self) -> &dyn PackRepository {
        &self.packs
    }
    fn reports(&self) -> &dyn ReportRepository {
        &self.reports
    }
    fn sessions(&self) -> &dyn SessionRepository {
        &self.sessions
    }
    fn challenges(&self) -> &dyn ChallengeRepository {
        &self.challenges
    }
    fn achievements(&self) -> &dyn AchievementRepository {
        &self.achievements
    }
    fn rankings(&self) -> &dyn RankingRepository {
        &self.rankings
    }
    fn play(&self) -> &dyn PlayPort {
        &self.play
    }
}

impl UnitOfWork for MockUnitOfWork {}

#[async_trait]
impl Store for MockUnitOfWork {
    fn rules(&self) -> &dyn RulesPort {
        &self.rules
    }
    fn people(&self) -> &dyn PeoplePort {
        &self.people
    }
    async fn run(&self, work: &dyn ErasedWork) -> StoreResult<()> {
        work.run(self).await
    }
}
