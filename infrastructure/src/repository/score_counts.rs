//! How many players are above a score, as sums of a few counts: whatever the size of the board.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sea_orm::sea_query::{Alias, Cond, Expr, ExprTrait, OnConflict, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, Statement,
};
use trivia_domain::StoreResult;
use trivia_domain::model::{Board, Drift};

use super::portions::portions;
use crate::entity::score_counts::{self, Column, Entity};
use crate::entity::{rankings, users};
use crate::error::During;

/// Scores in one count, each a multiple of the one before; the migration made them.
const WIDTHS: [i64; 3] = [1, 128, 16_384];
/// The board of all time; it begins on no day, for which the first day of the calendar stands.
pub(super) const ALL_TIME: &str = "all_time";
const COUNTING: &str = "counting scores";

/// Players with more points.
pub(super) async fn above(connection: &impl ConnectionTrait, board: Board, points: i64) -> StoreResult<u64> {
    let [one, some, many] = WIDTHS;
    // the rest of the bucket of 128, the rest of the bucket of 16,384, and everything above that
    let within = |width: i64, wider: i64| {
        let last = (points / wider).saturating_mul(wider / width).saturating_add(wider / width - 1);
        counts(board, width).cond_where(Column::Bucket.gt(points / width)).cond_where(Column::Bucket.lte(last)).take()
    };
    let rest = counts(board, many).cond_where(Column::Bucket.gt(points / many)).take();
    let parts = within(one, some).union(UnionType::All, within(some, many)).union(UnionType::All, rest).take();
    sum(connection, parts).await
}

/// Players with exactly these points.
pub(super) async fn at(connection: &impl ConnectionTrait, board: Board, points: i64) -> StoreResult<u64> {
    sum(connection, counts(board, WIDTHS[0]).cond_where(Column::Bucket.eq(points)).take()).await
}

/// Players on a board.
pub(super) async fn total(connection: &impl ConnectionTrait, board: Board) -> StoreResult<u64> {
    sum(connection, counts(board, WIDTHS[2])).await
}

/// How counts change on a server. On a file triggers see to that.
#[derive(Default)]
pub(super) struct Counts {
    // in the order in which they are written, so that two transactions wait for each other and never both
    changes: BTreeMap<(String, NaiveDate, i64, i64), i64>,
}

impl Counts {
    /// Adds a number of players with this score to a board; a negative one takes them away.
    pub(super) fn add(&mut self, board: &str, starts_on: NaiveDate, points: i64, players: i64) {
        if points > 0 {
            for width in WIDTHS {
                *self.changes.entry((board.to_owned(), starts_on, width, points / width)).or_default() += players;
            }
        }
    }

    /// What goes when the scores of periods of a player go.
    pub(super) async fn of_periods(connection: &impl ConnectionTrait, user: i64) -> StoreResult<Self> {
        let mut counts = Self::default();
        if !count_themselves(connection) {
            let scores = rankings::Entity::find().filter(rankings::Column::UserId.eq(user)).all(connection).await;
            for row in scores.during(COUNTING)? {
                counts.add(&row.period, row.starts_on, row.points, -1);
            }
        }
        Ok(counts)
    }

    /// What goes when a player goes.
    pub(super) async fn of_player(connection: &impl ConnectionTrait, user: i64) -> StoreResult<Self> {
        let mut counts = Self::of_periods(connection, user).await?;
        if !count_themselves(connection) {
            let player = users::Entity::find_by_id(user).one(connection).await.during(COUNTING)?;
            player.iter().for_each(|row| counts.add(ALL_TIME, NaiveDate::default(), row.total_points, -1));
        }
        Ok(counts)
    }

    pub(super) async fn store(self, connection: &impl ConnectionTrait) -> StoreResult<()> {
        let rows = self.changes.into_iter().filter(|(_, players)| *players != 0).map(|(key, players)| {
            let (board, starts_on, width, bucket) = key;
            score_counts::Model { board, starts_on, width, bucket, players }.into_active_model()
        });
        let moved = Expr::col((Entity, Column::Players)).add(Expr::col(("excluded", Column::Players)));
        let add = OnConflict::columns([Column::Board, Column::StartsOn, Column::Width, Column::Bucket])
            .value(Column::Players, moved)
            .to_owned();
        for rows in portions(rows, connection.get_database_backend()) {
            let stored = Entity::insert_many(rows).on_conflict(add.clone()).exec_without_returning(connection);
            stored.await.during(COUNTING)?;
        }
        Ok(())
    }
}

