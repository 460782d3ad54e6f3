//! Who was erased, so that a restored backup does not bring them back.

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
        // a salted fingerprint tells whether somebody is the one, and not who it was
        let table = Table::create()
            .table("erasures")
            .col(blob("fingerprint").primary_key())
            .col(blob("salt"))
            .col(timestamp_with_time_zone("erased_at"))
            .take();
        manager.create_table(table).await?;
        // who went into a player: when that one is erased, so are they
        let merges = Table::create()
            .table("merges")
            .col(big_integer("user_id"))
            .col(blob("fingerprint"))
            .col(blob("salt"))
            .primary_key(Index::create().col("user_id").col("fingerprint"))
            .foreign_key(
                ForeignKey::create()
                    .from("merges", "user_id")
                    .to("users", "user_id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(merges).await
    }

    /// The fingerprints are lost: no earlier schema has a place for them.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &["merges", "erasures"]).await
    }
}
