//! Removing a person from a database, and keeping the person out of one that is restored.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use sha2::{Digest, Sha256};
use trivia_domain::StoreResult;
use trivia_domain::ports::RandomSource;

use super::score_counts::Counts;
use crate::dialect;
use crate::entity::{erasures, game_sessions, live_sessions, merges, picks, users};
use crate::error::During;

pub(crate) use erasures::Model as Erasure;
pub(crate) use merges::Model as Merger;

/// Players that are looked at in one go.
const CHUNK: u64 = 1_000;

/// Takes the answers of a person into the opening counters of their questions, so that how often a
/// question was answered stays right without them.
const KEEP_COUNTERS: &str = "UPDATE question_counters SET opening_asked = opening_asked + gone.answers, \
    opening_correct = opening_correct + gone.right_answers \
    FROM (SELECT question_id, COUNT(*) AS answers, SUM(CASE WHEN correct THEN 1 ELSE 0 END) AS right_answers \
          FROM ledger WHERE user_id = $1 AND kind = 'answer' GROUP BY question_id) AS gone \
    WHERE gone.question_id = question_counters.question_id";

/// Rows of the original that name a person: `user_id` of its tables, and the number of a private chat.
pub(super) const OF_THE_ORIGINAL: &str =
    "CAST(content ->> 'user_id' AS TEXT) = $1 OR CAST(content ->> 'channel_id' AS TEXT) = $1";

/// Removes everything that names a person; `false` when there was nothing.
pub(super) async fn remove(connection: &impl ConnectionTrait, id: i64) -> StoreResult<bool> {
    let backend = connection.get_database_backend();
    let statement = |sql: &str, value: sea_orm::Value| Statement::from_sql_and_values(backend, sql, [value]);
    let action = "erasing a person";
    connection.execute_raw(statement(KEEP_COUNTERS, id.into())).await.during(action)?;
    let counts = Counts::of_player(connection, id).await?;
    // what refers to the player goes along
    let mut rows = users::Entity::delete_by_id(id).exec(connection).await.during(action)?.rows_affected;
    counts.store(connection).await?;
    let hosted = game_sessions::Entity::update_many()
        .col_expr(game_sessions::Column::HostId, Expr::value(Option::<i64>::None))
        .filter(game_sessions::Column::HostId.eq(id));
    rows += hosted.exec(connection).await.during(action)?.rows_affected;
    let picked =
        picks::Entity::delete_many().filter(picks::Column::Owner.eq("player")).filter(picks::Column::OwnerId.eq(id));
    rows += picked.exec(connection).await.during(action)?.rows_affected;
    forget_channel(connection, id).await?;
    let notes = statement(&format!("DELETE FROM quarantine WHERE {OF_THE_ORIGINAL}"), id.to_string().into());
    rows += connection.execute_raw(notes).await.during(action)?.rows_affected();
    Ok(rows > 0)
}

/// Forgets what happened in a private chat: a channel with the number of a person.
pub(super) async fn forget_channel(connection: &impl ConnectionTrait, id: i64) -> StoreResult<()> {
    let action = "forgetting a private chat";
    live_sessions::Entity::delete_many()
        .filter(live_sessions::Column::ChannelId.eq(id))
        .exec(connection)
        .await
        .during(action)?;
    game_sessions::Entity::delete_many()
        .filter(game_sessions::Column::ChannelId.eq(id))
        .exec(connection)
        .await
        .during(action)?;
    picks::Entity::delete_many()
        .filter(picks::Column::Owner.eq("channel"))
        .filter(picks::Column::OwnerId.eq(id))
        .exec(connection)
        .await
        .during(action)?;
    Ok(())
}

/// Remembers that one player went into another: when that one is erased, both are.
pub(super) async fn note_merge(
    connection: &impl ConnectionTrait,
    from: i64,
    into: i64,
    random: &dyn RandomSource,
) -> StoreResult<()> {
    let action = "noting a merge";
    let salt = salt(connection, random).await?;
    let earlier = merges::Entity::find().filter(merges::Column::UserId.eq(from)).all(connection).await;
    let mut rows = earlier.during(action)?;
    rows.push(merges::Model { user_id: from, fingerprint: fingerprint(&salt, from), salt });
    let rows = rows.into_iter().map(|row| merges::Model { user_id: into, ..row }.into_active_model());
    let again = OnConflict::columns([merges::Column::UserId, merges::Column::Fingerprint]).do_nothing().to_owned();
    merges::Entity::insert_many(rows).on_conflict(again).exec_without_returning(connection).await.during(action)?;
    Ok(())
}

