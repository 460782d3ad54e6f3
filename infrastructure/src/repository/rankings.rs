use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Cond, Expr, ExprTrait, IntoCondition, Order, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::model::{
    Accuracy, Board, Cursor, DayKey, LeaderboardEntry, LeaderboardPage, Period, Points, Standing, UserId, WeeklyRanking,
};
use trivia_domain::ports::RankingRepository;
use trivia_domain::{StoreError, StoreResult};

use super::{Repository, rule_book, score_counts};
use crate::database::{Core, settle, unless_lost};
use crate::entity::{rankings, users};
use crate::error::{During, bad_row};
use crate::read_model::{self, Ladder, Whose};

#[async_trait]
impl RankingRepository for Repository {
    async fn page(&self, board: Board, after: Option<Cursor>, limit: u32) -> StoreResult<LeaderboardPage> {
        if after.is_some_and(|cursor| cursor.board != board) {
            return Err(StoreError::invalid("cursor", "it belongs to another board"));
        }
        if let Some(page) = self.scope.model().await.and_then(|model| model.page(board, after, limit)) {
            return page;
        }
        self.want(board).await;
        self.scope.settle(Whose::Everybody).await?;
        let after = after.map(|cursor| Place::of(&cursor));
        let action = "reading a leaderboard";
        if let Some(replica) = self.scope.replica(action).await
            && let Some(page) = unless_lost(page(&*replica, board, after.as_ref(), limit).await)
        {
            return page;
        }
        page(&*self.scope.snapshot(action).await?, board, after.as_ref(), limit).await
    }

    async fn standing(&self, board: Board, user: UserId) -> StoreResult<Option<Standing>> {
        if let Some(standing) = self.scope.model().await.and_then(|model| model.standing(board, user)) {
            return Ok(standing);
        }
        self.want(board).await;
        self.scope.settle(Whose::Everybody).await?;
        let snapshot = self.scope.snapshot("reading a standing").await?;
        let Some((rank, line)) = Table::of(board).rank(&*snapshot, user).await? else { return Ok(None) };
        let total = score_counts::total(&*snapshot, board).await?;
        Ok(Some(Standing { rank, total, points: Points::new(line.points)? }))
    }

    async fn rank_change(&self, period: Period, day: DayKey, user: UserId) -> StoreResult<Option<i64>> {
        self.scope.settle(Whose::Everybody).await?;
        let snapshot = self.scope.snapshot("comparing two periods").await?;
        let calendar = rule_book::current(self.scope.core(), &*snapshot).await?.calendar;
        let start = calendar.start(period, day);
        let mut ranks = [0; 2];
        for (rank, start) in ranks.iter_mut().zip([calendar.before(period, start), start]) {
            match Table::of(Board::Period { period, start }).rank(&*snapshot, user).await? {
                Some((found, _)) => *rank = i64::try_from(found).unwrap_or(i64::MAX),
                None => return Ok(None),
            }
        }
        Ok(Some(ranks[0] - ranks[1]))
    }

    async fn around(&self, board: Board, user: UserId, radius: u32) -> StoreResult<Vec<LeaderboardEntry>> {
        if let Some(entries) = self.scope.model().await.and_then(|model| model.around(board, user, radius)) {
            return Ok(entries);
        }
        self.want(board).await;
        self.scope.settle(Whose::Everybody).await?;
        let snapshot = self.scope.snapshot("reading the neighbours of a user").await?;
        let table = Table::of(board);
        let Some(line) = table.line(&*snapshot, user).await? else { return Ok(Vec::new()) };
        let place = line.place();
        let mut lines = table.lines(&*snapshot, Some(&place), Direction::Up, radius.into()).await?;
        lines.reverse();
        lines.push(line);
        lines.extend(table.lines(&*snapshot, Some(&place), Direction::Down, radius.into()).await?);
        table.ranked(&*snapshot, lines).await
    }

    async fn weekly_history(&self, user: UserId, limit: u32) -> StoreResult<Vec<WeeklyRanking>> {
        self.scope.settle(Whose::Everybody).await?;
        let snapshot = self.scope.snapshot("reading weekly results").await?;
        let weeks = rankings::Entity::find()
            .filter(rankings::Column::UserId.eq(user.get()))
            .filter(rankings::Column::Period.eq(Period::Week.as_str()))
            .order_by_desc(rankings::Column::StartsOn)
            .limit(u64::from(limit))
            .all(&*snapshot)
            .await
            .during("reading weekly results")?;
        let mut history = Vec::with_capacity(weeks.len());
        for row in weeks {
            let start = DayKey::new(row.starts_on);
            let board = Board::Period { period: Period::Week, start };
            let rank = match row.points {
                0 => None,
                points => Some(1 + score_counts::above(&*snapshot, board, points).await?),
            };
            history.push(WeeklyRanking { user_id: user, week_start: start, points: Points::new(row.points)?, rank });
        }
        Ok(history)
    }
}

