//! Rows of the original that our model cannot hold as they are: kept in table `quarantine` until
//! `down` puts them back.

use std::collections::HashMap;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::FromQueryResult;
use serde_json::Value as Json;

use crate::original::{OriginalTable, Row};
use crate::rows;

/// A row of the original and what is wrong with it.
pub(crate) struct Note {
    /// Its key.
    pub(crate) id: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// The row as it was.
    pub(crate) original: Row,
    /// Whether it was put right and carried over, or is kept here only.
    pub(crate) repaired: bool,
}

impl Note {
    /// About a row of a table.
    pub(crate) fn new(table: &OriginalTable, original: Row, problem: String, repaired: bool) -> Self {
        Self { id: original.get(table.key).to_string(), problem, original, repaired }
    }
}

/// Writes notes about rows of a table.
pub(crate) async fn write(db: &impl ConnectionTrait, table: &OriginalTable, notes: Vec<Note>) -> Result<(), DbErr> {
    let values = notes.into_iter().map(|note| {
        let content = note.original.to_json();
        vec![table.name.into(), note.id.into(), note.problem.into(), content.into(), note.repaired.into()]
    });
    let columns = ["source", "source_id", "problem", "content", "repaired"];
    rows::insert(db, "quarantine", &columns, values.collect()).await
}

#[derive(FromQueryResult)]
struct Kept {
    id: i64,
    source_id: String,
    content: Json,
}

fn select(table: &OriginalTable, repaired: bool) -> SelectStatement {
    Query::select()
        .columns(["id", "source_id", "content"])
        .from("quarantine")
        .and_where(Expr::col("source").eq(table.name))
        .and_where(Expr::col("repaired").eq(repaired))
        .take()
}

/// The originals among rows of a table that were put right, by id.
pub(crate) async fn originals(
    db: &impl ConnectionTrait,
    table: &OriginalTable,
    ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Row>, DbErr> {
    let ids = ids.into_iter().map(|id| id.to_string());
    let select = select(table, true).and_where(Expr::col("source_id").is_in(ids)).take();
    let mut originals = HashMap::new();
    for row in db.query_all(&select).await? {
        let kept = Kept::from_query_result(&row, "")?;
        let id = kept.source_id.parse().map_err(|_| DbErr::Type(format!("{} is not an id", kept.source_id)))?;
        originals.insert(id, Row::from_json(kept.content)?);
    }
    Ok(originals)
}

/// Reads the rows of a table that are kept in quarantine, some hundred at a time.
pub(crate) struct Reader {
    select: SelectStatement,
    after: i64,
}

impl Reader {
    /// Reads those that were put right and carried over, or those that were not.
    pub(crate) fn new(table: &OriginalTable, repaired: bool) -> Self {
        Self { select: select(table, repaired).order_by("id", Order::Asc).limit(rows::CHUNK as u64).take(), after: 0 }
    }

    /// The next rows; none when all were read.
    pub(crate) async fn next(&mut self, db: &impl ConnectionTrait) -> Result<Vec<Row>, DbErr> {
        let select = self.select.clone().and_where(Expr::col("id").gt(self.after)).take();
        let mut chunk = Vec::new();
        for row in db.query_all(&select).await? {
            let kept = Kept::from_query_result(&row, "")?;
            self.after = kept.id;
            chunk.push(Row::from_json(kept.content)?);
        }
        Ok(chunk)
    }
}

/// Forgets the notes about rows of a table.
pub(crate) async fn clear(db: &impl ConnectionTrait, table: &OriginalTable) -> Result<(), DbErr> {
    let source = Expr::col("source").eq(table.name);
    db.execute(Query::delete().from_table("quarantine").and_where(source)).await?;
    Ok(())
}
