//! Several statements in one trip to the driver: its thread has to be woken for each trip, and that takes
//! longer than most statements. Only SQLite takes several that have values.

use sea_orm::sea_query::{Expr, SelectStatement, Values};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult, Statement};
use trivia_domain::StoreResult;

use crate::error::During;

/// Which of the queries a row answers.
const QUERY: &str = "query";

/// Asks several queries. The rows of each, in the order of the queries.
pub(super) async fn query_all(
    connection: &impl ConnectionTrait,
    selects: impl IntoIterator<Item = SelectStatement>,
    action: &'static str,
) -> StoreResult<impl Iterator<Item = Vec<QueryResult>>> {
    let backend = connection.get_database_backend();
    let number = |(number, select): (usize, SelectStatement)| {
        let marked = { select }.expr_as(Expr::cust(format!("CAST({number} AS BIGINT)")), QUERY).take();
        backend.build(&marked)
    };
    let statements: Vec<_> = selects.into_iter().enumerate().map(number).collect();
    let mut answers: Vec<Vec<QueryResult>> = statements.iter().map(|_| Vec::new()).collect();
    for statement in joined(backend, statements) {
        for row in connection.query_all_raw(statement).await.during(action)? {
            let query: i64 = row.try_get("", QUERY).during(action)?;
            if let Some(rows) = usize::try_from(query).ok().and_then(|query| answers.get_mut(query)) {
                rows.push(row);
            }
        }
    }
    Ok(answers.into_iter())
}

/// Makes models of the rows of one query.
pub(super) fn models<M: FromQueryResult>(rows: Option<Vec<QueryResult>>, action: &'static str) -> StoreResult<Vec<M>> {
    rows.iter().flatten().map(|row| M::from_query_result(row, "").during(action)).collect()
}

/// Runs several statements in their order, and returns the rows of the last.
pub(super) async fn execute_all(
    connection: &impl ConnectionTrait,
    statements: Vec<Statement>,
    action: &'static str,
) -> StoreResult<Vec<QueryResult>> {
    let mut rows = Vec::new();
    for statement in joined(connection.get_database_backend(), statements) {
        rows = connection.query_all_raw(statement).await.during(action)?;
    }
    Ok(rows)
}

/// One statement of all, where the engine takes that. More than a few stay apart: the trips do not matter beside
/// so many rows, and SQLite would prepare each combination of sizes again.
fn joined(backend: DbBackend, statements: Vec<Statement>) -> Vec<Statement> {
    if backend != DbBackend::Sqlite || statements.len() > FEW {
        return statements;
    }
    let mut statements = statements.into_iter();
    let Some(Statement { mut sql, values, .. }) = statements.next() else { return Vec::new() };
    let mut values = values.map_or_else(Vec::new, |values| values.0);
    for next in statements {
        sql.push_str("; ");
        sql.push_str(&next.sql);
        values.extend(next.values.into_iter().flat_map(|values| values.0));
    }
    vec![Statement { sql, values: Some(Values(values)), db_backend: backend }]
}

/// Statements that make one trip.
const FEW: usize = 6;
