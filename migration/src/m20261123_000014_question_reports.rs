//! What players say about questions that may be wrong.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::original::{self, drop_all};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const REASONS: [&str; 6] = ["wrong_answer", "unclear", "outdated", "duplicate", "offensive", "other"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        if original::is_possible(manager) {
            table.col(big_pk_auto("id"));
        } else {
            // what a distributed server keeps with a player has the player in its key
            table.col(big_integer("id").auto_increment());
            table.primary_key(Index::create().col("user_id").col("id"));
        }
        let table = table
            .table("question_reports")
            .col(big_integer("question_id"))
            .col(big_integer("version").check(Expr::col("version").gte(1)))
            .col(big_integer("user_id"))
            .col(text("reason").check(Expr::col("reason").is_in(REASONS)))
            .col(text_null("note"))
            .col(timestamp_with_time_zone("reported_at"))
            .col(text_null("outcome").check(Expr::col("outcome").is_in(["accepted", "dismissed"])))
            .col(timestamp_with_time_zone_null("settled_at"))
            .check(Expr::cust("(outcome IS NULL) = (settled_at IS NULL)"))
            .foreign_key(ForeignKey::create().from("question_reports", "question_id").to("questions", "id"))
            .foreign_key(
                ForeignKey::create()
                    .from("question_reports", "user_id")
                    .to("users", "user_id")
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(table).await?;
        // one open report for each player and question; it also counts the open ones of a question
        let open = Index::create()
            .name("idx_question_reports_open")
            .table("question_reports")
            .col("question_id")
            .col("user_id")
            .unique()
            .and_where(Expr::col("settled_at").is_null())
            .take();
        let by_question =
            Index::create().name("idx_question_reports_question").table("question_reports").col("question_id").take();
        let by_user = Index::create().name("idx_question_reports_user").table("question_reports").col("user_id").take();
        for index in [open, by_question, by_user] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    /// The reports are lost: no earlier schema has a place for them.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &["question_reports"]).await
    }
}
