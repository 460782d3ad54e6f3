//! The ports: what a storage layer promises to a game.
//!
//! To add one: write the trait in a file of its own with its promises, list it here, give it to
//! [`Repositories`], implement it in `memory` and in the infrastructure crate, and add its promises
//! to the contract suite.

mod achievements;
mod backup;
mod byte_store;
mod challenges;
mod clock;
mod maintenance;
mod packs;
mod people;
mod play;
mod progress;
mod questions;
mod random;
mod rankings;
mod recovery;
mod reports;
mod rules;
mod sessions;
mod store;
mod users;

pub use achievements::{AchievementProgress, AchievementRepository};
pub use backup::{BackupService, RestoreReport};
pub use byte_store::{ByteStore, StoredObject, check_object_name};
pub use challenges::ChallengeRepository;
pub use clock::Clock;
pub use maintenance::{
    CheckOutcome, Compaction, DatabaseStats, HealthCheck, HealthReport, HealthStatus, MaintenancePort, PoolStats,
};
pub use packs::{ListedPack, PackRepository};
pub use people::PeoplePort;
pub use play::{
    AnswerSubmission, AwardRequest, ClosePeriod, GrantRequest, PlayPort, ResetRequest, StartChallenge, StartSession,
};
pub use progress::{Phase, Progress};
pub use questions::{
    AddOutcome, PickOwner, PickRequest, PickScope, QuestionFilter, QuestionGroup, QuestionRepository, WhenExhausted,
};
pub use random::RandomSource;
pub use rankings::RankingRepository;
pub use recovery::RecoveryService;
pub use reports::{FileReport, ReportFilter, ReportRepository, ReportedQuestion};
pub use rules::RulesPort;
pub use sessions::SessionRepository;
pub use store::{ErasedWork, Repositories, Store, UnitOfWork, Work, execute};
pub use users::{RecentAnswer, UserBreakdown, UserRepository};

#[cfg(feature = "mock")]
pub use self::{
    achievements::MockAchievementRepository, backup::MockBackupService, byte_store::MockByteStore,
    challenges::MockChallengeRepository, clock::MockClock, maintenance::MockMaintenancePort, packs::MockPackRepository,
    people::MockPeoplePort, play::MockPlayPort, progress::MockProgress, questions::MockQuestionRepository,
    random::MockRandomSource, rankings::MockRankingRepository, recovery::MockRecoveryService,
    reports::MockReportRepository, rules::MockRulesPort, sessions::MockSessionRepository, users::MockUserRepository,
};
