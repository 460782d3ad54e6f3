//! Which questions a pack has.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "pack_questions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub pack_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub question_id: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "super::packs::Entity", from = "Column::PackId", to = "super::packs::Column::Id")]
    Pack,
}

impl Related<super::packs::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Pack.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
