//! What a question is about.

use serde::{Deserialize, Serialize};

use super::names::define_text;
use super::text;
use crate::error::StoreResult;

/// A free name of 1 to 100 characters, blanks collapsed, case kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Category(String);

define_text!(Category);

impl Category {
    /// Builds a category.
    ///
    /// # Errors
    /// [`StoreError::Invalid`](crate::StoreError::Invalid) when it is empty, too long or holds a NUL.
    pub fn new(name: &str) -> StoreResult<Self> {
        text::checked("category", name, 100).map(Self)
    }
}
