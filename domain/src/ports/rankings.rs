use async_trait::async_trait;

use crate::error::StoreResult;
use crate::model::{Board, Cursor, DayKey, LeaderboardEntry, LeaderboardPage, Period, Standing, UserId, WeeklyRanking};

/// Leaderboards. All methods share one definition of rank (see [`LeaderboardEntry`]) and each
/// answers from one consistent moment. Reading never writes.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RankingRepository: Send + Sync {
    /// At most `limit` entries, the best first, or those after a cursor.
    ///
    /// Returns `Invalid` when the cursor belongs to another board.
    async fn page(&self, board: Board, after: Option<Cursor>, limit: u32) -> StoreResult<LeaderboardPage>;

    /// Where a player stands; `None` without points on this board.
    async fn standing(&self, board: Board, user: UserId) -> StoreResult<Option<Standing>>;

    /// The player with up to `radius` entries before and after; empty without points on this board.
    async fn around(&self, board: Board, user: UserId, radius: u32) -> StoreResult<Vec<LeaderboardEntry>>;

    /// By how many ranks a player stands better than in the period before, for the period that holds `day`
    /// in the store's calendar; `None` without points in either.
    async fn rank_change(&self, period: Period, day: DayKey, user: UserId) -> StoreResult<Option<i64>>;

    /// A player's last weeks, newest first, at most `limit`.
    async fn weekly_history(&self, user: UserId, limit: u32) -> StoreResult<Vec<WeeklyRanking>>;
}
