//! Achievements, those that are no longer in force too.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "achievement_definitions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    pub achievement_id: String,
    pub name: String,
    pub emoji: String,
    pub category: String,
    pub rule: Json,
    pub bonus: i64,
    pub hidden: bool,
    pub retired_at: Option<DateTimeUtc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
