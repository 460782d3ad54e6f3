//! How many questions can be picked of each category, difficulty, kind and language, and where their ordinals begin.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "question_groups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub category: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub difficulty: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub question_type: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub language: String,
    pub first_ordinal: i64,
    pub size: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
