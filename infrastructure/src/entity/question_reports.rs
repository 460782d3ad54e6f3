//! What players say about questions that may be wrong.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "question_reports")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub question_id: i64,
    pub version: i64,
    pub user_id: i64,
    pub reason: String,
    pub note: Option<String>,
    pub reported_at: DateTimeUtc,
    pub outcome: Option<String>,
    pub settled_at: Option<DateTimeUtc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
