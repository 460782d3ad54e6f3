use async_trait::async_trait;

use crate::error::StoreResult;
use crate::model::{AchievementDefinition, AchievementId, Calendar, Language};
use crate::play::RuleBook;

/// The rules that are stored with the game. A change is one transaction, holds for all processes, and
/// folds every player's ledger again, so that all numbers are as if the rules had always been so.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RulesPort: Send + Sync {
    /// What the store plays by.
    async fn rules(&self) -> StoreResult<RuleBook>;

    /// Adds a definition, or replaces the one with its id; everybody who has earned it by what is in the
    /// ledger gets it, unlocked when it was earned. Whoever has it keeps it. Returns how many players
    /// changed. See [`Catalog`](crate::play::Catalog).
    ///
    /// Returns `Invalid` when the definition breaks a rule, `Refused(Overflow)` when a bonus does not fit.
    async fn define_achievement(&self, definition: AchievementDefinition) -> StoreResult<u64>;

    /// Lets nobody earn an achievement any more; whoever has it keeps it.
    ///
    /// Returns `Missing` when there is no such achievement.
    async fn retire_achievement(&self, id: &AchievementId) -> StoreResult<()>;

    /// Sets where days turn and weeks start on boards and challenges, for the past as well. Returns how
    /// many players changed. Challenges that were started keep their days.
    async fn set_calendar(&self, calendar: Calendar) -> StoreResult<u64>;

    /// Sets which language new challenges are drawn from; `None` is any. Challenges that were started keep their
    /// questions.
    async fn set_challenge_language(&self, language: Option<Language>) -> StoreResult<()>;
}
