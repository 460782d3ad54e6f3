//! Derived rows against the fold over the ledger: comparing them and mending them.

use std::collections::BTreeSet;
use std::sync::Arc;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Statement,
};
use serde_json::{Value as Json, json};
use trivia_domain::StoreResult;
use trivia_domain::model::{Drift, UserId};
use trivia_domain::play::{PlayerState, RuleBook, fold};

use super::players::{self, Part, dimension_columns};
use super::score_counts::{self, Wrong};
use super::{projection, rows, rule_book};
use crate::database::{Core, Needs, Transaction, settle};
use crate::entity::{ledger, question_counters, users};
use crate::error::During;
use crate::read_model::{Effects, Whose};

/// Players that are compared at a time.
const PLAYERS: u64 = 200;
/// Facts that are read at a time.
const FACTS: u64 = 2_000;

/// Compares everything. Each group of players is read at one moment, so others may go on writing.
pub(crate) async fn verify(core: &Arc<Core>) -> StoreResult<Vec<Drift>> {
    settle(core, Whose::Everybody).await?;
    let mut drifts = Vec::new();
    let mut after = None;
    loop {
        let view = core.view(core.reader().await?, "comparing with the ledger").await?;
        let moment = &*view;
        let rules = rule_book::current(core, moment).await?;
        let Some(compared) = compare_players(moment, &rules, after).await? else {
            drifts.extend(compare_counters(moment).await?.iter().flat_map(Counter::drifts));
            drifts.extend(score_counts::compare(moment).await?.iter().map(Wrong::drift));
            return Ok(drifts);
        };
        after = Some(compared.last);
        drifts.extend(compared.drifts);
    }
}

/// Compares everything and replaces what differs, a group of players in each transaction.
pub(crate) async fn rebuild(core: &Arc<Core>) -> StoreResult<Vec<Drift>> {
    let mut drifts = Vec::new();
    let mut after = None;
    loop {
        let transaction = Transaction::begin(core, "rebuilding", Needs::Everything, Effects::UNKNOWN).await?;
        let rules = rule_book::current(core, &*transaction).await?;
        let Some(compared) = compare_players(&*transaction, &rules, after).await? else {
            let counters = compare_counters(&*transaction).await?;
            drifts.extend(counters.iter().flat_map(Counter::drifts));
            store_counters(&*transaction, counters).await?;
            let wrong = score_counts::compare(&*transaction).await?;
            drifts.extend(wrong.iter().map(Wrong::drift));
            score_counts::mend(&*transaction, wrong).await?;
            transaction.commit().await?;
            return Ok(drifts);
        };
        after = Some(compared.last);
        drifts.extend(compared.drifts);
        for player in &compared.mended {
            players::replace(&*transaction, player).await?;
        }
        transaction.commit().await?;
    }
}

/// Folds all ledgers by these rules and stores what that changes, in the transaction of the caller.
/// Returns how many players changed.
pub(super) async fn refold(connection: &impl ConnectionTrait, rules: &RuleBook) -> StoreResult<u64> {
    let (mut changed, mut after) = (0, None);
    while let Some(compared) = compare_players(connection, rules, after).await? {
        after = Some(compared.last);
        for player in &compared.mended {
            players::replace(connection, player).await?;
        }
        changed += compared.mended.len() as u64;
    }
    Ok(changed)
}

/// A group of players after the comparison.
struct Compared {
    last: i64,
    drifts: Vec<Drift>,
    /// What those who differ should be.
    mended: Vec<PlayerState>,
}

