//! The rules that can be changed while the game runs: achievements and the calendar.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use serde_json::{Value as Json, json};

use crate::original::drop_all;
use crate::rows;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_achievement_definitions(manager).await?;
        create_rule_book(manager).await?;
        seed(manager.get_connection()).await
    }

    /// Changed rules are lost: before this step they are part of the program.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &["rule_book", "achievement_definitions"]).await
    }
}

/// A row is never changed, it is retired and followed by another: facts were judged by it.
async fn create_achievement_definitions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("achievement_definitions")
        .col(big_integer("revision").primary_key().check(Expr::col("revision").gte(1)))
        .col(text("achievement_id"))
        .col(text("name"))
        .col(text("emoji"))
        .col(text("category"))
        .col(json("rule"))
        .col(big_integer("bonus").check(Expr::col("bonus").gte(0)))
        .col(boolean("hidden"))
        .col(timestamp_with_time_zone_null("retired_at"))
        .take();
    manager.create_table(table).await?;
    let in_force = Index::create()
        .name("idx_achievement_definitions_in_force")
        .unique()
        .table("achievement_definitions")
        .col("achievement_id")
        .and_where(Expr::col("retired_at").is_null())
        .take();
    manager.create_index(in_force).await
}

/// One row; its revision grows with every change of a rule.
async fn create_rule_book(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let table = Table::create()
        .table("rule_book")
        .col(big_integer("id").primary_key().check(Expr::col("id").eq(1)))
        .col(big_integer("revision"))
        .col(text("zone"))
        .col(text("week_start").check(Expr::col("week_start").is_in(days)))
        .take();
    manager.create_table(table).await
}

async fn seed(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    const DEFINITION: [&str; 8] =
        ["revision", "achievement_id", "name", "emoji", "category", "rule", "bonus", "hidden"];
    let definitions = (1_i64..).zip(built_in()).map(|(revision, (id, name, emoji, category, rule, bonus))| {
        vec![
            revision.into(),
            id.into(),
            name.into(),
            emoji.into(),
            category.into(),
            rule.into(),
            bonus.into(),
            false.into(),
        ]
    });
    rows::insert(db, "achievement_definitions", &DEFINITION, definitions.collect()).await?;
    let book = vec![1.into(), 1.into(), "UTC".into(), "monday".into()];
    rows::insert(db, "rule_book", &["id", "revision", "zone", "week_start"], vec![book]).await
}

/// Id, name, emoji, category, rule and bonus of the 18 of the original system.
fn built_in() -> [(&'static str, &'static str, &'static str, &'static str, Json, i64); 18] {
    let at_least = |rule: &str, count: i64| json!({ "rule": rule, "at_least": count });
    let accuracy = |percent: i64, of: i64| json!({ "rule": "accuracy", "percent": percent, "answered": of });
    let mastered = |level: &str| json!({ "rule": "difficulty_correct", "difficulty": level, "at_least": 100 });
    [
        ("hot_streak", "Hot Streak", "🔥", "streaks", at_least("streak", 5), 50),
        ("galaxy_expert", "Galaxy Expert", "🌌", "streaks", at_least("streak", 10), 100),
        ("unstoppable", "Unstoppable", "⚡", "streaks", at_least("streak", 20), 250),
        ("dedicated_fan", "Dedicated Fan", "📅", "dedication", at_least("day_streak", 7), 200),
        ("super_fan", "Super Fan", "💫", "dedication", at_least("day_streak", 30), 1000),
        ("point_collector", "Point Collector", "💰", "points", at_least("total_points", 1_000), 100),
        ("point_master", "Point Master", "💎", "points", at_least("total_points", 5_000), 500),
        ("point_legend", "Point Legend", "👑", "points", at_least("total_points", 10_000), 1000),
        ("trivia_rookie", "Trivia Rookie", "🎓", "participation", at_least("answered", 50), 50),
        ("trivia_veteran", "Trivia Veteran", "🎖️", "participation", at_least("answered", 500), 300),
        ("trivia_master", "Trivia Master", "🏆", "participation", at_least("answered", 1_000), 750),
        ("sharp_shooter", "Sharp Shooter", "🎯", "accuracy", accuracy(80, 100), 200),
        ("perfectionist", "Perfectionist", "💯", "accuracy", accuracy(90, 200), 500),
        ("easy_master", "Easy Master", "🟢", "difficulty", mastered("easy"), 100),
        ("medium_master", "Medium Master", "🟡", "difficulty", mastered("medium"), 200),
        ("hard_master", "Hard Master", "🔴", "difficulty", mastered("hard"), 400),
        ("daily_challenger", "Daily Challenger", "☀️", "challenges", at_least("daily_challenges", 10), 300),
        ("weekly_warrior", "Weekly Warrior", "⚔️", "challenges", at_least("weekly_challenges", 5), 500),
    ]
}
