//! Writing many rows.

use sea_orm_migration::prelude::*;

/// Rows that are read at a time.
pub(crate) const CHUNK: usize = 500;

/// Values that one statement may bind: SQLite allows 32,766.
const MAX_VALUES: usize = 30_000;

/// Inserts rows, each with a value for each column.
pub(crate) async fn insert(
    db: &impl ConnectionTrait,
    table: &'static str,
    columns: &[&'static str],
    rows: Vec<Vec<sea_query::Value>>,
) -> Result<(), DbErr> {
    for chunk in rows.chunks(MAX_VALUES / columns.len()) {
        let mut insert = Query::insert().into_table(table).columns(columns.iter().copied()).take();
        for row in chunk {
            let values = row.iter().cloned().map(Expr::value);
            insert.values(values).map_err(|error| DbErr::Custom(format!("row of {table}: {error}")))?;
        }
        db.execute(&insert).await?;
    }
    Ok(())
}
