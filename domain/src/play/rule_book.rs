//! What an operator decides about the game.

use serde::{Deserialize, Serialize};

use super::Catalog;
use crate::model::{Calendar, Language};

/// The rules that a store plays by and that are stored with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleBook {
    /// The achievements.
    pub catalog: Catalog,
    /// Where days turn and weeks start, for boards and challenges.
    pub calendar: Calendar,
    /// The only language of new challenges; `None` is any.
    #[serde(default)]
    pub challenge_language: Option<Language>,
}