/// The one salt of a database, so that a restore hashes each player once.
async fn salt(connection: &impl ConnectionTrait, random: &dyn RandomSource) -> StoreResult<Vec<u8>> {
    let action = "reading erasures";
    if let Some(known) = erasures::Entity::find().limit(1).all(connection).await.during(action)?.pop() {
        return Ok(known.salt);
    }
    if let Some(known) = merges::Entity::find().limit(1).all(connection).await.during(action)?.pop() {
        return Ok(known.salt);
    }
    Ok([random.next_u64().to_be_bytes(), random.next_u64().to_be_bytes()].concat())
}

/// Notes down that a person is erased, before that happens, and all whom he was merged with.
pub(super) async fn note(
    connection: &impl ConnectionTrait,
    id: i64,
    at: DateTime<Utc>,
    random: &dyn RandomSource,
) -> StoreResult<()> {
    let salt = salt(connection, random).await?;
    let merged = merges::Entity::find().filter(merges::Column::UserId.eq(id)).all(connection).await;
    let merged = merged.during("reading merges")?;
    let mut erased = vec![Erasure { fingerprint: fingerprint(&salt, id), salt, erased_at: at }];
    erased.extend(merged.into_iter().map(|row| Erasure {
        fingerprint: row.fingerprint,
        salt: row.salt,
        erased_at: at,
    }));
    insert(connection, erased).await
}

/// Whether a person was erased before.
pub(super) async fn is_noted(connection: &impl ConnectionTrait, id: i64) -> StoreResult<bool> {
    let erasures = list(connection).await?;
    Ok(erasures.iter().any(|erasure| fingerprint(&erasure.salt, id) == erasure.fingerprint))
}

/// The people who were erased; none in a database that is older than the list.
pub(crate) async fn list(connection: &impl ConnectionTrait) -> StoreResult<Vec<Erasure>> {
    if !dialect::has_table(connection, "erasures", "reading erasures").await? {
        return Ok(Vec::new());
    }
    erasures::Entity::find().all(connection).await.during("reading erasures")
}

/// Removes those from an older database who were erased since, and keeps the list. Whoever came back
/// after having been erased is somebody new and stays. Returns how many were removed.
pub(crate) async fn keep_out(connection: &impl ConnectionTrait, erased: &[Erasure]) -> StoreResult<u64> {
    let mut by_salt: BTreeMap<&[u8], BTreeMap<&[u8], DateTime<Utc>>> = BTreeMap::new();
    for erasure in erased {
        by_salt.entry(&erasure.salt).or_default().insert(&erasure.fingerprint, erasure.erased_at);
    }
    let mut gone = HashSet::new();
    let mut after = -1;
    loop {
        let players: Vec<(i64, DateTime<Utc>)> = users::Entity::find()
            .select_only()
            .columns([users::Column::UserId, users::Column::CreatedAt])
            .filter(users::Column::UserId.gt(after))
            .order_by_asc(users::Column::UserId)
            .limit(CHUNK)
            .into_tuple()
            .all(connection)
            .await
            .during("looking for erased people")?;
        let Some((last, _)) = players.last() else { break };
        after = *last;
        for (salt, fingerprints) in &by_salt {
            gone.extend(players.iter().filter_map(|(id, created_at)| {
                let erased_at = fingerprints.get(fingerprint(salt, *id).as_slice())?;
                (created_at < erased_at).then_some(*id)
            }));
        }
    }
    for id in &gone {
        remove(connection, *id).await?;
    }
    insert(connection, erased.to_vec()).await?;
    Ok(gone.len() as u64)
}

/// Whether a player is the one who went into another.
pub(crate) fn is_merged(merger: &Merger, id: i64) -> bool {
    fingerprint(&merger.salt, id) == merger.fingerprint
}

async fn insert(connection: &impl ConnectionTrait, erased: Vec<Erasure>) -> StoreResult<()> {
    let again = OnConflict::column(erasures::Column::Fingerprint).update_column(erasures::Column::ErasedAt).to_owned();
    for erasure in erased {
        erasures::Entity::insert(erasure.into_active_model())
            .on_conflict(again.clone())
            .exec_without_returning(connection)
            .await
            .during("noting an erasure")?;
    }
    Ok(())
}

/// Tells whether somebody is the person who was erased, and nothing else about that person.
fn fingerprint(salt: &[u8], id: i64) -> Vec<u8> {
    Sha256::new().chain_update(salt).chain_update(id.to_be_bytes()).finalize().to_vec()
}
