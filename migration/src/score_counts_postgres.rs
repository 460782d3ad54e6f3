//! Step 11 on PostgreSQL: triggers there see all rows of a statement at once.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::m20261122_000011_score_counts::WIDTHS;
use crate::original::drop_all;

/// A table of scores, and how each of its rows is a score on a board.
const SCORES: [(&str, &str); 2] = [
    // the board of all time has no beginning; this day stands for none
    ("users", "SELECT 'all_time', DATE '1970-01-01', total_points"),
    ("rankings", "SELECT period, starts_on, points"),
];

/// What happens to rows, and which of them there are before and after.
const EVENTS: [(&str, bool, bool); 3] = [("insert", false, true), ("update", true, true), ("delete", true, false)];

pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // no check that `players` is not negative: what is taken from a count comes as a negative row
    let table = Table::create()
        .table("score_counts")
        .col(text("board"))
        .col(date("starts_on"))
        .col(big_integer("width").check(Expr::col("width").is_in(WIDTHS)))
        .col(big_integer("bucket").check(Expr::col("bucket").gte(0)))
        .col(big_integer("players"))
        .primary_key(Index::create().col("board").col("starts_on").col("width").col("bucket"))
        .take();
    manager.create_table(table).await?;
    let connection = manager.get_connection();
    for (table, score) in SCORES {
        connection.execute_unprepared(&add(&format!("{score}, 1 FROM {table}"))).await?;
        for (event, before, after) in EVENTS {
            let gone = before.then(|| format!("{score}, -1 FROM old_rows"));
            let come = after.then(|| format!("{score}, 1 FROM new_rows"));
            let moved = gone.into_iter().chain(come).collect::<Vec<_>>().join(" UNION ALL ");
            let rows = [before.then_some("OLD TABLE AS old_rows"), after.then_some("NEW TABLE AS new_rows")];
            let rows = rows.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let (name, add) = (name(table, event), add(&moved));
            let function = format!(
                "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN {add}; RETURN NULL; END $$"
            );
            connection.execute_unprepared(&function).await?;
            let trigger = format!(
                "CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows} \
                 FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            );
            connection.execute_unprepared(&trigger).await?;
        }
    }
    Ok(())
}

pub(crate) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for (table, _) in SCORES {
        for (event, ..) in EVENTS {
            let name = name(table, event);
            let drop = format!("DROP TRIGGER {name} ON {table}; DROP FUNCTION {name}()");
            manager.get_connection().execute_unprepared(&drop).await?;
        }
    }
    drop_all(manager, &["score_counts"]).await
}

fn name(table: &str, event: &str) -> String {
    format!("count_scores_of_{table}_on_{event}")
}

/// Adds scores, and what is to be taken away, to the counts; always in the order of their key, so that two
/// transactions wait for each other and never both.
fn add(scores: &str) -> String {
    let [one, some, many] = WIDTHS;
    format!(
        "INSERT INTO score_counts AS counted (board, starts_on, width, bucket, players) \
         SELECT board, starts_on, width, points / width, SUM(players) \
         FROM ({scores}) AS scores (board, starts_on, points, players) \
         CROSS JOIN (VALUES ({one}::bigint), ({some}), ({many})) AS widths (width) \
         WHERE points > 0 GROUP BY 1, 2, 3, 4 HAVING SUM(players) <> 0 ORDER BY 1, 2, 3, 4 \
         ON CONFLICT (board, starts_on, width, bucket) DO UPDATE SET players = counted.players + excluded.players"
    )
}
