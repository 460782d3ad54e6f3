use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::StoreResult;
use crate::model::{Pack, PackName};

/// Packs: where questions come from. Which question is in which pack is a label of the question; see
/// [`QuestionRepository::label`](super::QuestionRepository::label).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PackRepository: Send + Sync {
    /// The pack; `None` when there is no such pack.
    async fn find(&self, name: &PackName) -> StoreResult<Option<Pack>>;

    /// The pack.
    ///
    /// Returns `Missing` when there is no such pack.
    async fn get(&self, name: &PackName) -> StoreResult<Pack>;

    /// All packs in order of their names, with the number of their questions, retired or not. The cost
    /// grows with both.
    async fn list(&self) -> StoreResult<Vec<ListedPack>>;

    /// Adds a pack, or puts what this one says in the place of what was known. Its questions stay.
    async fn put(&self, pack: Pack) -> StoreResult<()>;
}

/// A pack in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPack {
    /// The pack.
    #[serde(flatten)]
    pub pack: Pack,
    /// How many questions it has, retired or not.
    pub questions: u64,
}