/// Compares the next players after an id; `None` at the end.
async fn compare_players(
    connection: &impl ConnectionTrait,
    rules: &RuleBook,
    after: Option<i64>,
) -> StoreResult<Option<Compared>> {
    let ids: Vec<i64> = users::Entity::find()
        .select_only()
        .column(users::Column::UserId)
        .filter(users::Column::UserId.gt(after.unwrap_or(-1)))
        .order_by_asc(users::Column::UserId)
        .limit(PLAYERS)
        .into_tuple()
        .all(connection)
        .await
        .during("reading users")?;
    let Some(last) = ids.last().copied() else { return Ok(None) };
    let ids = ids.into_iter().map(UserId::new).collect::<StoreResult<BTreeSet<_>>>()?;
    let stored = players::load(connection, &ids, Part::Whole).await?;
    let behind = projection::behind(connection, &ids).await?;
    let mut compared = Compared { last, drifts: Vec::new(), mended: Vec::new() };
    for id in ids {
        let Some(stored) = stored.get(&id) else { continue };
        let until = behind.contains(&id).then_some(stored.profile.last_seq);
        let folded = replay(connection, stored, until, rules).await?;
        if folded != **stored {
            compared.drifts.extend(differences(stored, &folded)?);
            compared.mended.push(folded);
        }
    }
    Ok(Some(compared))
}

/// What the ledger makes of a player; newer facts than `until` are not looked at.
async fn replay(
    connection: &impl ConnectionTrait,
    stored: &PlayerState,
    until: Option<u64>,
    rules: &RuleBook,
) -> StoreResult<PlayerState> {
    let id = stored.profile.user_id;
    let mut state = PlayerState::new(id, stored.profile.created_at);
    // a setting, no fact
    state.profile.time_zone = stored.profile.time_zone;
    loop {
        let facts = ledger::Entity::find()
            .filter(ledger::Column::UserId.eq(id.get()))
            .filter(ledger::Column::Seq.gt(rows::stored(state.profile.last_seq)))
            .filter(ledger::Column::Seq.lte(until.map_or(i64::MAX, rows::stored)))
            .order_by_asc(ledger::Column::Seq)
            .limit(FACTS)
            .all(connection)
            .await
            .during("reading the ledger")?;
        if facts.is_empty() {
            return Ok(state);
        }
        for row in facts {
            let (entry, _) = rows::ledger_entry(row)?;
            fold(&mut state, &entry, rules)?;
        }
    }
}

/// Every column in which two states of a player differ.
fn differences(stored: &PlayerState, folded: &PlayerState) -> StoreResult<Vec<Drift>> {
    let user = stored.profile.user_id;
    let mut drifts = Vec::new();
    drifts.extend(differ("users", &user.to_string(), &rows::json(&stored.profile)?, &rows::json(&folded.profile)?));
    let ids: BTreeSet<_> = stored.achievements.keys().chain(folded.achievements.keys()).collect();
    for id in ids {
        let row = |state: &PlayerState| state.achievements.get(id).map_or(Ok(Json::Null), rows::json);
        drifts.extend(differ("user_achievements", &format!("{user}/{id}"), &row(stored)?, &row(folded)?));
    }
    let dimensions: BTreeSet<_> = stored.tallies.keys().chain(folded.tallies.keys()).collect();
    for dimension in dimensions {
        let (kind, name) = dimension_columns(dimension);
        let row = |state: &PlayerState| state.tallies.get(dimension).map_or(Ok(Json::Null), rows::json);
        drifts.extend(differ("user_tallies", &format!("{user}/{kind}/{name}"), &row(stored)?, &row(folded)?));
    }
    let periods: BTreeSet<_> = stored.scores.keys().chain(folded.scores.keys()).collect();
    for key @ (period, start) in periods {
        let row = |state: &PlayerState| {
            state.scores.get(key).map_or(Json::Null, |score| {
                let (tally, reached_at) = (score.tally, score.reached_at);
                json!({"points": tally.points, "answered": tally.answered, "correct": tally.correct, "reached_at": reached_at})
            })
        };
        drifts.extend(differ("rankings", &format!("{user}/{period}/{start}"), &row(stored), &row(folded)));
    }
    let challenges: BTreeSet<_> = stored.challenges.keys().chain(folded.challenges.keys()).collect();
    for id in challenges {
        let row = |state: &PlayerState| state.challenges.get(id).map_or(Ok(Json::Null), rows::json);
        let name = format!("{user}/{}/{}", id.kind, id.starts_on);
        drifts.extend(differ("challenge_attempts", &name, &row(stored)?, &row(folded)?));
    }
    Ok(drifts)
}

