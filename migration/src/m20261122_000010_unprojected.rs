//! Whose newest facts are in the ledger, but not yet in what is derived from it.

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
        let table = Table::create()
            .table("unprojected")
            .col(big_integer("user_id").primary_key())
            .foreign_key(
                ForeignKey::create()
                    .from("unprojected", "user_id")
                    .to("users", "user_id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(table).await
    }

    /// Refused while somebody is listed: an earlier program would take the derived rows for whole.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let listed = Query::select().column("user_id").from("unprojected").limit(1).take();
        if manager.get_connection().query_one(&listed).await?.is_some() {
            return Err(DbErr::Migration(
                "the newest answers of some players are in the ledger only; `trivia-db verify` brings everything up to date"
                    .to_owned(),
            ));
        }
        drop_all(manager, &["unprojected"]).await
    }
}
