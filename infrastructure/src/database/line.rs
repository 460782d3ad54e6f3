//! The line to the database: to the hosts of a server, which may change or fall silent, or to a file, which does neither.

#[cfg(feature = "postgres")]
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionTrait,
};
use trivia_domain::{StoreError, StoreResult};

use super::DatabaseOptions;
use super::connect::{self, Access};
#[cfg(feature = "postgres")]
use super::hosts::{Hosts, Wanted};
use crate::error::is_lost;

/// The line to a database.
#[derive(Clone)]
pub(crate) struct Line {
    /// None of a file.
    #[cfg(feature = "postgres")]
    hosts: Option<Arc<Hosts>>,
}

/// The line as it was when a connection was taken.
pub(crate) struct Lease {
    #[cfg(feature = "postgres")]
    hosts: Option<(Arc<Hosts>, u64)>,
}

impl Line {
    /// The line to the database itself, which can be written.
    pub(super) async fn open(options: &DatabaseOptions) -> StoreResult<Self> {
        connect::require(options)?;
        #[cfg(feature = "postgres")]
        if let Some(server) = options.url.server() {
            let hosts = Hosts::new(server, options, Wanted::Primary)?;
            hosts.follow().await?;
            return Ok(Self { hosts: Some(Arc::new(hosts)) });
        }
        Ok(Self {
            #[cfg(feature = "postgres")]
            hosts: None,
        })
    }

    /// The line to replicas, if there are any. They may be away.
    pub(super) fn to_replicas(options: &DatabaseOptions) -> StoreResult<Option<Self>> {
        let Some(url) = &options.read_url else { return Ok(None) };
        #[cfg(feature = "postgres")]
        if let (Some(server), Some(_)) = (url.server(), options.url.server()) {
            return Ok(Some(Self { hosts: Some(Arc::new(Hosts::new(server, options, Wanted::Any)?)) }));
        }
        Err(StoreError::invalid(
            "URL for reading",
            format!("only a server has replicas, and {url} and {} are not both one", options.url),
        ))
    }

    /// A pool of at most `size` connections.
    pub(super) async fn pool(
        &self,
        options: &DatabaseOptions,
        size: u32,
        access: Access,
    ) -> StoreResult<DatabaseConnection> {
        #[cfg(feature = "postgres")]
        if let Some(hosts) = &self.hosts {
            return hosts.pool(size, access).await;
        }
        connect::connect(options, size, access).await
    }

    /// Whether it leads to a file, which is always there.
    fn is_to_a_file(&self) -> bool {
        #[cfg(feature = "postgres")]
        return self.hosts.is_none();
        #[cfg(not(feature = "postgres"))]
        true
    }

    /// Makes sure that it leads to the right host.
    pub(super) async fn follow(&self) -> StoreResult<()> {
        #[cfg(feature = "postgres")]
        if let Some(hosts) = &self.hosts {
            return hosts.follow().await;
        }
        Ok(())
    }

    fn lease(&self) -> Lease {
        Lease {
            #[cfg(feature = "postgres")]
            hosts: self.hosts.as_ref().map(|hosts| (Arc::clone(hosts), hosts.generation())),
        }
    }

    /// What does no harm when it is done twice. When the host is lost, it is done on the next one.
    pub(super) async fn insist<T, F>(&self, attempt: impl Fn() -> F + Send + Sync) -> Result<(T, Lease), DbErr>
    where
        F: Future<Output = Result<T, DbErr>> + Send,
        T: Send,
    {
        let mut times = 0;
        loop {
            let lease = self.lease();
            let error = match lease.watch(attempt()).await {
                Ok(value) => return Ok((value, lease)),
                Err(error) => error,
            };
            times += 1;
            if times == TIMES || self.is_to_a_file() || !is_lost(&error) || self.follow().await.is_err() {
                return Err(error);
            }
        }
    }
}

/// Hosts that may be lost one after the other, or connections of one.
const TIMES: u32 = 3;

impl Lease {
    /// Waits for `work` as long as somebody is there who can answer.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        #[cfg(feature = "postgres")]
        if let Some((hosts, generation)) = &self.hosts {
            return hosts.watch(*generation, work).await;
        }
        work.await
    }
}

/// Connections that only read.
pub(crate) struct Reader {
    pub(super) connection: DatabaseConnection,
    pub(super) line: Line,
}

impl Reader {
    pub(super) async fn open(line: Line, options: &DatabaseOptions) -> StoreResult<Self> {
        let connection = line.pool(options, options.readers.max(1), Access::Read).await?;
        Ok(Self { connection, line })
    }

    /// Begins a transaction, which reads one moment.
    pub(super) async fn begin(&self) -> Result<(DatabaseTransaction, Lease), DbErr> {
        self.line.insist(|| self.connection.begin()).await
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.line.insist(|| self.connection.execute_raw(statement.clone())).await.map(|(result, _)| result)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.line.insist(|| self.connection.execute_unprepared(sql)).await.map(|(result, _)| result)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if self.line.is_to_a_file() {
            return self.connection.query_one_raw(statement).await;
        }
        self.line.insist(|| self.connection.query_one_raw(statement.clone())).await.map(|(row, _)| row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if self.line.is_to_a_file() {
            return self.connection.query_all_raw(statement).await;
        }
        self.line.insist(|| self.connection.query_all_raw(statement.clone())).await.map(|(rows, _)| rows)
    }
}
