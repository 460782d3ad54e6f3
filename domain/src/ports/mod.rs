//! The ports: what a storage layer promises to a game.
//!
//! To add one: write the trait in a file of its own with its promises, list it here, give it to
//! [`Repositories`], implement it in `memory` and in the infrastructure crate, and add its promises
//! to the contract suite.

mod achievements;
mod backup;
mod clock;
mod maintenance;
mod play;
mod questions;
mod random;
mod rankings;
mod sessions;
mod store;
mod users;

pub use achievements::{AchievementProgress, AchievementRepository};
pub use backup::{BackupService, RestoreReport};
pub use clock::Clock;
pub use maintenance::{
    CheckOutcome, DatabaseStats, HealthCheck, HealthReport, HealthStatus, MaintenancePort, PoolStats,
};
pub use play::{AnswerSubmission, AwardRequest, GrantRequest, PlayPort, ResetRequest, StartSession};
pub use questions::{
    AddOutcome, PickOwner, PickRequest, PickScope, QuestionFilter, QuestionGroup, QuestionRepository, WhenExhausted,
};
pub use random::RandomSource;
pub use rankings::RankingRepository;
pub use sessions::SessionRepository;
pub use store::{ErasedWork, Repositories, Store, UnitOfWork, Work, execute};
pub use users::{RecentAnswer, UserBreakdown, UserRepository};

#[cfg(feature = "mock")]
pub use self::{
    achievements::MockAchievementRepository, backup::MockBackupService, clock::MockClock,
    maintenance::MockMaintenancePort, play::MockPlayPort, questions::MockQuestionRepository, random::MockRandomSource,
    rankings::MockRankingRepository, sessions::MockSessionRepository, users::MockUserRepository,
};
