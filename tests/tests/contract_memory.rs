//! The contract on the store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use trivia_domain::memory::MemoryStore;
use trivia_domain::ports::{Clock, RandomSource};
use trivia_tests::contract::{Backend, OpenStore};

struct Memory;

#[async_trait]
impl Backend for Memory {
    async fn open(&self, clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Option<OpenStore> {
        Some(OpenStore::new(MemoryStore::new(clock, random)))
    }
}

trivia_tests::store_contract_tests!(Memory);
