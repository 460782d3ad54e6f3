//! A database for an attempt, on the same server, and gone with it.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, QueryResult, Statement, TransactionTrait,
};
use trivia_domain::model::DumpOrigin;
use trivia_domain::{StoreError, StoreResult};
use uuid::Uuid;

use super::content::contents;
use super::programs::Programs;
use crate::backup::content::Contents;
use crate::backup::shelf::Opened;
use crate::database::{DatabaseOptions, Durability, connect_existing};
use crate::dialect;
use crate::error::During;

/// How its name begins; the number of the living database and something random follow.
const PREFIX: &str = "trivia_scratch_";
const MAKING: &str = "making a scratch database";

/// A database without tables. [`Scratch::remove`] it; one of an attempt that died is removed by the next attempt.
pub(super) struct Scratch {
    pub(super) options: DatabaseOptions,
    name: String,
    admin: DatabaseConnection,
    /// Holds the claim on the name as long as it lasts.
    claim: DatabaseTransaction,
}

impl Scratch {
    /// Makes one beside a database.
    pub(super) async fn make(living: &DatabaseOptions) -> StoreResult<Self> {
        let admin = connect_existing(living).await?;
        let claims = connect_existing(living).await?;
        let claim = claims.begin().await.during(MAKING)?;
        dialect::stay(&claim).await?;
        let row = one(
            &admin,
            "SELECT CAST(oid AS TEXT) AS id, pg_encoding_to_char(encoding) AS encoding, \
                               CAST(datcollate AS TEXT) AS sorting, CAST(datctype AS TEXT) AS letters \
                               FROM pg_database WHERE datname = current_database()",
        )
        .await?;
        let text = |column: &str| row.try_get::<String>("", column).during(MAKING);
        let prefix = format!("{PREFIX}{}_", text("id")?);
        if let Err(error) = sweep(&admin, &claim, &prefix).await {
            tracing::warn!(%error, "databases of interrupted attempts could not be removed");
        }
        let name = format!("{prefix}{}", Uuid::now_v7().simple());
        dialect::claim(&claim, &name).await?;
        let literal = |text: String| format!("'{}'", text.replace('\'', "''"));
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            literal(text("encoding")?),
            literal(text("sorting")?),
            literal(text("letters")?)
        );
        admin.execute_unprepared(&create).await.during(MAKING)?;
        let mut options = living.clone();
        options.url = living.url.with_database(&name);
        // it does not outlive a crash in any case
        options.durability = Durability::Normal;
        options.backups = None;
        Ok(Self { options, name, admin, claim })
    }

    /// Restores a dump into it, or one table of it, in one transaction.
    pub(super) async fn load(
        &self,
        programs: &Programs,
        opened: &Opened,
        from: &DumpOrigin,
        only: Option<&str>,
    ) -> StoreResult<()> {
        let schema = format!("\"{}\"", from.schema.replace('"', "\"\""));
        let connection = connect_existing(&self.options).await?;
        // a dump of a schema makes it; a new database has `public`
        let mut prepare = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        if only.is_some() {
            prepare = format!("{prepare}; CREATE SCHEMA {schema}");
        }
        let prepared = connection.execute_unprepared(&prepare).await.during(MAKING);
        let named = format!("ALTER DATABASE {} SET search_path = {schema}", self.name);
        let named = connection.execute_unprepared(&named).await.during(MAKING);
        connection.close().await.during(MAKING)?;
        prepared.and(named)?;
        let mut run = programs.restore_into(&self.options.url)?.args(&[
            "--single-transaction",
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
            "--no-tablespaces",
            "--no-comments",
            "--no-publications",
            "--no-security-labels",
            "--no-subscriptions",
        ]);
        if let Some(table) = only {
            run = run.arg(format!("--table={table}"));
        }
        run.arg(opened.file.as_os_str()).finish(&format!("backup {}", opened.manifest.id)).await
    }

    /// What is in it now.
    pub(super) async fn contents(&self) -> StoreResult<Contents> {
        let connection = connect_existing(&self.options).await?;
        let found = async {
            let moment = connection.begin_with_options(dialect::reading(DbBackend::Postgres)).await.during(MAKING)?;
            contents(&moment).await
        };
        let found = found.await;
        connection.close().await.during(MAKING)?;
        found
    }

    /// Removes it. What fails is told only: the next attempt removes it.
    pub(super) async fn remove(self) {
        if let Err(error) = drop_database(&self.admin, &self.name).await {
            tracing::warn!(database = self.name, %error, "a scratch database could not be removed");
        }
        // the claim goes with its connection
        drop(self.claim);
        if let Err(error) = self.admin.close().await {
            tracing::warn!(%error, "a connection was not closed properly");
        }
    }
}

/// Removes what attempts have left that are dead: nobody claims its name.
async fn sweep(admin: &DatabaseConnection, claim: &DatabaseTransaction, prefix: &str) -> StoreResult<()> {
    let sql = "SELECT CAST(datname AS TEXT) AS name FROM pg_database WHERE starts_with(datname, $1)";
    let left = Statement::from_sql_and_values(DbBackend::Postgres, sql, [prefix.into()]);
    for row in admin.query_all_raw(left).await.during(MAKING)? {
        let name: String = row.try_get("", "name").during(MAKING)?;
        if dialect::try_claim(claim, &name).await? {
            drop_database(admin, &name).await?;
            tracing::warn!(database = name, "removed what an interrupted attempt left");
        }
    }
    Ok(())
}

async fn drop_database(admin: &DatabaseConnection, name: &str) -> StoreResult<()> {
    // the name is one of ours: letters, digits and `_`
    let removal = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    admin.execute_unprepared(&removal).await.during("removing a scratch database").map(drop)
}

async fn one(connection: &impl ConnectionTrait, sql: &str) -> StoreResult<QueryResult> {
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.during(MAKING)?;
    row.ok_or_else(|| StoreError::backend(MAKING, "the server does not know its database"))
}
