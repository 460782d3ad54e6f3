//! The lock of a scheduler on a server: a transaction that does nothing and holds an advisory lock. The server takes it
//! back when the connection ends, however that happens.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trivia_domain::{StoreError, StoreResult};

use super::lock::Holder;
use crate::database::{DatabaseOptions, DatabaseUrl, connect_existing};
use crate::dialect;
use crate::error::During;

/// How often the connection is looked after, and how long it may take to answer.
const LOOK: Duration = Duration::from_secs(5);
/// How the name of its connection begins; the number of the process follows.
const NAME: &str = "trivia-store scheduler ";

/// The lock, as long as this is held.
#[derive(Debug)]
pub(super) struct ServerLock {
    keeper: JoinHandle<()>,
    lost: watch::Receiver<bool>,
}

impl ServerLock {
    /// Takes it, and takes it again when its connection is lost.
    pub(super) async fn take(database: &DatabaseUrl) -> StoreResult<Self> {
        let name = database.name();
        let held = match hold(database).await? {
            Attempt::Held(held) => held,
            Attempt::Taken(Some(holder)) => return Err(holder.busy(&name)),
            Attempt::Taken(None) => return Err(StoreError::Busy { what: name }),
        };
        let (tell, lost) = watch::channel(false);
        let database = database.clone();
        let keeper = tokio::spawn(async move {
            keep(&database, held).await;
            tell.send_replace(true);
        });
        Ok(Self { keeper, lost })
    }

    /// Ends when another process has it.
    pub(super) async fn lost(&self) {
        // without a keeper nobody can tell
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
    }
}

impl Drop for ServerLock {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Who has the lock of the database of a connection.
pub(super) async fn holder(connection: &impl ConnectionTrait) -> StoreResult<Option<Holder>> {
    let holder = dialect::scheduler(connection).await?;
    Ok(holder.map(|(name, machine, since)| {
        let pid = name.strip_prefix(NAME).and_then(|pid| pid.parse().ok());
        Holder { pid, machine, since }
    }))
}

/// What came of trying to take the lock.
enum Attempt {
    Held(DatabaseTransaction),
    /// Somebody has it; `None` when he was gone when he was looked for.
    Taken(Option<Holder>),
}

async fn hold(database: &DatabaseUrl) -> StoreResult<Attempt> {
    let connection = connect_existing(&DatabaseOptions::new(database.clone())).await?;
    let transaction = connection.begin().await.during("taking a lock")?;
    dialect::stay(&transaction).await?;
    if dialect::lock_scheduler(&transaction, &format!("{NAME}{}", std::process::id())).await? {
        return Ok(Attempt::Held(transaction));
    }
    Ok(Attempt::Taken(holder(&transaction).await?))
}

/// Ends when another process has the lock.
async fn keep(database: &DatabaseUrl, held: DatabaseTransaction) {
    let mut held = Some(held);
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(transaction) = &held {
            let ask = Statement::from_string(DbBackend::Postgres, "SELECT 1");
            if matches!(tokio::time::timeout(LOOK, transaction.query_one_raw(ask)).await, Ok(Ok(_))) {
                continue;
            }
            tracing::warn!(database = database.name(), "the connection with the lock is lost, it is taken again");
            held = None;
        }
        match tokio::time::timeout(LOOK, hold(database)).await {
            Ok(Ok(Attempt::Held(transaction))) => held = Some(transaction),
            // the server may not know yet that the lost connection is none any more
            Ok(Ok(Attempt::Taken(holder))) if holder.as_ref().is_some_and(is_another) => return,
            Ok(Err(error)) => tracing::debug!(%error, "the lock is not taken yet"),
            Ok(Ok(Attempt::Taken(_))) | Err(_) => {}
        }
    }
}

/// Whether it is certainly not this process.
fn is_another(holder: &Holder) -> bool {
    holder.pid.is_some_and(|pid| pid != std::process::id())
}
