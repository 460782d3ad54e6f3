//! The contract on PostgreSQL, by two stores on one database that take turns: as two hosts do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use trivia_domain::StoreResult;
use trivia_domain::ports::{
    AchievementRepository, ChallengeRepository, Clock, ErasedWork, PackRepository, PeoplePort, PlayPort,
    QuestionRepository, RandomSource, RankingRepository, ReportRepository, Repositories, RulesPort, SessionRepository,
    Store, UserRepository,
};
use trivia_infrastructure::{Database, DatabaseOptions, Durability};
use trivia_tests::contract::{Backend, Histories, OpenStore};
use trivia_tests::postgres::Server;

struct Postgres;

#[async_trait]
impl Backend for Postgres {
    async fn open(&self, clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Option<OpenStore> {
        let scratch = Server::shared()?.database().await;
        // no test of these ends the server: nothing has to wait for its disk
        let options = DatabaseOptions { durability: Durability::Normal, ..scratch.options() };
        let open = async || Database::open(options.clone(), clock.clone(), random.clone()).await.unwrap();
        let hosts = Hosts { stores: [open().await, open().await], calls: AtomicUsize::new(0) };
        let maintenance = hosts.stores[0].clone();
        Some(OpenStore::keeping(hosts, scratch).verified_by(maintenance))
    }

    fn histories(&self) -> Histories {
        Histories { cases: 40, per_store: 20 }
    }
}

/// Two stores that share nothing but the database; each call goes to the one that the last did not go to.
struct Hosts {
    stores: [Database; 2],
    calls: AtomicUsize,
}

impl Hosts {
    fn next(&self) -> &Database {
        &self.stores[self.calls.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

impl Repositories for Hosts {
    fn users(&self) -> &dyn UserRepository {
        self.next().users()
    }
    fn questions(&self) -> &dyn QuestionRepository {
        self.next().questions()
    }
    fn packs(&self) -> &dyn PackRepository {
        self.next().packs()
    }
    fn reports(&self) -> &dyn ReportRepository {
        self.next().reports()
    }
    fn sessions(&self) -> &dyn SessionRepository {
        self.next().sessions()
    }
    fn challenges(&self) -> &dyn ChallengeRepository {
        self.next().challenges()
    }
    fn achievements(&self) -> &dyn AchievementRepository {
        self.next().achievements()
    }
    fn rankings(&self) -> &dyn RankingRepository {
        self.next().rankings()
    }
    fn play(&self) -> &dyn PlayPort {
        self.next().play()
    }
}

#[async_trait]
impl Store for Hosts {
    fn rules(&self) -> &dyn RulesPort {
        self.next().rules()
    }

    fn people(&self) -> &dyn PeoplePort {
        self.next().people()
    }

    async fn run(&self, work: &dyn ErasedWork) -> StoreResult<()> {
        self.next().run(work).await
    }
}

trivia_tests::store_contract_tests!(Postgres);
