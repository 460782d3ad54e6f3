//! The schema that the replaced system wrote, so that its database starts here.

use sea_orm_migration::prelude::*;

use crate::original;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if original::is_possible(manager) {
            for table in original::TABLES {
                original::create(manager.get_connection(), table).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if original::is_possible(manager) {
            let children_first: Vec<_> = original::TABLES.iter().rev().map(|table| table.name).collect();
            original::drop_all(manager, &children_first).await?;
        }
        Ok(())
    }
}