impl Repository {
    /// Says that a board was not in memory; one that is asked for again is read in the background.
    async fn want(&self, board: Board) {
        let Some(loading) = self.scope.model().await.and_then(|model| model.wanted(board)) else { return };
        let core = Arc::clone(self.scope.core());
        tokio::spawn(async move {
            match whole(&core, board).await {
                Ok(Some(lines)) => core.model.loaded(&loading, Ladder::new(&lines)),
                Ok(None) => core.model.not_loaded(&loading),
                Err(error) => {
                    tracing::warn!(%board, %error, "a board could not be read into memory");
                    core.model.not_loaded(&loading);
                }
            }
        });
    }
}

/// The lines of a board behind a place.
async fn page(
    connection: &impl ConnectionTrait,
    board: Board,
    after: Option<&Place>,
    limit: u32,
) -> StoreResult<LeaderboardPage> {
    let table = Table::of(board);
    let total = score_counts::total(connection, board).await?;
    let mut lines = table.lines(connection, after, Direction::Down, u64::from(limit) + 1).await?;
    let more = lines.len() > limit as usize;
    lines.truncate(limit as usize);
    let next = lines.last().filter(|_| more).map(|last| last.cursor(board)).transpose()?;
    Ok(LeaderboardPage { entries: table.ranked(connection, lines).await?, total, next })
}

/// Lines of a board that are read in one go.
const CHUNK: u64 = 10_000;

/// All lines of a board, best first; `None` when they may lack something.
async fn whole(core: &Arc<Core>, board: Board) -> StoreResult<Option<Vec<read_model::Line>>> {
    if !settle(core, Whose::Everybody).await? {
        return Ok(None);
    }
    let moment = core.view(core.reader().await?, "reading a whole board").await?;
    let table = Table::of(board);
    let mut whole = Vec::new();
    let mut last = None;
    loop {
        let lines = table.lines(&*moment, last.as_ref(), Direction::Down, CHUNK).await?;
        let Some(line) = lines.last() else { return Ok(Some(whole)) };
        if whole.last().is_some_and(|read: &read_model::Line| read.user_id.get() == line.user_id) {
            // a time in another form than ours sorts elsewhere, and the same lines would come for ever
            return Err(bad_row("a leaderboard", line.user_id, "it is out of order"));
        }
        last = Some(line.place());
        for line in &lines {
            let entry = entry(0, line)?;
            whole.push(read_model::Line {
                user_id: entry.user_id,
                points: entry.points,
                reached_at: entry.reached_at,
                answered: entry.questions_answered,
                correct: entry.questions_correct,
                current_streak: entry.current_streak,
            });
        }
    }
}

/// The rows behind a board: `users` for all time, `rankings` for a period.
struct Table {
    board: Board,
    columns: Columns,
}

struct Columns {
    table: &'static str,
    points: &'static str,
    reached_at: &'static str,
    answered: &'static str,
    correct: &'static str,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

/// A place in the order of a board.
struct Place {
    points: i64,
    reached_at: DateTime<Utc>,
    user_id: i64,
}

impl Place {
    fn of(cursor: &Cursor) -> Self {
        Self { points: cursor.points.get(), reached_at: cursor.reached_at, user_id: cursor.user_id.get() }
    }
}

/// A line of a board without its rank.
#[derive(FromQueryResult)]
struct Line {
    user_id: i64,
    points: i64,
    reached_at: DateTime<Utc>,
    answered: i64,
    correct: i64,
    current_streak: i64,
}

impl Line {
    const fn place(&self) -> Place {
        Place { points: self.points, reached_at: self.reached_at, user_id: self.user_id }
    }

    fn cursor(&self, board: Board) -> StoreResult<Cursor> {
        Ok(Cursor {
            board,
            points: Points::new(self.points)?,
            reached_at: self.reached_at,
            user_id: UserId::new(self.user_id)?,
        })
    }
}

impl Table {
    const fn of(board: Board) -> Self {
        let columns = match board {
            Board::AllTime => Columns {
                table: "users",
                points: "total_points",
                reached_at: "points_reached_at",
                answered: "questions_answered",
                correct: "questions_correct",
            },
            Board::Period { .. } => Columns {
                table: "rankings",
                points: "points",
                reached_at: "reached_at",
                answered: "answered",
                correct: "correct",
            },
        };
        Self { board, columns }
    }

    fn column(&self, name: &'static str) -> Expr {
        Expr::col((Alias::new(self.columns.table), Alias::new(name)))
    }

    fn points(&self) -> Expr {
        self.column(self.columns.points)
    }

