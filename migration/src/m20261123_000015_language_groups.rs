//! Questions are picked by their language, too: it has groups of its own, and challenges may have one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::helpers::{add_column_if_missing, drop_column_if_present, drop_index_if_present};
use crate::original::drop_all;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Ordinals that each language has of one category, difficulty and kind.
const BLOCK: i64 = 1 << 32;

/// No ordinal is that large: numbers are changed by way of these, so that none is there twice on the way.
const ASIDE: i64 = 1 << 62;

/// A constraint of `questions` keeps ordinals apart for each category, difficulty and kind. It stays as it is, so
/// that the tables that refer to questions can stay, too: each language has a range of ordinals of its own there.
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let place = format!(
            "(DENSE_RANK() OVER (PARTITION BY category, difficulty, question_type ORDER BY language) - 1) * {BLOCK} \
             + ROW_NUMBER() OVER (PARTITION BY category, difficulty, question_type, language ORDER BY ordinal) - 1"
        );
        renumber(db, &place).await?;
        drop_all(manager, &["question_groups"]).await?;
        create_groups_of_languages(manager).await?;
        let sizes = "INSERT INTO question_groups (category, difficulty, question_type, language, first_ordinal, size) \
                     SELECT category, difficulty, question_type, language, MIN(ordinal), COUNT(*) FROM questions \
                     WHERE ordinal IS NOT NULL GROUP BY category, difficulty, question_type, language";
        db.execute_unprepared(sizes).await?;
        let by_language = Index::create().name("idx_questions_language").table("questions").col("language").take();
        manager.create_index(by_language).await?;
        let language = ColumnDef::new("challenge_language").text().take();
        add_column_if_missing(manager, "rule_book", "challenge_language", language).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        drop_column_if_present(manager, "rule_book", "challenge_language").await?;
        drop_index_if_present(manager, "idx_questions_language").await?;
        let place = "ROW_NUMBER() OVER (PARTITION BY category, difficulty, question_type ORDER BY ordinal) - 1";
        renumber(db, place).await?;
        drop_all(manager, &["question_groups"]).await?;
        create_groups(manager).await?;
        let sizes = "INSERT INTO question_groups (category, difficulty, question_type, size) \
                     SELECT category, difficulty, question_type, COUNT(*) FROM questions \
                     WHERE ordinal IS NOT NULL GROUP BY category, difficulty, question_type";
        db.execute_unprepared(sizes).await.map(drop)
    }
}

/// Gives each question that can be picked another ordinal, if it has not got it.
async fn renumber(db: &impl ConnectionTrait, place: &str) -> Result<(), DbErr> {
    let aside = format!(
        "UPDATE questions SET ordinal = {ASIDE} + moved.place \
         FROM (SELECT id, {place} AS place FROM questions WHERE ordinal IS NOT NULL) AS moved \
         WHERE moved.id = questions.id AND moved.place <> questions.ordinal"
    );
    db.execute_unprepared(&aside).await?;
    let back = format!("UPDATE questions SET ordinal = ordinal - {ASIDE} WHERE ordinal >= {ASIDE}");
    db.execute_unprepared(&back).await.map(drop)
}

async fn create_groups_of_languages(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = groups()
        .col(text("language"))
        .col(big_integer("first_ordinal").check(Expr::col("first_ordinal").gte(0)))
        .col(size())
        .primary_key(Index::create().col("category").col("difficulty").col("question_type").col("language"))
        .index(Index::create().unique().col("category").col("difficulty").col("question_type").col("first_ordinal"))
        .take();
    manager.create_table(table).await
}

/// The table as step 4 made it.
async fn create_groups(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table =
        groups().col(size()).primary_key(Index::create().col("category").col("difficulty").col("question_type")).take();
    manager.create_table(table).await
}

fn groups() -> TableCreateStatement {
    let kinds = ["multiple_choice", "true_false", "fill_blank"];
    Table::create()
        .table("question_groups")
        .col(text("category"))
        .col(text("difficulty").check(Expr::col("difficulty").is_in(["easy", "medium", "hard"])))
        .col(text("question_type").check(Expr::col("question_type").is_in(kinds)))
        .take()
}

fn size() -> ColumnDef {
    big_integer("size").check(Expr::col("size").gte(0)).take()
}
