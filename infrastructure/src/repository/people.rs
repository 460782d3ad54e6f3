use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use serde_json::{Value as Json, json};
use trivia_domain::model::{
    Board, Fact, LedgerEntry, PersonalRecord, QuestionId, RecordedFact, SessionId, UserId, UserProfile,
};
use trivia_domain::play::{Merged, merge};
use trivia_domain::ports::PeoplePort;
use trivia_domain::{StoreError, StoreResult};

use super::players::{self, Part};
use super::score_counts::Counts;
use super::{Repository, erasing, reports, rows, rule_book, sessions, users};
use crate::database::Needs;
use crate::entity::{game_sessions, ledger, picks, question_counters, users as user_rows};
use crate::error::{During, bad_row};
use crate::read_model::{Effects, Whose};

/// Rows of one statement: a fact has 25 values, and SQLite binds at most 32,766.
const CHUNK: usize = 1_000;

#[async_trait]
impl PeoplePort for Repository {
    async fn export(&self, id: UserId) -> StoreResult<PersonalRecord> {
        self.scope.settle(Whose::Player(id)).await?;
        let snapshot = self.scope.snapshot("exporting a person").await?;
        let whole = players::load(&*snapshot, &BTreeSet::from([id]), Part::Whole).await?.remove(&id);
        let player = whole.map(Arc::unwrap_or_clone).ok_or_else(|| StoreError::missing("user", id))?;
        let mut facts = facts(&*snapshot, id).await?;
        // newer ones do not show in the rest yet
        facts.retain(|fact| fact.entry.seq <= player.profile.last_seq);
        let mut achievements: Vec<_> = player.achievements.into_values().collect();
        achievements.sort_by_key(|achievement| std::cmp::Reverse(achievement.seq));
        let board = |(period, start)| Board::Period { period, start };
        Ok(PersonalRecord {
            profile: player.profile,
            breakdown: users::breakdown(&*snapshot, id).await?,
            facts,
            achievements,
            scores: player.scores.into_iter().map(|(key, score)| (board(key), score)).collect(),
            challenges: player.challenges.into_values().collect(),
            sessions: own_sessions(&*snapshot, id).await?,
            picks: picked(&*snapshot, id).await?.into_iter().map(QuestionId::new).collect::<StoreResult<_>>()?,
            reports: reports::of(&*snapshot, id).await?,
            originals: notes(&*snapshot, id).await?.into_iter().map(|note| note.content.to_string()).collect(),
            exported_at: self.scope.core().clock.now(),
        })
    }

    async fn erase(&self, id: UserId) -> StoreResult<()> {
        let core = self.scope.core();
        let writing = self.scope.write("erasing a person", Needs::Everything, Effects::UNKNOWN).await?;
        let was_erased = erasing::is_noted(&*writing, id.get()).await?;
        erasing::note(&*writing, id.get(), core.clock.now(), &*core.random).await?;
        if !erasing::remove(&*writing, id.get()).await? && !was_erased {
            return Err(StoreError::missing("user", id));
        }
        writing.commit().await?;
        core.scrub().await
    }

    async fn merge(&self, from: UserId, into: UserId) -> StoreResult<UserProfile> {
        if from == into {
            return Err(StoreError::invalid("user id", format!("{from} cannot be merged into itself")));
        }
        let core = self.scope.core();
        let writing = self.scope.write("merging two players", Needs::Everything, Effects::UNKNOWN).await?;
        let (one, one_facts) = person(&*writing, into).await?;
        let (other, other_facts) = person(&*writing, from).await?;
        let rules = rule_book::current(core, &*writing).await?;
        let merged = merge(&one, one_facts, &other, other_facts, &rules)?;
        let picks = united_picks(&*writing, from, into).await?;
        let reports = reports::take_both(&*writing, from, into).await?;

        uncount(&*writing, &merged.dropped).await?;
        move_sessions(&*writing, from, into).await?;
        move_notes(&*writing, from, into).await?;
        erasing::forget_channel(&*writing, from.get()).await?;
        erasing::note_merge(&*writing, from.get(), into.get(), &*core.random).await?;
        let counts = Counts::of_player(&*writing, from.get()).await?;
        // what refers to the player goes along
        user_rows::Entity::delete_by_id(from.get()).exec(&*writing).await.during("merging two players")?;
        counts.store(&*writing).await?;
        replace_ledger(&*writing, into, &merged).await?;
        players::replace(&*writing, &merged.state).await?;
        replace_picks(&*writing, [from, into], picks).await?;
        reports::put(&*writing, &reports).await?;
        writing.commit().await?;
        Ok(merged.state.profile)
    }
}

