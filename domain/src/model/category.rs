//! What a question is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text;
use crate::error::{StoreError, StoreResult};

/// A free name of 1 to 100 characters, blanks collapsed, case kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Category(String);

impl Category {
    /// Builds a category.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is empty, too long or holds control characters.
    pub fn new(name: &str) -> StoreResult<Self> {
        text::checked("category", name, 100).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Category {
    type Error = StoreError;
    fn try_from(name: String) -> StoreResult<Self> {
        Self::new(&name)
    }
}

impl FromStr for Category {
    type Err = StoreError;
    fn from_str(name: &str) -> StoreResult<Self> {
        Self::new(name)
    }
}

impl From<Category> for String {
    fn from(category: Category) -> Self {
        category.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
