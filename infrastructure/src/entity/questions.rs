//! Newest version of each question.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "questions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub version: i64,
    pub content_key: Vec<u8>,
    pub stem_key: Vec<u8>,
    pub language: String,
    pub category: String,
    pub difficulty: String,
    pub question_type: String,
    pub question_text: String,
    pub correct_answer: String,
    pub options: Option<Json>,
    pub answer_variations: Option<Json>,
    pub explanation: Option<String>,
    pub point_value: Option<i64>,
    pub ordinal: Option<i64>,
    pub created_at: DateTimeUtc,
    pub retired_at: Option<DateTimeUtc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(has_one = "super::question_counters::Entity")]
    Counters,
}

impl Related<super::question_counters::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Counters.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
