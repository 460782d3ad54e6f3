use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::mpsc;
use trivia_domain::{StoreError, StoreResult};

use super::core::{Core, ReaderGuard, View};
use super::line::Reader;
use super::projector::settle;
use super::transaction::{Needs, Statements, Timer, Transaction};
use super::writer::Job;
use crate::read_model::{Effects, ReadModel, Whose};

/// Where a repository works: on the store, where each call stands alone, or inside one transaction.
pub(crate) enum Scope {
    Store { core: Arc<Core>, queue: mpsc::Sender<Job> },
    Work { core: Arc<Core>, transaction: Box<Transaction> },
}

impl Scope {
    /// A new transaction.
    pub(crate) async fn work(core: &Arc<Core>) -> StoreResult<Self> {
        let transaction = Transaction::begin(core, "a unit of work", Needs::Everything, Effects::NONE).await?;
        Ok(Self::Work { core: Arc::clone(core), transaction: Box::new(transaction) })
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
                let view = core.view(core.reader().await?, what).await?;
                Ok(Snapshot::Own { view, _timer: Timer::start(core, what) })
            }
            Self::Work { transaction, .. } => Ok(Snapshot::Joined(transaction)),
        }
    }

    /// For queries of a moment that may be a little while ago; `None` when no replica answers. What they find is for
    /// [`unless_lost`], and when that is nothing, for [`Self::snapshot`].
    pub(crate) async fn replica(&self, what: &'static str) -> Option<Snapshot<'_>> {
        let Self::Store { core, .. } = self else { return None };
        let view = core.view(core.replica().await?, what).await.ok()?;
        Some(Snapshot::Own { view, _timer: Timer::start(core, what) })
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
            Self::Store { core, .. } => {
                Ok(Writing::Own(Box::new(Transaction::begin(core, what, needs, effects).await?)))
            }
            Self::Work { transaction, .. } => {
                transaction.tell(effects);
                Ok(Writing::Joined(transaction))
            }
        }
    }
}

/// What a replica has found, unless it was lost, or what it replays was in the way.
pub(crate) fn unless_lost<T>(found: StoreResult<T>) -> Option<StoreResult<T>> {
    match found {
        Err(StoreError::Unreachable { .. } | StoreError::Busy { .. }) => None,
        found => Some(found),
    }
}

/// A connection to read from.
pub(crate) enum Reading<'a> {
    Own { guard: ReaderGuard, _timer: Timer },
    Joined(&'a Transaction),
}

/// Where the queries of a [`Reading`] go.
pub(crate) enum Connection<'a> {
    Reader(&'a Reader),
    Statements(&'a Statements),
}

impl Reading<'_> {
    pub(crate) fn connection(&self) -> Connection<'_> {
        match self {
            Self::Own { guard, .. } => Connection::Reader(guard),
            Self::Joined(transaction) => Connection::Statements(transaction),
        }
    }
}

#[async_trait]
impl ConnectionTrait for Connection<'_> {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Reader(reader) => reader.get_database_backend(),
            Self::Statements(statements) => statements.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Reader(reader) => reader.execute_raw(statement).await,
            Self::Statements(statements) => statements.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Reader(reader) => reader.execute_unprepared(sql).await,
            Self::Statements(statements) => statements.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Reader(reader) => reader.query_one_raw(statement).await,
            Self::Statements(statements) => statements.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Reader(reader) => reader.query_all_raw(statement).await,
            Self::Statements(statements) => statements.query_all_raw(statement).await,
        }
    }
}

/// One moment to read from.
pub(crate) enum Snapshot<'a> {
    Own { view: View, _timer: Timer },
    Joined(&'a Transaction),
}

impl Deref for Snapshot<'_> {
    type Target = Statements;
    fn deref(&self) -> &Statements {
        match self {
            Self::Own { view, .. } => view,
            Self::Joined(transaction) => transaction,
        }
    }
}

/// A transaction to write in.
pub(crate) enum Writing<'a> {
    Own(Box<Transaction>),
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
