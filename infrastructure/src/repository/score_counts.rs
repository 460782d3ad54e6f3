//! How many players are above a score, as sums of a few counts: whatever the size of the board.

use chrono::NaiveDate;
use sea_orm::sea_query::{Alias, Cond, Expr, ExprTrait, OnConflict, Query, SelectStatement, UnionType};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, Statement};
use trivia_domain::StoreResult;
use trivia_domain::model::{Board, Drift};

use crate::entity::score_counts::{self, Column, Entity};
use crate::error::During;

/// Scores in one count, each a multiple of the one before; the migration made them.
const WIDTHS: [i64; 3] = [1, 128, 16_384];

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

fn counts(board: Board, width: i64) -> SelectStatement {
    let (board, starts_on) = match board {
        Board::AllTime => ("all_time", NaiveDate::default()),
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