    /// The entries of the board: only those with points.
    fn members(&self) -> Cond {
        let members = Cond::all().add(self.points().gt(0));
        match self.board {
            Board::AllTime => members,
            Board::Period { period, start } => {
                members.add(self.column("period").eq(period.as_str())).add(self.column("starts_on").eq(start.date()))
            }
        }
    }

    fn select(&self) -> SelectStatement {
        let mut select = Query::select();
        select
            .expr_as(self.column("user_id"), "user_id")
            .expr_as(self.points(), "points")
            .expr_as(self.column(self.columns.reached_at), "reached_at")
            .expr_as(self.column(self.columns.answered), "answered")
            .expr_as(self.column(self.columns.correct), "correct")
            .column((users::Entity, users::Column::CurrentStreak))
            .from(Alias::new(self.columns.table))
            .cond_where(self.members());
        if self.board != Board::AllTime {
            let same_user = self.column("user_id").equals((users::Entity, users::Column::UserId));
            select.inner_join(users::Entity, same_user);
        }
        select
    }

    async fn line(&self, connection: &impl ConnectionTrait, user: UserId) -> StoreResult<Option<Line>> {
        let select = self.select().and_where(self.column("user_id").eq(user.get())).take();
        Ok(fetch(connection, &select).await?.pop())
    }

    /// A player's rank and line.
    async fn rank(&self, connection: &impl ConnectionTrait, user: UserId) -> StoreResult<Option<(u64, Line)>> {
        let Some(line) = self.line(connection, user).await? else { return Ok(None) };
        let rank = 1 + score_counts::above(connection, self.board, line.points).await?;
        Ok(Some((rank, line)))
    }

    /// At most `limit` lines after a place, or before it, nearest first.
    async fn lines(
        &self,
        connection: &impl ConnectionTrait,
        from: Option<&Place>,
        direction: Direction,
        limit: u64,
    ) -> StoreResult<Vec<Line>> {
        let Some(place) = from else { return self.first(connection, Cond::all(), direction, limit).await };
        // one after the other, so that none walks along the index from the beginning of a tie
        let mut lines = Vec::new();
        for condition in self.beyond(place, direction) {
            let missing = limit.saturating_sub(lines.len() as u64);
            if missing > 0 {
                lines.extend(self.first(connection, condition, direction, missing).await?);
            }
        }
        Ok(lines)
    }

    /// The nearest lines that fulfil a condition.
    async fn first(
        &self,
        connection: &impl ConnectionTrait,
        condition: Cond,
        direction: Direction,
        limit: u64,
    ) -> StoreResult<Vec<Line>> {
        let (by_points, by_rest) = match direction {
            Direction::Down => (Order::Desc, Order::Asc),
            Direction::Up => (Order::Asc, Order::Desc),
        };
        let select = self
            .select()
            .cond_where(condition)
            .order_by_expr(self.points(), by_points)
            .order_by_expr(self.column(self.columns.reached_at), by_rest.clone())
            .order_by_expr(self.column("user_id"), by_rest)
            .limit(limit)
            .take();
        fetch(connection, &select).await
    }

    /// What comes after a place, or before it, nearest first: each is one range of the board's index.
    fn beyond(&self, place: &Place, direction: Direction) -> [Cond; 3] {
        let reached_at = || self.column(self.columns.reached_at);
        let (tied_later, later, farther) = match direction {
            Direction::Down => (
                self.column("user_id").gt(place.user_id),
                reached_at().gt(place.reached_at),
                self.points().lt(place.points),
            ),
            Direction::Up => (
                self.column("user_id").lt(place.user_id),
                reached_at().lt(place.reached_at),
                self.points().gt(place.points),
            ),
        };
        let tied = || Cond::all().add(self.points().eq(place.points));
        [tied().add(reached_at().eq(place.reached_at)).add(tied_later), tied().add(later), farther.into_condition()]
    }

