use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, EntityTrait, Statement};
use trivia_domain::ports::{DatabaseStats, PoolStats};
use trivia_domain::{StoreError, StoreResult};

use super::core::{Core, Pools};
use super::engine::Engine;
use super::line::Reader;
use super::projector::settle;
use super::scope::unless_lost;
use crate::backup::Shelf;
use crate::dialect::tables;
use crate::entity::{maintenance_runs, question_groups};
use crate::error::During;
use crate::read_model::Whose;
use crate::schema;

/// Name under which the last integrity check is remembered.
pub(super) const INTEGRITY_CHECK: &str = "integrity_check";
/// How long the place of the backups may take to say which is the newest.
const PATIENCE: Duration = Duration::from_secs(5);

/// Figures about the database, of a replica if there is one: they count whole tables.
pub(super) async fn stats(core: &Arc<Core>) -> StoreResult<DatabaseStats> {
    settle(core, Whose::Everybody).await?;
    // before the reader is taken: asking twice would wait for ever behind a restore that waits for the first
    let pools = core.pools.read().await.as_ref().map_or((1, 0), Pools::figures);
    if let Some(replica) = core.replica().await
        && let Some(stats) = unless_lost(read(core, &replica, pools).await)
    {
        return stats;
    }
    read(core, &*core.reader().await?, pools).await
}

async fn read(core: &Core, reader: &Reader, (writers, idle): (u32, u32)) -> StoreResult<DatabaseStats> {
    let rows = row_counts(reader).await?;
    let count = |table: &str| rows.get(table).copied().unwrap_or(0);
    let weekly = scalar(reader, "SELECT COUNT(*) AS value FROM rankings WHERE period = 'week'").await?;
    let engine = Engine::read(reader).await?;
    let (mut by_difficulty, mut by_kind, mut by_language) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for group in question_groups::Entity::find().all(reader).await.during("reading question groups")? {
        let size = u64::try_from(group.size).unwrap_or(0);
        *by_difficulty.entry(group.difficulty).or_default() += size;
        *by_kind.entry(group.question_type).or_default() += size;
        *by_language.entry(group.language).or_default() += size;
    }
    let readers = core.options.readers.max(1);
    let monitor = &core.monitor;
    Ok(DatabaseStats {
        users_count: count("users"),
        questions_count: count("questions"),
        user_achievements_count: count("user_achievements"),
        weekly_rankings_count: weekly,
        game_sessions_count: count("game_sessions"),
        database_size_bytes: engine.bytes,
        database_size_mb: megabytes(engine.bytes),
        schema_version: schema::version(reader).await?,
        connection_pool_size: idle,
        max_pool_size: readers + writers,
        error_count: monitor.errors(),
        errors_by_kind: monitor.errors_by_kind(),
        last_error_time: monitor.last_error(),
        last_integrity_check: last_run(reader, INTEGRITY_CHECK).await?.map(|run| run.ran_at),
        // a backup directory that cannot be read is no reason to know nothing about the database
        last_backup: last_backup(core).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the backups could not be looked at");
            None
        }),
        auto_backup_enabled: core.options.backups.is_some(),
        journal_mode: engine.journal_mode,
        synchronous_mode: engine.synchronous_mode,
        cache_size: engine.cache_size,
        ledger_count: count("ledger"),
        questions_by_difficulty: by_difficulty,
        questions_by_kind: by_kind,
        questions_by_language: by_language,
        free_pages: engine.free_pages,
        engine: engine.name,
        pool: PoolStats {
            writers,
            readers,
            idle,
            slow_operations: monitor.slow(),
            busy_retries: monitor.busy_retries(),
        },
        rows,
    })
}

/// Number of rows of each table of the schema, by name.
async fn row_counts(connection: &impl ConnectionTrait) -> StoreResult<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for table in tables(connection).await? {
        let quoted = table.replace('"', "\"\"");
        let count = scalar(connection, &format!("SELECT COUNT(*) AS value FROM \"{quoted}\"")).await?;
        counts.insert(table, count);
    }
    Ok(counts)
}

/// When a maintenance task last ran.
pub(super) async fn last_run(
    connection: &impl ConnectionTrait,
    task: &str,
) -> StoreResult<Option<maintenance_runs::Model>> {
    let mut runs =
        maintenance_runs::Entity::find_by_id(task).all(connection).await.during("reading maintenance runs")?;
    Ok(runs.pop())
}

/// When the newest verified backup was made.
pub(super) async fn last_backup(core: &Core) -> StoreResult<Option<chrono::DateTime<chrono::Utc>>> {
    let Some(backups) = core.options.backups.clone() else { return Ok(None) };
    let backups = Shelf::new(backups, Arc::clone(&core.clock));
    // whoever asks for figures or for health cannot wait for a server that does not answer
    let newest = tokio::time::timeout(PATIENCE, backups.newest_verified()).await;
    let newest = newest.unwrap_or_else(|_| {
        let reason = format!("there was no answer within {} s", PATIENCE.as_secs());
        Err(StoreError::Unreachable { what: "the place of the backups".to_owned(), reason })
    })?;
    Ok(newest.map(|backup| backup.manifest.created_at))
}

pub(super) async fn scalar(connection: &impl ConnectionTrait, sql: &str) -> StoreResult<u64> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.during("counting")?;
    let value: i64 = row.map_or(Ok(0), |row| row.try_get("", "value")).during("counting")?;
    Ok(u64::try_from(value).unwrap_or(0))
}

#[expect(clippy::cast_precision_loss, reason = "two decimals need no more than 53 bits")]
fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1_048_576.0 * 100.0).round() / 100.0
}
