//! How hard a question is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Points;
use crate::error::{StoreError, StoreResult};

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

impl Difficulty {
    /// All levels, easiest first.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Medium, Self::Hard];

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

    /// The name in files and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
        }
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Difficulty {
    type Err = StoreError;
    fn from_str(text: &str) -> StoreResult<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| StoreError::invalid("difficulty", format!("{text:?} is not easy, medium or hard")))
    }
}
