//! Which questions were picked for whom, so that nobody is asked the same twice.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `number` grows by one with each picked question of an owner, so it says which pick is older
        let table = Table::create()
            .table("picks")
            .col(text("owner").check(Expr::col("owner").is_in(["player", "channel"])))
            .col(big_integer("owner_id").check(Expr::col("owner_id").gte(0)))
            .col(big_integer("question_id"))
            .col(big_integer("number").check(Expr::col("number").gte(1)))
            .primary_key(Index::create().col("owner").col("owner_id").col("question_id"))
            .index(Index::create().unique().col("owner").col("owner_id").col("number"))
            .foreign_key(ForeignKey::create().from("picks", "question_id").to("questions", "id"))
            .take();
        manager.create_table(table).await
    }

    /// The picks are lost: no earlier schema has a place for them.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("picks").take()).await
    }
}
