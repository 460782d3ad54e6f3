use async_trait::async_trait;

use super::Tables;
use crate::error::{StoreError, StoreResult};
use crate::model::{Pack, PackName};
use crate::ports::{ListedPack, PackRepository};

#[async_trait]
impl PackRepository for Tables {
    async fn find(&self, name: &PackName) -> StoreResult<Option<Pack>> {
        Ok(self.read().questions.packs.get(name).cloned())
    }

    async fn get(&self, name: &PackName) -> StoreResult<Pack> {
        PackRepository::find(self, name).await?.ok_or_else(|| StoreError::missing("pack", name))
    }

    async fn list(&self) -> StoreResult<Vec<ListedPack>> {
        let state = self.read();
        let listed = |pack: &Pack| ListedPack { pack: pack.clone(), questions: state.questions.size_of(pack.name()) };
        Ok(state.questions.packs.values().map(listed).collect())
    }

    async fn put(&self, pack: Pack) -> StoreResult<()> {
        self.write().questions.packs.insert(pack.name().clone(), pack);
        Ok(())
    }
}
