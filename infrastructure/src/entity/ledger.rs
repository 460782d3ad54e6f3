//! The facts.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub key: Uuid,
    pub kind: String,
    pub at: DateTimeUtc,
    pub day: Date,
    pub points: i64,
    pub total_points: i64,
    pub streak: i64,
    pub unlocked: Option<Json>,
    pub session_id: Option<Uuid>,
    pub question_id: Option<i64>,
    pub question_version: Option<i64>,
    pub difficulty: Option<String>,
    pub category: Option<String>,
    pub given: Option<Json>,
    pub correct: Option<bool>,
    pub rule_version: Option<i64>,
    pub elapsed_us: Option<i64>,
    pub challenge_kind: Option<String>,
    pub challenge_on: Option<Date>,
    pub challenge_size: Option<i64>,
    pub achievement_id: Option<String>,
    pub reason: Option<String>,
    pub opening: Option<Json>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
