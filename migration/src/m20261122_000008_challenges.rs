//! Challenges that are the same for everybody, how far each player is with them, and the periods
//! whose boards are final.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::original::drop_all;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_challenges(manager).await?;
        create_challenge_questions(manager).await?;
        create_challenge_attempts(manager).await?;
        create_closed_periods(manager).await
    }

    /// All of it is lost: no earlier schema has a place for it.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &["closed_periods", "challenge_attempts", "challenge_questions", "challenges"]).await
    }
}

fn kind() -> ColumnDef {
    text("kind").check(Expr::col("kind").is_in(["daily", "weekly"])).take()
}

async fn create_challenges(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("challenges")
        .col(kind())
        .col(date("starts_on"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("kind").col("starts_on"))
        .take();
    manager.create_table(table).await
}

async fn create_challenge_questions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("challenge_questions")
        .col(text("kind"))
        .col(date("starts_on"))
        .col(big_integer("position").check(Expr::col("position").gte(0)))
        .col(big_integer("question_id"))
        .col(big_integer("version").check(Expr::col("version").gte(1)))
        .primary_key(Index::create().col("kind").col("starts_on").col("position"))
        .index(Index::create().unique().col("kind").col("starts_on").col("question_id"))
        .foreign_key(
            ForeignKey::create()
                .from("challenge_questions", ("kind", "starts_on"))
                .to("challenges", ("kind", "starts_on"))
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(ForeignKey::create().from("challenge_questions", "question_id").to("questions", "id"))
        .take();
    manager.create_table(table).await?;
    let by_question =
        Index::create().name("idx_challenge_questions_question").table("challenge_questions").col("question_id").take();
    manager.create_index(by_question).await
}

async fn create_challenge_attempts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("challenge_attempts")
        .col(big_integer("user_id"))
        .col(kind())
        .col(date("starts_on"))
        .col(big_integer("size").check(Expr::col("size").gte(1)))
        .col(json("answers"))
        .col(timestamp_with_time_zone_null("completed_at"))
        .primary_key(Index::create().col("user_id").col("kind").col("starts_on"))
        .foreign_key(
            ForeignKey::create()
                .from("challenge_attempts", "user_id")
                .to("users", "user_id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take();
    manager.create_table(table).await
}

async fn create_closed_periods(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("closed_periods")
        .col(text("period").check(Expr::col("period").is_in(["day", "week", "month"])))
        .col(date("starts_on"))
        .col(uuid("key"))
        .col(timestamp_with_time_zone("closed_at"))
        .col(big_integer("players").check(Expr::col("players").gte(0)))
        .primary_key(Index::create().col("period").col("starts_on"))
        .take();
    manager.create_table(table).await
}
