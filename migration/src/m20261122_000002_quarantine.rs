//! A place for rows of the original that our model cannot hold, and for the last run of each
//! maintenance task.

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
        let quarantine = Table::create()
            .table("quarantine")
            .col(big_pk_auto("id"))
            .col(text("source"))
            .col(text("source_id"))
            .col(text("problem"))
            .col(json("content"))
            .col(boolean("repaired").default(false))
            .take();
        manager.create_table(quarantine).await?;
        let by_row =
            Index::create().name("idx_quarantine_source").table("quarantine").col("source").col("source_id").take();
        manager.create_index(by_row).await?;
        let maintenance_runs = Table::create()
            .table("maintenance_runs")
            .col(text("task").primary_key())
            .col(timestamp_with_time_zone("ran_at"))
            .col(boolean("ok"))
            .col(text("detail"))
            .take();
        manager.create_table(maintenance_runs).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &["maintenance_runs", "quarantine"]).await
    }
}
