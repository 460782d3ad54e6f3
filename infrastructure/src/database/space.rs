//! Space: what is left on the disk, and what of the file is not used.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use trivia_domain::StoreResult;
use trivia_domain::ports::{Compaction, HealthCheck, HealthStatus};

use super::connect::connect_existing;
use super::core::Core;
use super::engine::Engine;
use super::health::{finding, well};
use super::shortage::free;
use crate::dialect::tables;
use crate::error::{During, translate};

const MIB: u64 = 1 << 20;
/// With less than that, writes may fail at any moment.
const LAST: u64 = 32 * MIB;
/// Less than that is little for any database; a larger one needs room for a backup and a restore.
const LITTLE: u64 = 256 * MIB;
/// So much of a file that is not used is worth a word when it is also more than a quarter of the file.
const UNUSED: u64 = 16 * MIB;

/// See [`MaintenancePort::compact`](trivia_domain::ports::MaintenancePort::compact).
pub(super) async fn compact(core: &Arc<Core>) -> StoreResult<Compaction> {
    let bytes_before = Engine::read(&*core.reader().await?).await?.bytes;
    if core.is_shared() {
        rewrite_tables(core).await?;
    } else {
        core.scrub().await?;
    }
    let bytes_after = Engine::read(&*core.reader().await?).await?.bytes;
    Ok(Compaction { bytes_before, bytes_after })
}

/// Writes each table of a server anew. Whoever uses one meanwhile waits.
async fn rewrite_tables(core: &Core) -> StoreResult<()> {
    // such a statement may take longer than those of the game
    let connection = connect_existing(&core.options).await?;
    let rewritten = async {
        for table in tables(&connection).await? {
            let vacuum = format!("VACUUM (FULL, ANALYZE) \"{}\"", table.replace('"', "\"\""));
            let vacuumed = connection.execute_unprepared(&vacuum).await;
            vacuumed.map_err(|error| translate(error, &core.name()))?;
        }
        Ok(())
    };
    let rewritten = rewritten.await;
    connection.close().await.during("compacting")?;
    rewritten
}

/// Whether there is enough space for what comes, where the database and where the backups are.
pub(super) async fn check(core: &Core) -> StoreResult<HealthCheck> {
    if core.is_shared() {
        return Ok(well("space", "the server's own tools look after its disk"));
    }
    let Engine { bytes: whole, unused, .. } = Engine::read(&*core.reader().await?).await?;
    let places = [core.options.url.path().parent(), core.options.backups.as_ref().map(|backups| backups.dir.as_path())];
    let left = places
        .into_iter()
        .flatten()
        .filter_map(|place| Some((free(place)?, place.display())))
        .min_by_key(|left| left.0);
    let Some((left, place)) = left else { return Ok(well("space", "the file system does not tell")) };
    let said = format!("{} MiB are left in {place}, the database takes {}", left / MIB, whole.div_ceil(MIB));
    let remedy = "free some space, or keep fewer backups with `trivia-db backup prune`";
    Ok(if left < LAST {
        finding("space", HealthStatus::Critical, &said, remedy)
    } else if left < LITTLE.max(2 * whole) {
        finding("space", HealthStatus::Warning, &said, remedy)
    } else if unused > UNUSED && unused > whole / 4 {
        let said = format!("{} of {} MiB of the file are not used", unused / MIB, whole.div_ceil(MIB));
        finding("space", HealthStatus::Warning, &said, "run `trivia-db compact` when nobody plays")
    } else {
        well("space", &said)
    })
}