    /// Adds ranks to neighbouring lines: that of the first is counted, the others follow.
    async fn ranked(&self, connection: &impl ConnectionTrait, lines: Vec<Line>) -> StoreResult<Vec<LeaderboardEntry>> {
        let Some(first) = lines.first() else { return Ok(Vec::new()) };
        let (best, mut points) = (first.points, first.points);
        let mut rank = 1 + score_counts::above(connection, self.board, best).await?;
        // some of those who tie with the first line may come before it
        let mut next = rank + score_counts::at(connection, self.board, best).await?;
        let mut entries = Vec::with_capacity(lines.len());
        for line in lines {
            if line.points != points {
                (rank, points) = (next, line.points);
            }
            next += u64::from(line.points != best);
            entries.push(entry(rank, &line)?);
        }
        Ok(entries)
    }
}

fn entry(rank: u64, line: &Line) -> StoreResult<LeaderboardEntry> {
    let count = |value: i64| u64::try_from(value).map_err(|error| bad_row("users", line.user_id, error));
    let (answered, correct) = (count(line.answered)?, count(line.correct)?);
    Ok(LeaderboardEntry {
        rank,
        user_id: UserId::new(line.user_id)?,
        points: Points::new(line.points)?,
        reached_at: line.reached_at,
        questions_answered: answered,
        questions_correct: correct,
        accuracy: Accuracy::of(correct, answered),
        current_streak: count(line.current_streak)?,
    })
}

async fn fetch(connection: &impl ConnectionTrait, select: &SelectStatement) -> StoreResult<Vec<Line>> {
    let rows = connection.query_all(select).await.during("reading a leaderboard")?;
    rows.iter().map(|row| Line::from_query_result(row, "").during("reading a leaderboard")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tempfile::TempDir;
    use trivia_domain::memory::{ManualClock, SeededRandom};
    use trivia_domain::ports::Repositories;

    use super::*;
    use crate::database::{Database, DatabaseOptions, DatabaseUrl, Scope};
    use crate::schema;

    /// Whom the questions are about.
    const PLAYER: u32 = 500;

    async fn board_of(players: u32) -> (TempDir, Database) {
        let dir = TempDir::new().unwrap();
        let options = DatabaseOptions::new(DatabaseUrl::of_file(dir.path().join("trivia.db")));
        schema::up(&options, None).await.unwrap();
        let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
        let database = Database::open(options, clock, Arc::new(SeededRandom::new(5))).await.unwrap();
        // one half ties, the other is spread
        let points = format!("CASE WHEN id % 2 = 0 OR id = {PLAYER} THEN 5000 ELSE 1 + id * 7919 % 20000 END");
        let at = "'2026-03-02T10:00:' || printf('%02d', id % 60) || '+00:00'";
        let player =
            format!("WITH RECURSIVE player(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM player LIMIT {players})");
        let writer = database.core().writer().await.unwrap();
        for insert in [
            format!(
                "users (user_id, total_points, points_reached_at, created_at) {player} SELECT id, {points}, {at}, {at}"
            ),
            format!(
                "rankings (user_id, period, starts_on, points, reached_at) {player} \
                 SELECT id, 'week', '2026-03-02', {points}, {at}"
            ),
        ] {
            writer.connection.execute_unprepared(&format!("INSERT INTO {insert} FROM player")).await.unwrap();
        }
        drop(writer);
        (dir, database)
    }

    /// Steps of SQLite's virtual machine that each question to a board costs when nothing is in memory.
    async fn costs(database: &Database) -> Vec<(String, u64)> {
        let steps = Arc::new(AtomicU64::new(0));
        {
            let writer = database.core().writer().await.unwrap();
            let mut connection = writer.connection.get_sqlite_connection_pool().acquire().await.unwrap();
            let counted = Arc::clone(&steps);
            connection.lock_handle().await.unwrap().set_progress_handler(1, move || {
                counted.fetch_add(1, Ordering::Relaxed);
                true
            });
        }
        // a unit of work always asks the database
        let work = Repository::new(Scope::work(database.core()).await.unwrap());
        let (rankings, user) = (work.rankings(), UserId::new(PLAYER.into()).unwrap());
        let mut costs = Vec::new();
        for board in [Board::AllTime, Board::Period { period: Period::Week, start: "2026-03-02".parse().unwrap() }] {
            let mut note =
                |question: &str| costs.push((format!("{question} of {board}"), steps.swap(0, Ordering::Relaxed)));
            note("nothing");
            assert!(rankings.standing(board, user).await.unwrap().is_some());
            note("a rank");
            let around = rankings.around(board, user, 5).await.unwrap();
            assert_eq!(around.len(), 11);
            note("around a player");
            assert_eq!(rankings.page(board, None, 10).await.unwrap().entries.len(), 10);
            note("the top");
            let middle = &around[5];
            let after = Cursor { board, points: middle.points, reached_at: middle.reached_at, user_id: user };
            assert_eq!(rankings.page(board, Some(after), 50).await.unwrap().entries.len(), 50);
            note("a page from the middle");
        }
        costs
    }

    #[tokio::test]
    async fn l15_a_board_of_twenty_times_as_many_players_costs_the_database_less_than_twice_as_much() {
        let ((_small_dir, small), (_large_dir, large)) = (board_of(10_000).await, board_of(200_000).await);
        let (small, large) = (costs(&small).await, costs(&large).await);
        for ((question, few), (_, many)) in small.iter().zip(&large) {
            assert!(*many <= 2 * few, "{question}: {few} steps with 10,000 players, {many} with 200,000");
        }
    }
}
