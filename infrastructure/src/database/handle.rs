//! The open database: what callers hold.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use trivia_domain::StoreResult;
use trivia_domain::model::{Drift, Task, TaskRecord};
use trivia_domain::ports::{
    AchievementRepository, ChallengeRepository, CheckOutcome, Clock, Compaction, DatabaseStats, ErasedWork,
    HealthReport, MaintenancePort, PackRepository, PeoplePort, PlayPort, QuestionRepository, RandomSource,
    RankingRepository, ReportRepository, Repositories, RulesPort, SessionRepository, Store, UserRepository,
};

use super::core::{Core, Pools};
use super::retry::Patience;
use super::shortage::explained;
use super::writer::{self, Job};
use super::{DatabaseOptions, Head, Monitor, Scope, health, settle, space, stats, tasks};
use crate::read_model::Whose;
use crate::repository::{Repository, drift};

/// Moves that may wait for the writer before a caller has to.
const QUEUE: usize = 1024;

/// An open database: a file of SQLite, or one on a PostgreSQL server. Clones share it.
#[derive(Clone)]
pub struct Database {
    core: Arc<Core>,
    repository: Arc<Repository>,
}

impl Database {
    /// Opens a database whose schema is that of this program; [`schema::up`](crate::schema::up) makes and migrates one.
    ///
    /// # Errors
    /// `Missing` when there is no file or no such database, `Incompatible` when its schema is older or newer, `Corrupt`
    /// when it is no database, `Busy` when another process holds it, `ReadOnly` without permission or on a standby,
    /// `Unreachable` when the server does not answer or does not let us in.
    pub async fn open(
        options: DatabaseOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn RandomSource>,
    ) -> StoreResult<Self> {
        let pools = match Pools::open(&options).await {
            Ok(pools) => pools,
            Err(error) => return Err(explained(error, options.url.path()).await),
        };
        let core = Arc::new(Core {
            monitor: Monitor::new(options.slow_after),
            head: Head::new(options.url.path()),
            options,
            clock,
            random,
            rules: Mutex::default(),
            renewed: Mutex::default(),
            model: Arc::default(),
            pools: Arc::default(),
        });
        core.follow(&pools).await?;
        *core.pools.write().await = Some(pools);
        let (queue, jobs) = mpsc::channel::<Job>(QUEUE);
        tokio::spawn(writer::run(Arc::clone(&core), jobs));
        let repository = Arc::new(Repository::new(Scope::Store { core: Arc::clone(&core), queue }));
        Ok(Self { core, repository })
    }

    /// How it was opened.
    #[must_use]
    pub fn options(&self) -> &DatabaseOptions {
        &self.core.options
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Runs a work once, in a transaction of its own.
    async fn attempt(&self, work: &dyn ErasedWork) -> StoreResult<()> {
        let unit = Repository::new(Scope::work(&self.core).await?);
        work.run(&unit).await?;
        unit.commit().await
    }
}

impl Repositories for Database {
    fn users(&self) -> &dyn UserRepository {
        self.repository.users()
    }
    fn questions(&self) -> &dyn QuestionRepository {
        self.repository.questions()
    }
    fn packs(&self) -> &dyn PackRepository {
        self.repository.packs()
    }
    fn reports(&self) -> &dyn ReportRepository {
        self.repository.reports()
    }
    fn sessions(&self) -> &dyn SessionRepository {
        self.repository.sessions()
    }
    fn challenges(&self) -> &dyn ChallengeRepository {
        self.repository.challenges()
    }
    fn achievements(&self) -> &dyn AchievementRepository {
        self.repository.achievements()
    }
    fn rankings(&self) -> &dyn RankingRepository {
        self.repository.rankings()
    }
    fn play(&self) -> &dyn PlayPort {
        self.repository.play()
    }
}

#[async_trait]
impl Store for Database {
    fn rules(&self) -> &dyn RulesPort {
        &*self.repository
    }

    fn people(&self) -> &dyn PeoplePort {
        &*self.repository
    }

    async fn run(&self, work: &dyn ErasedWork) -> StoreResult<()> {
        let mut patience = Patience::new(&self.core);
        loop {
            let error = match self.attempt(work).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !patience.suffices(&error).await {
                return Err(error);
            }
        }
    }
}

#[async_trait]
impl MaintenancePort for Database {
    async fn check(&self) -> CheckOutcome {
        health::check(&self.core).await
    }

    async fn verify(&self) -> StoreResult<Vec<Drift>> {
        drift::verify(&self.core).await
    }

    async fn rebuild(&self) -> StoreResult<Vec<Drift>> {
        drift::rebuild(&self.core).await
    }

    async fn compact(&self) -> StoreResult<Compaction> {
        space::compact(&self.core).await
    }

    async fn stats(&self) -> StoreResult<DatabaseStats> {
        stats::stats(&self.core).await
    }

    async fn health(&self) -> HealthReport {
        health::health(&self.core).await
    }

    async fn tasks(&self) -> StoreResult<Vec<TaskRecord>> {
        tasks::load(&*self.core.reader().await?).await
    }

    async fn note_task(&self, task: Task, at: DateTime<Utc>, outcome: Result<String, String>) -> StoreResult<()> {
        tasks::note(&self.core, task, at, outcome).await
    }

    async fn close(&self) -> StoreResult<()> {
        if let Err(error) = settle(&self.core, Whose::Everybody).await {
            tracing::debug!(%error, "what waits is folded from the ledger instead of from memory");
        }
        self.core.model.follow(None);
        // the write lock is granted when nobody uses a connection any more
        match self.core.pools.write().await.take() {
            Some(pools) => {
                pools.close().await?;
                self.core.head.close();
                Ok(())
            }
            None => Ok(()),
        }
    }
}