/// The columns in which two rows differ; a row that is not there is null.
fn differ(table: &str, id: &str, stored: &Json, folded: &Json) -> Vec<Drift> {
    let drift = |column: &str, stored: &Json, folded: &Json| Drift {
        table: table.to_owned(),
        id: id.to_owned(),
        column: column.to_owned(),
        stored: stored.to_string(),
        folded: folded.to_string(),
    };
    match (stored, folded) {
        (Json::Object(stored), Json::Object(folded)) => stored
            .iter()
            .filter_map(|(column, value)| {
                let right = folded.get(column).unwrap_or(&Json::Null);
                (value != right).then(|| drift(column, value, right))
            })
            .collect(),
        (stored, folded) if stored == folded => Vec::new(),
        (stored, folded) => vec![drift("*", stored, folded)],
    }
}

/// Counters of a question that differ from its answers.
#[derive(FromQueryResult)]
struct Counter {
    question_id: i64,
    opening_asked: i64,
    opening_correct: i64,
    times_asked: i64,
    times_correct: i64,
    answers: i64,
    right_answers: i64,
}

impl Counter {
    fn drifts(&self) -> Vec<Drift> {
        let stored = json!({"times_asked": self.times_asked, "times_correct": self.times_correct});
        let folded = self.folded();
        let folded = json!({"times_asked": folded.times_asked, "times_correct": folded.times_correct});
        differ("question_counters", &self.question_id.to_string(), &stored, &folded)
    }

    const fn folded(&self) -> question_counters::Model {
        question_counters::Model {
            question_id: self.question_id,
            times_asked: self.opening_asked + self.answers,
            times_correct: self.opening_correct + self.right_answers,
            opening_asked: self.opening_asked,
            opening_correct: self.opening_correct,
        }
    }
}

async fn compare_counters(connection: &impl ConnectionTrait) -> StoreResult<Vec<Counter>> {
    let sql = "SELECT q.id AS question_id, \
               COALESCE(c.opening_asked, 0) AS opening_asked, COALESCE(c.opening_correct, 0) AS opening_correct, \
               COALESCE(c.times_asked, 0) AS times_asked, COALESCE(c.times_correct, 0) AS times_correct, \
               COALESCE(l.answers, 0) AS answers, COALESCE(l.right_answers, 0) AS right_answers \
               FROM questions q LEFT JOIN question_counters c ON c.question_id = q.id \
               LEFT JOIN (SELECT question_id, COUNT(*) AS answers, SUM(CASE WHEN correct THEN 1 ELSE 0 END) AS right_answers \
               FROM ledger WHERE kind = 'answer' GROUP BY question_id) l ON l.question_id = q.id \
               WHERE COALESCE(c.times_asked, 0) <> COALESCE(c.opening_asked, 0) + COALESCE(l.answers, 0) \
               OR COALESCE(c.times_correct, 0) <> COALESCE(c.opening_correct, 0) + COALESCE(l.right_answers, 0)";
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    Counter::find_by_statement(statement).all(connection).await.during("comparing question counters")
}

async fn store_counters(connection: &impl ConnectionTrait, counters: Vec<Counter>) -> StoreResult<()> {
    use question_counters::{Column, Entity};

    for counter in counters {
        let replace = OnConflict::column(Column::QuestionId)
            .update_columns([Column::TimesAsked, Column::TimesCorrect])
            .to_owned();
        Entity::insert(counter.folded().into_active_model())
            .on_conflict(replace)
            .exec_without_returning(connection)
            .await
            .during("mending question counters")?;
    }
    Ok(())
}
