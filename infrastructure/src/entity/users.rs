//! Players.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    pub last_seq: i64,
    pub total_points: i64,
    pub points_reached_at: Option<DateTimeUtc>,
    pub questions_answered: i64,
    pub questions_correct: i64,
    pub current_streak: i64,
    pub best_streak: i64,
    pub day_streak: i64,
    pub best_day_streak: i64,
    pub last_day: Option<Date>,
    pub last_played: Option<DateTimeUtc>,
    pub preferred_difficulty: Option<String>,
    pub daily_challenges: i64,
    pub weekly_challenges: i64,
    pub daily_challenge_completed: Option<Date>,
    pub weekly_challenge_completed: Option<Date>,
    pub time_zone: String,
    pub created_at: DateTimeUtc,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