async fn facts(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<Vec<RecordedFact>> {
    ledger::Entity::find()
        .filter(ledger::Column::UserId.eq(id.get()))
        .order_by_asc(ledger::Column::Seq)
        .all(connection)
        .await
        .during("reading the ledger")?
        .into_iter()
        .map(|row| rows::ledger_entry(row).map(|(entry, receipt)| RecordedFact { entry, receipt }))
        .collect()
}

async fn person(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<(UserProfile, Vec<LedgerEntry>)> {
    let profile = users::find(connection, id).await?.ok_or_else(|| StoreError::missing("user", id))?;
    let facts = facts(connection, id).await?;
    Ok((profile, facts.into_iter().map(|fact| fact.entry).collect()))
}

/// Sessions that a person started, and those of a channel with the person's number: a private chat.
async fn own_sessions(
    connection: &impl ConnectionTrait,
    id: UserId,
) -> StoreResult<Vec<trivia_domain::model::GameSession>> {
    let ids: Vec<uuid::Uuid> = game_sessions::Entity::find()
        .select_only()
        .column(game_sessions::Column::Id)
        .filter(game_sessions::Column::HostId.eq(id.get()).or(game_sessions::Column::ChannelId.eq(id.get())))
        .order_by_asc(game_sessions::Column::Id)
        .into_tuple()
        .all(connection)
        .await
        .during("reading the sessions of a person")?;
    let mut own = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let ids: BTreeSet<SessionId> = ids.iter().copied().map(SessionId::new).collect();
        let mut loaded: Vec<_> = sessions::load(connection, &ids).await?.into_values().collect();
        loaded.sort_unstable_by_key(|session| session.id);
        own.extend(loaded);
    }
    Ok(own)
}

/// Questions that were picked for a player, the oldest first.
async fn picked(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<Vec<i64>> {
    picks::Entity::find()
        .select_only()
        .column(picks::Column::QuestionId)
        .filter(picks::Column::Owner.eq("player"))
        .filter(picks::Column::OwnerId.eq(id.get()))
        .order_by_asc(picks::Column::Number)
        .into_tuple()
        .all(connection)
        .await
        .during("reading picks")
}

/// What the other one was asked counts as asked longer ago.
async fn united_picks(connection: &impl ConnectionTrait, from: UserId, into: UserId) -> StoreResult<Vec<i64>> {
    let (theirs, mine) = (picked(connection, from).await?, picked(connection, into).await?);
    let is_theirs_only = |question: &i64| !mine.contains(question);
    Ok(theirs.into_iter().filter(is_theirs_only).collect::<Vec<_>>().into_iter().chain(mine.clone()).collect())
}

async fn replace_picks(connection: &impl ConnectionTrait, users: [UserId; 2], questions: Vec<i64>) -> StoreResult<()> {
    let [_, into] = users;
    picks::Entity::delete_many()
        .filter(picks::Column::Owner.eq("player"))
        .filter(picks::Column::OwnerId.is_in(users.map(UserId::get)))
        .exec(connection)
        .await
        .during("uniting picks")?;
    let rows: Vec<_> = questions
        .into_iter()
        .zip(1..)
        .map(|(question_id, number)| {
            picks::Model { owner: "player".to_owned(), owner_id: into.get(), question_id, number }.into_active_model()
        })
        .collect();
    for rows in rows.chunks(CHUNK) {
        picks::Entity::insert_many(rows.to_vec()).exec_without_returning(connection).await.during("uniting picks")?;
    }
    Ok(())
}

/// Takes answers back that one player could not have given.
async fn uncount(connection: &impl ConnectionTrait, dropped: &[LedgerEntry]) -> StoreResult<()> {
    use question_counters::Column;

    let mut counters: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for entry in dropped {
        if let Fact::Answer(answer) = &entry.fact {
            let (asked, correct) = counters.entry(answer.question_id.get()).or_default();
            *asked += 1;
            *correct += i64::from(answer.correct);
        }
    }
    for (question, (asked, correct)) in counters {
        question_counters::Entity::update_many()
            .col_expr(Column::TimesAsked, Expr::col(Column::TimesAsked).sub(asked))
            .col_expr(Column::TimesCorrect, Expr::col(Column::TimesCorrect).sub(correct))
            .filter(Column::QuestionId.eq(question))
            .exec(connection)
            .await
            .during("taking answers back")?;
    }
    Ok(())
}

async fn move_sessions(connection: &impl ConnectionTrait, from: UserId, into: UserId) -> StoreResult<()> {
    game_sessions::Entity::update_many()
        .col_expr(game_sessions::Column::HostId, Expr::value(into.get()))
        .filter(game_sessions::Column::HostId.eq(from.get()))
        .exec(connection)
        .await
        .during("moving sessions")?;
    Ok(())
}

async fn replace_ledger(connection: &impl ConnectionTrait, user: UserId, merged: &Merged) -> StoreResult<()> {
    ledger::Entity::delete_many()
        .filter(ledger::Column::UserId.eq(user.get()))
        .exec(connection)
        .await
        .during("replacing a ledger")?;
    for entries in merged.entries.chunks(CHUNK) {
        let rows = entries
            .iter()
            .map(|(entry, receipt)| Ok(rows::ledger_row(entry, receipt)?.into_active_model()))
            .collect::<StoreResult<Vec<_>>>()?;
        ledger::Entity::insert_many(rows).exec_without_returning(connection).await.during("replacing a ledger")?;
    }
    Ok(())
}

/// A row of the original that did not fit.
struct Note {
    id: i64,
    source: String,
    content: Json,
}

/// Rows of the original that name a person.
async fn notes(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<Vec<Note>> {
    let sql = format!("SELECT id, source, content FROM quarantine WHERE {} ORDER BY id", erasing::OF_THE_ORIGINAL);
    let select = Statement::from_sql_and_values(connection.get_database_backend(), sql, [id.to_string().into()]);
    let action = "reading rows of the original";
    let rows = connection.query_all_raw(select).await.during(action)?;
    let note = |row: &sea_orm::QueryResult| {
        Ok(Note {
            id: row.try_get("", "id")?,
            source: row.try_get("", "source")?,
            content: row.try_get("", "content")?,
        })
    };
    rows.iter().map(note).collect::<Result<_, sea_orm::DbErr>>().during(action)
}

/// Lets rows of the original that name one player name the other.
async fn move_notes(connection: &impl ConnectionTrait, from: UserId, into: UserId) -> StoreResult<()> {
    for note in notes(connection, from).await? {
        let Json::Object(mut content) = note.content else {
            return Err(bad_row("quarantine", note.id, "its content is no object"));
        };
        if content.get("user_id").is_some_and(|user| *user == json!(from.get())) {
            content.insert("user_id".to_owned(), json!(into.get()));
        }
        let key = if note.source == "users" { Some(into.to_string()) } else { None };
        let update = Statement::from_sql_and_values(
            connection.get_database_backend(),
            "UPDATE quarantine SET content = $1, source_id = COALESCE($2, source_id) WHERE id = $3",
            [Json::Object(content).into(), key.into(), note.id.into()],
        );
        connection.execute_raw(update).await.during("moving rows of the original")?;
    }
    Ok(())
}