/// Whether triggers count.
pub(super) fn count_themselves(connection: &impl ConnectionTrait) -> bool {
    connection.get_database_backend() == DbBackend::Sqlite
}

fn counts(board: Board, width: i64) -> SelectStatement {
    let (board, starts_on) = match board {
        Board::AllTime => (ALL_TIME, NaiveDate::default()),
        Board::Period { period, start } => (period.as_str(), start.date()),
    };
    let of_board = Cond::all().add(Column::Board.eq(board)).add(Column::StartsOn.eq(starts_on));
    Query::select().column(Column::Players).from(Entity).cond_where(of_board.add(Column::Width.eq(width))).take()
}

async fn sum(connection: &impl ConnectionTrait, counts: SelectStatement) -> StoreResult<u64> {
    // PostgreSQL gives a sum of these another type
    let players = Expr::col(Column::Players).sum().cast_as("BIGINT");
    let select = Query::select().expr_as(players, "players").from_subquery(counts, Alias::new("counts")).take();
    let row = connection.query_one(&select).await.during("counting a leaderboard")?;
    let sum: Option<i64> = row.map_or(Ok(None), |row| row.try_get("", "players")).during("counting a leaderboard")?;
    Ok(sum.and_then(|sum| u64::try_from(sum).ok()).unwrap_or(0))
}

/// A count that differs from the rows it counts.
#[derive(FromQueryResult)]
pub(super) struct Wrong {
    board: String,
    starts_on: NaiveDate,
    width: i64,
    bucket: i64,
    stored: i64,
    counted: i64,
}

/// Compares all counts with the rows that they count.
pub(super) async fn compare(connection: &impl ConnectionTrait) -> StoreResult<Vec<Wrong>> {
    let counted = WIDTHS.map(|width| {
        format!(
            "UNION ALL SELECT 'all_time', '{none}', {width}, total_points / {width}, 0, COUNT(*) \
             FROM users WHERE total_points > 0 GROUP BY 4 \
             UNION ALL SELECT period, starts_on, {width}, points / {width}, 0, COUNT(*) \
             FROM rankings WHERE points > 0 GROUP BY 1, 2, 4 ",
            none = NaiveDate::default()
        )
    });
    let sql = format!(
        "SELECT board, starts_on, width, bucket, \
         CAST(SUM(stored) AS BIGINT) AS stored, CAST(SUM(counted) AS BIGINT) AS counted FROM \
         (SELECT board, starts_on, width, bucket, players AS stored, 0 AS counted FROM score_counts {}) AS both_ways \
         GROUP BY board, starts_on, width, bucket HAVING SUM(stored) <> SUM(counted)",
        counted.concat()
    );
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    Wrong::find_by_statement(statement).all(connection).await.during("comparing the counts of scores")
}

/// Puts the right counts in.
pub(super) async fn mend(connection: &impl ConnectionTrait, wrong: Vec<Wrong>) -> StoreResult<()> {
    for Wrong { board, starts_on, width, bucket, counted: players, .. } in wrong {
        let right = score_counts::Model { board, starts_on, width, bucket, players }.into_active_model();
        let replace = OnConflict::columns([Column::Board, Column::StartsOn, Column::Width, Column::Bucket])
            .update_column(Column::Players)
            .to_owned();
        Entity::insert(right)
            .on_conflict(replace)
            .exec_without_returning(connection)
            .await
            .during("mending the counts of scores")?;
    }
    Ok(())
}

impl Wrong {
    pub(super) fn drift(&self) -> Drift {
        Drift {
            table: "score_counts".to_owned(),
            id: format!("{}/{}/{}/{}", self.board, self.starts_on, self.width, self.bucket),
            column: "players".to_owned(),
            stored: self.stored.to_string(),
            folded: self.counted.to_string(),
        }
    }
}
