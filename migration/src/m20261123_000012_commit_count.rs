//! How many commits there were, so that a note beside the database can tell when some of them are gone.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::original::{self, drop_all};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("commit_count")
            .col(integer("id").primary_key().check(Expr::col("id").eq(1)))
            // counts of another generation say nothing about these
            .col(binary("generation"))
            .col(big_integer("number").check(Expr::col("number").gte(0)))
            .take();
        manager.create_table(table).await?;
        // a server has a log of its own and no file to put a note beside; nobody counts there
        let generation = if original::is_possible(manager) { "randomblob(16)" } else { "uuid_send(gen_random_uuid())" };
        let first = format!("INSERT INTO commit_count (id, generation, number) VALUES (1, {generation}, 0)");
        manager.get_connection().execute_unprepared(&first).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &["commit_count"]).await
    }
}
