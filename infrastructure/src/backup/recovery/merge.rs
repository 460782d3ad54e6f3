//! What was salvaged, taken into the base as far as it passes.
//!
//! The base is the newest verified backup, or an empty database. A salvaged row that it does not have is taken
//! if our models can read it and the database accepts it. Of rows that it has in another form the base keeps
//! its own, unless [`NEWER`] proves that the salvaged one is younger. What is refused goes to quarantine.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, QueryResult, Statement};
use trivia_domain::model::{Category, Difficulty, QuestionBody, QuestionContent};
use trivia_domain::{StoreError, StoreResult};

use super::quarantine::Quarantine;
use super::sound::sound;
use super::tables::{Shape, quoted};
use crate::entity::questions;
use crate::error::{During, is_constraint, translate};
use crate::repository::{BLOCK, rows};

const ACTION: &str = "merging salvaged rows";
/// Rows that are looked at, and tried to be inserted, together.
const CHUNK: usize = 500;
/// Ordinals of questions begin here until all are numbered anew.
const UNNUMBERED: i64 = 100_000_000_000_000_000;

/// What proves that a salvaged row `s` is younger than the row `m` of the base. Tables that are not here have
/// rows that never change.
const NEWER: [(&str, &str); 9] = [
    ("rule_book", "s.revision > m.revision"),
    ("achievement_definitions", "s.retired_at IS NOT NULL AND m.retired_at IS NULL"),
    ("questions", "s.version > m.version OR s.version = m.version AND s.retired_at IS NOT m.retired_at"),
    ("packs", "s.name = m.name AND s.changed_at > m.changed_at"),
    ("users", "s.time_zone <> m.time_zone"),
    ("question_reports", "m.settled_at IS NULL AND (s.settled_at IS NOT NULL OR s.reported_at > m.reported_at)"),
    ("game_sessions", "m.status = 'live' AND (s.status <> 'live' OR s.position > m.position)"),
    ("session_questions", "m.opened_at IS NULL AND s.opened_at IS NOT NULL"),
    ("erasures", "s.erased_at > m.erased_at"),
];

/// How many rows of each table were taken, and how many stand for lost ones.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) taken: BTreeMap<String, u64>,
    pub(super) placeholders: BTreeMap<String, u64>,
}

impl Merged {
    pub(super) fn took(&mut self, table: &str, rows: u64) {
        *self.taken.entry(table.to_owned()).or_default() += rows;
    }

    pub(super) fn held_a_place(&mut self, table: &str, rows: u64) {
        *self.placeholders.entry(table.to_owned()).or_default() += rows;
    }
}

/// Where rows go.
pub(super) struct Target<'a> {
    pub(super) connection: &'a DatabaseConnection,
    pub(super) quarantine: &'a mut Quarantine,
    pub(super) merged: &'a mut Merged,
}

/// A statement.
pub(super) fn statement(connection: &DatabaseConnection, sql: impl Into<String>) -> Statement {
    Statement::from_string(connection.get_database_backend(), sql)
}

/// The places that a query gives.
pub(super) async fn places(connection: &DatabaseConnection, sql: impl Into<String>) -> StoreResult<Vec<i64>> {
    let rows = connection.query_all_raw(statement(connection, sql)).await.during(ACTION)?;
    rows.iter().map(|row| row.try_get("", "place").during(ACTION)).collect()
}

pub(super) async fn run(connection: &DatabaseConnection, sql: impl AsRef<str>) -> StoreResult<u64> {
    let done = connection.execute_unprepared(sql.as_ref()).await.during(ACTION)?;
    Ok(done.rows_affected())
}

