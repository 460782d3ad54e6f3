//! The repositories: one struct, one file for each port.

mod achievements;
mod challenges;
mod labels;
mod packs;
mod people;
mod picking;
mod players;
pub(crate) mod portions;
mod questions;
mod rankings;
mod reports;
pub(crate) mod rows;
mod sessions;
mod users;

pub(crate) mod drift;
pub(crate) mod erasing;
pub(crate) mod moves;
pub(crate) mod projection;
pub(crate) mod rule_book;
pub(crate) mod rules;
mod score_counts;
mod together;

use trivia_domain::StoreResult;
use trivia_domain::ports::{
    AchievementRepository, ChallengeRepository, PackRepository, PlayPort, QuestionRepository, RankingRepository,
    ReportRepository, Repositories, SessionRepository, UnitOfWork, UserRepository,
};

pub(crate) use questions::BLOCK;

use crate::database::Scope;

/// All repositories, on the store or inside one transaction.
pub(crate) struct Repository {
    scope: Scope,
}

impl Repository {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// Ends a unit of work well; dropping it undoes everything.
    pub(crate) async fn commit(self) -> StoreResult<()> {
        match self.scope {
            Scope::Store { .. } => Ok(()),
            Scope::Work { transaction, .. } => {
                transaction.complete().await?;
                transaction.commit().await
            }
        }
    }
}

impl Repositories for Repository {
    fn users(&self) -> &dyn UserRepository {
        self
    }
    fn questions(&self) -> &dyn QuestionRepository {
        self
    }
    fn packs(&self) -> &dyn PackRepository {
        self
    }
    fn reports(&self) -> &dyn ReportRepository {
        self
    }
    fn sessions(&self) -> &dyn SessionRepository {
        self
    }
    fn challenges(&self) -> &dyn ChallengeRepository {
        self
    }
    fn achievements(&self) -> &dyn AchievementRepository {
        self
    }
    fn rankings(&self) -> &dyn RankingRepository {
        self
    }
    fn play(&self) -> &dyn PlayPort {
        self
    }
}

impl UnitOfWork for Repository {}
