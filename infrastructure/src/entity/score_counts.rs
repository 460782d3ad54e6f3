//! Players by score on each board, at three widths; see `repository/score_counts.rs`.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "score_counts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub board: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub starts_on: Date,
    /// Scores in one count.
    #[sea_orm(primary_key, auto_increment = false)]
    pub width: i64,
    /// Score divided by the width.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: i64,
    pub players: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