impl Target<'_> {
    /// Takes the rows of a table.
    pub(super) async fn take_table(&mut self, shape: &Shape) -> StoreResult<()> {
        let table = quoted(shape.name());
        let newer = NEWER.iter().find(|(name, _)| *name == shape.name()).map(|(_, newer)| *newer);
        if let Some(newer) = newer {
            let select = format!(
                "SELECT MIN(s.place) AS place FROM salvage.{table} s JOIN main.{table} m ON {} WHERE {newer} \
                 GROUP BY {} ORDER BY 1",
                shape.same_key("m", "s"),
                shape.key.iter().map(|column| format!("s.{}", quoted(column))).collect::<Vec<_>>().join(", ")
            );
            let places = self.sound_ones(shape, places(self.connection, select).await?).await?;
            self.replace(shape, &places).await?;
        }
        self.refuse_others(shape, newer).await?;
        let select = format!(
            "SELECT MIN(place) AS place FROM salvage.{table} s \
             WHERE NOT EXISTS (SELECT 1 FROM main.{table} m WHERE {}) GROUP BY {} ORDER BY 1",
            shape.same_key("m", "s"),
            shape.key_columns()
        );
        let places = self.sound_ones(shape, places(self.connection, select).await?).await?;
        let taken = self.insert(shape, &places).await?;
        self.merged.took(shape.name(), taken);
        Ok(())
    }

    /// Those of the rows that our models can read; the others are refused.
    pub(super) async fn sound_ones(&mut self, shape: &Shape, places: Vec<i64>) -> StoreResult<Vec<i64>> {
        let mut good = Vec::with_capacity(places.len());
        for chunk in places.chunks(CHUNK) {
            for row in self.rows(shape, chunk).await? {
                let place = row.try_get("", "place").during(ACTION)?;
                match sound(shape.name(), &row) {
                    Ok(()) => good.push(place),
                    Err(error) => self.refuse(shape, place, &error.to_string()).await?,
                }
            }
        }
        Ok(good)
    }

    async fn rows(&self, shape: &Shape, places: &[i64]) -> StoreResult<Vec<QueryResult>> {
        let select =
            format!("SELECT * FROM salvage.{} WHERE place IN ({}) ORDER BY place", quoted(shape.name()), list(places));
        self.connection.query_all_raw(statement(self.connection, select)).await.during(ACTION)
    }

    pub(super) async fn refuse(&mut self, shape: &Shape, place: i64, reason: &str) -> StoreResult<()> {
        self.quarantine.refuse(self.connection, shape, place, reason).await
    }

    /// Inserts rows; those that the database does not accept are refused. Returns how many it did accept.
    pub(super) async fn insert(&mut self, shape: &Shape, places: &[i64]) -> StoreResult<u64> {
        let insert = |places: &[i64]| {
            let (columns, values) = inserted(shape);
            format!(
                "INSERT INTO main.{table} ({columns}) SELECT {values} FROM salvage.{table} s WHERE place IN ({}) \
                 ORDER BY place",
                list(places),
                table = quoted(shape.name())
            )
        };
        let mut taken = 0;
        // halves of what is not accepted, until it is one row
        let mut open: Vec<&[i64]> = places.chunks(CHUNK).rev().collect();
        while let Some(part) = open.pop() {
            match self.connection.execute_unprepared(&insert(part)).await {
                Ok(_) => taken += part.len() as u64,
                Err(error) if is_constraint(&error) => match part {
                    [place] => self.refuse(shape, *place, &error.to_string()).await?,
                    several => {
                        let (first, second) = several.split_at(several.len() / 2);
                        open.extend([second, first]);
                    }
                },
                Err(error) => return Err(translate(error, ACTION)),
            }
        }
        Ok(taken)
    }

    /// Puts younger forms in the place of the base's rows.
    async fn replace(&mut self, shape: &Shape, places: &[i64]) -> StoreResult<()> {
        for &place in places {
            let settings = match shape.name() {
                // the rest of a player follows from the ledger
                "users" => "time_zone = s.time_zone".to_owned(),
                _ => {
                    let (columns, values) = inserted(shape);
                    format!(
                        "({columns}) = (SELECT {values} FROM salvage.{} s WHERE place = {place})",
                        quoted(shape.name())
                    )
                }
            };
            let update = format!(
                "UPDATE main.{table} AS m SET {settings} FROM salvage.{table} s WHERE s.place = {place} AND {}",
                shape.same_key("m", "s"),
                table = quoted(shape.name())
            );
            match self.connection.execute_unprepared(&update).await {
                Ok(_) => self.merged.took(shape.name(), 1),
                Err(error) if is_constraint(&error) => self.refuse(shape, place, &error.to_string()).await?,
                Err(error) => return Err(translate(error, ACTION)),
            }
        }
        Ok(())
    }

    /// Refuses rows that the base has in another form. It is no wonder where derived columns differ.
    async fn refuse_others(&mut self, shape: &Shape, newer: Option<&str>) -> StoreResult<()> {
        if matches!(shape.name(), "users" | "question_counters" | "ledger" | "picks") {
            return Ok(());
        }
        let differs = shape.table.columns.iter().map(|column| quoted(&column.name));
        // places in their group are given anew
        let differs =
            differs.filter(|column| column != "\"ordinal\"").map(|column| format!("m.{column} IS NOT s.{column}"));
        let select = format!(
            "SELECT s.place FROM salvage.{table} s JOIN main.{table} m ON {} WHERE ({}) AND NOT ({}) ORDER BY 1",
            shape.same_key("m", "s"),
            differs.collect::<Vec<_>>().join(" OR "),
            newer.map_or("FALSE".to_owned(), |newer| format!("COALESCE({newer}, FALSE)")),
            table = quoted(shape.name())
        );
        for place in places(self.connection, select).await? {
            self.refuse(shape, place, "the base has another row under this key, and nothing proves it older").await?;
        }
        Ok(())
    }

    /// Makes questions for those that are lost but referred to: facts count with or without their text.
    pub(super) async fn stand_in_for_questions(&mut self, now: DateTime<Utc>) -> StoreResult<()> {
        // a single reference to a number beyond all others is most likely a damaged one
        let lost = "SELECT id, MAX(version) AS version, MAX(category) AS category, MAX(difficulty) AS difficulty FROM ( \
                SELECT question_id AS id, question_version AS version, category, difficulty FROM salvage.ledger \
                WHERE kind = 'answer' \
                UNION ALL SELECT question_id, version, NULL, NULL FROM salvage.session_questions \
                UNION ALL SELECT question_id, version, NULL, NULL FROM salvage.challenge_questions) \
            WHERE id > 0 AND id NOT IN (SELECT id FROM main.questions) GROUP BY id \
            HAVING COUNT(*) > 1 OR id < (SELECT MAX(id) FROM main.questions) ORDER BY id";
        for row in self.connection.query_all_raw(statement(self.connection, lost)).await.during(ACTION)? {
            let id: i64 = row.try_get("", "id").during(ACTION)?;
            let version: i64 = row.try_get::<Option<i64>>("", "version").during(ACTION)?.unwrap_or(1);
            let category: Option<String> = row.try_get("", "category").during(ACTION)?;
            let difficulty: Option<String> = row.try_get("", "difficulty").during(ACTION)?;
            let category = category.and_then(|category| Category::new(&category).ok());
            let category = category.map_or_else(|| Category::new("Unknown"), Ok)?;
            let difficulty = difficulty.and_then(|text| text.parse().ok()).unwrap_or(Difficulty::Medium);
            let body = QuestionBody::FillBlank { answer: "unknown".to_owned(), variations: Vec::new() };
            let content = QuestionContent::new(body, &format!("Question {id} was lost"), category, difficulty)?;
            let question = questions::ActiveModel {
                id: Set(id),
                version: Set(version.clamp(1, u32::MAX.into())),
                ordinal: Set(None),
                created_at: Set(now),
                retired_at: Set(Some(now)),
                ..rows::content_columns(&content, content.content_key(), content.stem_key())?
            };
            questions::Entity::insert(question).exec_without_returning(self.connection).await.during(ACTION)?;
            self.merged.held_a_place("questions", 1);
        }
        Ok(())
    }

    /// Removes revisions of achievements behind one that is lost: their numbers would not be theirs.
    pub(super) async fn keep_revisions_whole(&mut self) -> StoreResult<()> {
        let hole = "(SELECT MIN(d.revision) FROM main.achievement_definitions d WHERE NOT EXISTS \
                    (SELECT 1 FROM main.achievement_definitions n WHERE n.revision = d.revision + 1))";
        let gone =
            run(self.connection, format!("DELETE FROM main.achievement_definitions WHERE revision > {hole}")).await?;
        if gone > 0 {
            tracing::warn!(definitions = gone, "definitions of achievements follow a lost one and were left out");
        }
        Ok(())
    }

    /// Unites what was picked, in the order of picking.
    pub(super) async fn unite_picks(&mut self, shape: &Shape) -> StoreResult<()> {
        let select = "SELECT MIN(place) AS place FROM salvage.picks WHERE owner IN ('player', 'channel') \
                      AND owner_id >= 0 AND number >= 1 AND question_id IN (SELECT id FROM main.questions) \
                      GROUP BY owner, owner_id, question_id";
        let before: i64 = number(self.connection, "SELECT COUNT(*) AS number FROM main.picks").await?;
        run(
            self.connection,
            format!(
                "CREATE TEMP TABLE united AS SELECT owner, owner_id, question_id, \
                 ROW_NUMBER() OVER (PARTITION BY owner, owner_id ORDER BY MAX(number), question_id) AS number FROM ( \
                 SELECT owner, owner_id, question_id, number FROM main.picks UNION ALL \
                 SELECT owner, owner_id, question_id, number FROM salvage.picks WHERE place IN ({select})) \
                 GROUP BY owner, owner_id, question_id"
            ),
        )
        .await?;
        run(self.connection, "DELETE FROM main.picks").await?;
        run(
            self.connection,
            "INSERT INTO main.picks (owner, owner_id, question_id, number) \
             SELECT owner, owner_id, question_id, number FROM united",
        )
        .await?;
        run(self.connection, "DROP TABLE united").await?;
        let after = number(self.connection, "SELECT COUNT(*) AS number FROM main.picks").await?;
        self.merged.took("picks", u64::try_from(after - before).unwrap_or(0));
        let refused = format!(
            "SELECT place FROM salvage.picks s WHERE NOT EXISTS (SELECT 1 FROM main.picks m WHERE {})",
            shape.same_key("m", "s")
        );
        for place in places(self.connection, refused).await? {
            self.refuse(shape, place, "it breaks a rule, or its question is lost").await?;
        }
        Ok(())
    }
}

