//! How many players have which score on which board, at three widths, so that a rank is a sum of some
//! counts and not a walk over everybody above. On SQLite triggers keep them right. On a server the program does: a
//! distributed one has no triggers.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::original::{self, drop_all};

/// Scores in one count: each score by itself, 2^7 scores, and 2^14.
const WIDTHS: [i64; 3] = [1, 128, 16_384];

/// A table of scores, the columns that say of which board, and the column of the score.
struct Scores {
    table: &'static str,
    board: &'static str,
    starts_on: &'static str,
    points: &'static str,
}

const SCORES: [Scores; 2] = [
    // the board of all time has no beginning; this day stands for none
    Scores { table: "users", board: "'all_time'", starts_on: "'1970-01-01'", points: "total_points" },
    Scores { table: "rankings", board: "{row}period", starts_on: "{row}starts_on", points: "points" },
];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = original::is_possible(manager);
        let mut table = Table::create()
            .table("score_counts")
            .col(text("board"))
            .col(date("starts_on"))
            .col(big_integer("width").check(Expr::col("width").is_in(WIDTHS)))
            .col(big_integer("bucket").check(Expr::col("bucket").gte(0)))
            .primary_key(Index::create().col("board").col("starts_on").col("width").col("bucket"))
            .take();
        if is_sqlite {
            table.col(big_integer("players").check(Expr::col("players").gte(0))).extra("WITHOUT ROWID");
        } else {
            // what is taken from a count comes as a negative row that meets the one that is there
            table.col(big_integer("players"));
        }
        manager.create_table(table).await?;
        let connection = manager.get_connection();
        let day = if is_sqlite { "TEXT" } else { "DATE" };
        for scores in &SCORES {
            for width in WIDTHS {
                connection.execute_unprepared(&scores.count_all(width, day)).await?;
            }
            for trigger in scores.triggers().iter().filter(|_| is_sqlite) {
                connection.execute_unprepared(trigger).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for scores in SCORES.iter().filter(|_| original::is_possible(manager)) {
            for event in ["insert", "update", "delete"] {
                let drop = format!("DROP TRIGGER {}", scores.trigger(event));
                manager.get_connection().execute_unprepared(&drop).await?;
            }
        }
        drop_all(manager, &["score_counts"]).await
    }
}

impl Scores {
    /// Counts the rows that are there; `day` is what the engine calls the type of a day.
    fn count_all(&self, width: i64, day: &str) -> String {
        let Self { table, points, .. } = self;
        let (board, starts_on) = self.of("");
        format!(
            "INSERT INTO score_counts (board, starts_on, width, bucket, players) \
             SELECT {board}, CAST({starts_on} AS {day}), {width}, {points} / {width}, COUNT(*) \
             FROM {table} WHERE {points} > 0 GROUP BY 1, 2, 3, 4"
        )
    }

    /// Keep the counts right, whoever changes a row.
    fn triggers(&self) -> [String; 3] {
        let Self { table, points, .. } = self;
        let every = |statement: &dyn Fn(i64) -> String| WIDTHS.map(statement).join("; ");
        let always = |_| String::new();
        let moved = |width| {
            format!(
                " AND (old.{points} / {width} <> new.{points} / {width} OR (old.{points} > 0) <> (new.{points} > 0))"
            )
        };
        [
            ("insert", "INSERT".to_owned(), format!("new.{points} > 0"), every(&|width| self.enters(width, &always))),
            (
                "update",
                format!("UPDATE OF {points}"),
                format!("old.{points} <> new.{points}"),
                every(&|width| format!("{}; {}", self.leaves(width, &moved), self.enters(width, &moved))),
            ),
            ("delete", "DELETE".to_owned(), format!("old.{points} > 0"), every(&|width| self.leaves(width, &always))),
        ]
        .map(|(event, when, which, what)| {
            let name = self.trigger(event);
            format!("CREATE TRIGGER {name} AFTER {when} ON {table} WHEN {which} BEGIN {what}; END")
        })
    }

    fn trigger(&self, event: &str) -> String {
        format!("count_scores_of_{}_on_{event}", self.table)
    }

    fn enters(&self, width: i64, only: &dyn Fn(i64) -> String) -> String {
        let (points, (board, starts_on), only) = (self.points, self.of("new."), only(width));
        format!(
            "INSERT INTO score_counts SELECT {board}, {starts_on}, {width}, new.{points} / {width}, 1 \
             WHERE new.{points} > 0{only} ON CONFLICT DO UPDATE SET players = players + 1"
        )
    }

    fn leaves(&self, width: i64, only: &dyn Fn(i64) -> String) -> String {
        let (points, (board, starts_on), only) = (self.points, self.of("old."), only(width));
        format!(
            "UPDATE score_counts SET players = players - 1 WHERE board = {board} AND starts_on = {starts_on} \
             AND width = {width} AND bucket = old.{points} / {width} AND old.{points} > 0{only}"
        )
    }

    /// Board and beginning of a row.
    fn of(&self, row: &str) -> (String, String) {
        (self.board.replace("{row}", row), self.starts_on.replace("{row}", row))
    }
}
