//! The contract on SQLite files.

use std::sync::Arc;

use async_trait::async_trait;
use trivia_domain::ports::{Clock, RandomSource};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, Durability, schema};
use trivia_tests::contract::{Backend, Histories, OpenStore};

struct Sqlite;

#[async_trait]
impl Backend for Sqlite {
    async fn open(&self, clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Option<OpenStore> {
        let dir = tempfile::tempdir().unwrap();
        let mut options = DatabaseOptions::new(DatabaseUrl::of_file(dir.path().join("trivia.db")));
        // a test does not lose power
        options.durability = Durability::Normal;
        schema::up(&options, None).await.unwrap();
        let database = Database::open(options, clock, random).await.unwrap();
        Some(OpenStore::keeping(database.clone(), dir).verified_by(database))
    }

    fn histories(&self) -> Histories {
        Histories { cases: 100, per_store: 25 }
    }
}

trivia_tests::store_contract_tests!(Sqlite);