/// What follows from questions and sessions: places in groups, sizes of groups, the live session of a channel.
pub(super) async fn settle_derived(connection: &DatabaseConnection, now: DateTime<Utc>) -> StoreResult<()> {
    // in two steps, so that no number is taken twice on the way
    run(
        connection,
        format!(
            "UPDATE questions SET ordinal = {UNNUMBERED} * 10 + r.place FROM (SELECT id, \
             (DENSE_RANK() OVER (PARTITION BY category, difficulty, question_type ORDER BY language) - 1) * {BLOCK} \
             + ROW_NUMBER() OVER (PARTITION BY category, difficulty, question_type, language ORDER BY ordinal, id) - 1 \
             AS place FROM questions WHERE ordinal IS NOT NULL) r WHERE r.id = questions.id"
        ),
    )
    .await?;
    run(connection, format!("UPDATE questions SET ordinal = ordinal - {UNNUMBERED} * 10 WHERE ordinal IS NOT NULL"))
        .await?;
    run(connection, "DELETE FROM question_groups").await?;
    run(
        connection,
        "INSERT INTO question_groups (category, difficulty, question_type, language, first_ordinal, size) \
         SELECT category, difficulty, question_type, language, MIN(ordinal), COUNT(*) FROM questions \
         WHERE ordinal IS NOT NULL GROUP BY 1, 2, 3, 4",
    )
    .await?;
    // a session without some of its questions cannot go on, and a channel has one
    let over = "UPDATE game_sessions SET status = 'expired', ended_at = ? WHERE status = 'live' AND ( \
        (SELECT COUNT(*) FROM session_questions q WHERE q.session_id = game_sessions.id) = 0 \
        OR (SELECT COUNT(*) <> MAX(q.position) + 1 FROM session_questions q WHERE q.session_id = game_sessions.id) \
        OR EXISTS (SELECT 1 FROM game_sessions o WHERE o.channel_id = game_sessions.channel_id AND o.status = 'live' \
                   AND (o.started_at, o.id) > (game_sessions.started_at, game_sessions.id)))";
    let over = Statement::from_sql_and_values(connection.get_database_backend(), over, [now.into()]);
    connection.execute_raw(over).await.during(ACTION)?;
    run(connection, "DELETE FROM live_sessions").await?;
    run(
        connection,
        "INSERT INTO live_sessions (channel_id, session_id) SELECT channel_id, id FROM game_sessions WHERE status = 'live'",
    )
    .await?;
    Ok(())
}

/// The columns of a row that are inserted, and where their values come from.
fn inserted(shape: &Shape) -> (String, String) {
    if shape.name() == "users" {
        // everything else is folded from the ledger
        let columns = "user_id, time_zone, created_at".to_owned();
        return (columns.clone(), columns);
    }
    let value = |column: &super::pages::Column| match (shape.name(), column.name.as_str()) {
        ("questions", "ordinal") => format!("CASE WHEN s.retired_at IS NULL THEN {UNNUMBERED} + s.id END"),
        (_, name) => format!("s.{}", quoted(name)),
    };
    let values: Vec<_> = shape.table.columns.iter().map(value).collect();
    (shape.columns(), values.join(", "))
}

/// The column `number` of the first row.
pub(super) async fn number(connection: &DatabaseConnection, sql: &str) -> StoreResult<i64> {
    let row = connection.query_one_raw(statement(connection, sql)).await.during(ACTION)?;
    let row = row.ok_or_else(|| StoreError::backend(ACTION, "a query gave no row"))?;
    Ok(row.try_get::<Option<i64>>("", "number").during(ACTION)?.unwrap_or(0))
}

pub(super) fn list(places: &[i64]) -> String {
    places.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
