use std::ops::Deref;
use std::sync::Arc;

use sea_orm::{DatabaseConnection, DatabaseExecutor, DatabaseTransaction, TransactionTrait};
use tokio::sync::{OwnedRwLockReadGuard, mpsc};
use trivia_domain::StoreResult;

use super::core::{Core, Pools};
use super::projector::settle;
use super::transaction::{Needs, Statements, Timer, Transaction};
use super::writer::Job;
use crate::dialect;
use crate::error::During;
use crate::read_model::{Effects, ReadModel, Whose};

/// Where a repository works: on the store, where each call stands alone, or inside one transaction.
pub(crate) enum Scope {
    Store { core: Arc<Core>, queue: mpsc::Sender<Job> },
    Work { core: Arc<Core>, transaction: Transaction },
}

impl Scope {
    /// A new transaction.
    pub(crate) async fn work(core: &Arc<Core>) -> StoreResult<Self> {
        let transaction = Transaction::begin(core, "a unit of work", Needs::Everything, Effects::NONE).await?;
        Ok(Self::Work { core: Arc::clone(core), transaction })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        match self {
            Self::Store { core, .. } | Self::Work { core, .. } => core,
        }
    }

    /// What is kept in memory; a transaction sees its own changes and therefore asks the database.
    pub(crate) async fn model(&self) -> Option<&ReadModel> {
        // an answer from memory never waits: without this, a loop of them would keep others from running
        tokio::task::coop::consume_budget().await;
        match self {
            Self::Store { core, .. } => Some(&core.model),
            Self::Work { .. } => None,
        }
    }

    /// For a single query.
    pub(crate) async fn read(&self, what: &'static str) -> StoreResult<Reading<'_>> {
        match self {
            Self::Store { core, .. } => {
                let guard = core.reader().await?;
                Ok(Reading::Own { guard, _timer: Timer::start(core, what) })
            }
            Self::Work { transaction, .. } => Ok(Reading::Joined(transaction)),
        }
    }

    /// For several queries that must see one moment.
    pub(crate) async fn snapshot(&self, what: &'static str) -> StoreResult<Snapshot<'_>> {
        match self {
            Self::Store { core, .. } => {
                let guard = core.reader().await?;
                let moment = dialect::reading(guard.get_database_backend());
                let transaction = guard.begin_with_options(moment).await.during(what)?;
                Ok(Snapshot::Own { transaction, _guard: guard, _timer: Timer::start(core, what) })
            }
            Self::Work { transaction, .. } => Ok(Snapshot::Joined(transaction)),
        }
    }

    /// Makes sure that what is read next shows all facts of a player, or of everybody; see [`settle`].
    pub(crate) async fn settle(&self, whose: Whose) -> StoreResult<bool> {
        match self {
            Self::Store { core, .. } => settle(core, whose).await,
            // it began with everything projected
            Self::Work { .. } => Ok(true),
        }
    }

    /// For changes: [`Writing::commit`] makes them last, dropping undoes them. Inside a unit of work
    /// both are left to its end. `effects` are what they do to the read model.
    pub(crate) async fn write(&self, what: &'static str, needs: Needs, effects: Effects) -> StoreResult<Writing<'_>> {
        match self {
            Self::Store { core, .. } => Ok(Writing::Own(Transaction::begin(core, what, needs, effects).await?)),
            Self::Work { transaction, .. } => {
                transaction.tell(effects);
                Ok(Writing::Joined(transaction))
            }
        }
    }
}

/// A connection to read from.
pub(crate) enum Reading<'a> {
    Own { guard: OwnedRwLockReadGuard<Option<Pools>, DatabaseConnection>, _timer: Timer },
    Joined(&'a Transaction),
}

impl Reading<'_> {
    pub(crate) fn connection(&self) -> DatabaseExecutor<'_> {
        match self {
            Self::Own { guard, .. } => DatabaseExecutor::Connection(guard),
            Self::Joined(transaction) => DatabaseExecutor::Transaction(&transaction.inner),
        }
    }
}

/// One moment to read from.
pub(crate) enum Snapshot<'a> {
    Own {
        transaction: DatabaseTransaction,
        _guard: OwnedRwLockReadGuard<Option<Pools>, DatabaseConnection>,
        _timer: Timer,
    },
    Joined(&'a Transaction),
}

impl Deref for Snapshot<'_> {
    type Target = DatabaseTransaction;
    fn deref(&self) -> &DatabaseTransaction {
        match self {
            Self::Own { transaction, .. } => transaction,
            Self::Joined(transaction) => &transaction.inner,
        }
    }
}

/// A transaction to write in.
pub(crate) enum Writing<'a> {
    Own(Transaction),
    Joined(&'a Transaction),
}

impl Writing<'_> {
    /// Adds to what the changes do to the read model.
    pub(crate) fn tell(&self, effects: Effects) {
        match self {
            Self::Own(transaction) => transaction.tell(effects),
            Self::Joined(transaction) => transaction.tell(effects),
        }
    }

    pub(crate) async fn commit(self) -> StoreResult<()> {
        match self {
            Self::Own(transaction) => {
                transaction.complete().await?;
                transaction.commit().await
            }
            Self::Joined(_) => Ok(()),
        }
    }
}

impl Deref for Writing<'_> {
    type Target = Statements;
    fn deref(&self) -> &Statements {
        match self {
            Self::Own(transaction) => transaction,
            Self::Joined(transaction) => transaction,
        }
    }
}
