//! How hard a question is.

use serde::{Deserialize, Serialize};

use super::Points;
use super::names::define_names;

/// Three levels, as in the original system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Difficulty {
    /// 10 points.
    Easy,
    /// 20 points.
    Medium,
    /// 30 points.
    Hard,
}

define_names!(Difficulty, "difficulty", Easy = "easy", Medium = "medium", Hard = "hard");

impl Difficulty {
    /// Points of a question that has no value of its own.
    #[must_use]
    pub const fn base_points(self) -> Points {
        match self {
            Self::Easy => Points::small(10),
            Self::Medium => Points::small(20),
            Self::Hard => Points::small(30),
        }
    }

    /// One step easier; easy stays easy.
    #[must_use]
    pub const fn easier(self) -> Self {
        match self {
            Self::Hard => Self::Medium,
            Self::Medium | Self::Easy => Self::Easy,
        }
    }
}
