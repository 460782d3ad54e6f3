//! The tables of the newest schema, as the page walk and the merge need them.

use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};
use trivia_domain::StoreResult;

use super::pages::{Column, Key, Kind, Table};
use crate::error::During;

/// Tables of facts and settings in an order in which rows follow what they refer to.
pub(super) const MERGED: [&str; 20] = [
    "rule_book",
    "achievement_definitions",
    "questions",
    "question_versions",
    "question_counters",
    "packs",
    "pack_questions",
    "question_tags",
    "users",
    "question_reports",
    "game_sessions",
    "session_questions",
    "challenges",
    "challenge_questions",
    "closed_periods",
    "erasures",
    "merges",
    "ledger",
    "picks",
    "quarantine",
];

/// Tables that follow from the others; the walk knows them, so that their pages are not taken for others.
#[cfg(test)]
pub(super) const DERIVED: [&str; 12] = [
    "commit_count",
    "live_sessions",
    "maintenance_runs",
    "question_groups",
    "user_achievements",
    "user_tallies",
    "rankings",
    "challenge_attempts",
    "unprojected",
    "score_counts",
    "schema_version",
    "sqlite_sequence",
];

/// A table of the schema.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) table: Table,
    /// The types of its columns as they were declared.
    pub(super) types: Vec<String>,
    /// The columns of its key.
    pub(super) key: Vec<String>,
}

impl Shape {
    pub(super) fn name(&self) -> &str {
        &self.table.name
    }

    /// Its columns, separated by commas.
    pub(super) fn columns(&self) -> String {
        let columns: Vec<_> = self.table.columns.iter().map(|column| quoted(&column.name)).collect();
        columns.join(", ")
    }

    /// Says that rows of two aliases have the same key.
    pub(super) fn same_key(&self, one: &str, other: &str) -> String {
        let same = |column: &String| format!("{one}.{0} = {other}.{0}", quoted(column));
        self.key.iter().map(same).collect::<Vec<_>>().join(" AND ")
    }

    /// The columns of the key, separated by commas.
    pub(super) fn key_columns(&self) -> String {
        self.key.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
    }
}

/// A name in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Describes all tables of a database that was just migrated.
pub(super) async fn describe(connection: &DatabaseConnection) -> StoreResult<Vec<Shape>> {
    let action = "reading the schema";
    let query = |sql: String| Statement::from_string(connection.get_database_backend(), sql);
    let tables = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
                  AND name NOT IN ('sqlite_schema', 'sqlite_stat1') ORDER BY name";
    let mut shapes = Vec::new();
    for row in connection.query_all_raw(query(tables.to_owned())).await.during(action)? {
        let name: String = row.try_get("", "name").during(action)?;
        let has_no_rowid = row.try_get::<i64>("", "wr").during(action)? == 1;
        let columns = format!(
            "SELECT name, type, \"notnull\" AS not_null, pk FROM pragma_table_info('{}') ORDER BY cid",
            name.replace('\'', "''")
        );
        let columns = connection.query_all_raw(query(columns)).await.during(action)?;
        let columns = columns.iter().map(Declared::read).collect::<Result<Vec<_>, _>>().during(action)?;
        shapes.push(shape(name, has_no_rowid, columns));
    }
    Ok(shapes)
}

/// A column as the schema has it.
struct Declared {
    name: String,
    kind: String,
    not_null: bool,
    /// Its place in the key, from 1; 0 when it is no part of it.
    key: i64,
}

impl Declared {
    fn read(row: &QueryResult) -> Result<Self, sea_orm::DbErr> {
        Ok(Self {
            name: row.try_get("", "name")?,
            kind: row.try_get("", "type")?,
            not_null: row.try_get::<i64>("", "not_null")? != 0,
            key: row.try_get("", "pk")?,
        })
    }
}

fn shape(name: String, has_no_rowid: bool, declared: Vec<Declared>) -> Shape {
    let mut keyed: Vec<usize> = (0..declared.len()).filter(|&at| declared[at].key > 0).collect();
    keyed.sort_by_key(|&at| declared[at].key);
    let is_rowid = |at: usize| declared[at].kind.eq_ignore_ascii_case("integer");
    let key = match keyed[..] {
        _ if has_no_rowid => {
            let rest = (0..declared.len()).filter(|at| !keyed.contains(at));
            Key::Without(keyed.iter().copied().chain(rest).collect())
        }
        [only] if is_rowid(only) => Key::Column(only),
        _ => Key::Rowid,
    };
    let column = |declared: &Declared| Column {
        name: declared.name.clone(),
        kind: match name.as_str() {
            // the only table without types: a name and a number
            "sqlite_sequence" if declared.name == "name" => Kind::Text,
            "sqlite_sequence" => Kind::Integer,
            _ => kind(&declared.kind),
        },
        not_null: declared.not_null,
    };
    let columns: Vec<_> = declared.iter().map(column).collect();
    Shape {
        key: keyed.iter().map(|&at| declared[at].name.clone()).collect(),
        types: declared.iter().map(|column| column.kind.clone()).collect(),
        table: Table { fewest: columns.len(), name, columns, key },
    }
}

/// What our programs store in a column of a declared type.
fn kind(declared: &str) -> Kind {
    let declared = declared.to_ascii_lowercase();
    let has = |part: &str| declared.contains(part);
    // ids are sixteen bytes, whatever their column is called
    if has("uuid") || has("blob") {
        Kind::Blob
    } else if has("int") || has("bool") {
        Kind::Integer
    } else if has("char") || has("text") || has("clob") {
        Kind::Text
    } else if has("real") || has("double") || has("float") {
        Kind::Real
    } else {
        Kind::Any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::super::super::copy::connect_live;
    use super::*;
    use crate::database::{DatabaseOptions, DatabaseUrl};
    use crate::schema;

    async fn shapes() -> Vec<Shape> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trivia.db");
        schema::up(&DatabaseOptions::new(DatabaseUrl::of_file(&path)), None).await.unwrap();
        let connection = connect_live(&path, Duration::from_secs(1)).await.unwrap();
        let shapes = describe(&connection).await.unwrap();
        connection.close().await.unwrap();
        shapes
    }

    #[tokio::test]
    async fn every_table_is_either_merged_or_derived() {
        let shapes = shapes().await;
        let names: BTreeSet<_> = shapes.iter().map(Shape::name).collect();
        let known: BTreeSet<_> = MERGED.into_iter().chain(DERIVED).collect();
        assert_eq!(names, known, "say in MERGED or DERIVED what recovery does with a table");
        assert_eq!(known.len(), MERGED.len() + DERIVED.len());
    }

    #[tokio::test]
    async fn the_description_is_that_of_the_schema() {
        let shapes = shapes().await;
        let shape = |name: &str| shapes.iter().find(|shape| shape.name() == name).unwrap();
        assert!(shapes.iter().all(|shape| shape.table.columns.iter().all(|column| column.kind != Kind::Any)));
        assert_eq!(shape("questions").table.key, Key::Column(0));
        assert_eq!(shape("score_counts").table.key, Key::Without(vec![0, 1, 2, 3, 4]));
        assert_eq!(shape("ledger").key, ["user_id", "seq"]);
        let kinds: Vec<_> = shape("game_sessions").table.columns.iter().map(|column| column.kind).take(5).collect();
        assert_eq!(kinds, [Kind::Blob, Kind::Integer, Kind::Integer, Kind::Text, Kind::Text]);
    }
}
