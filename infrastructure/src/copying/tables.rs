//! The tables of a game, as a copy needs them.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ColumnType, Condition, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait,
    PrimaryKeyToColumn, PrimaryKeyTrait, QueryResult, Statement, Value,
};

use super::row::Row;
use crate::entity::*;

/// Places of questions that are about to change begin here, so that none is there twice on the way.
const ASIDE: i64 = 1 << 62;

/// What of a database belongs to its place, and not to the game: the version of its schema, its count of commits, and
/// when it was last looked after (a backup of one place is none of another).
#[cfg(test)]
const OF_THE_PLACE: [&str; 3] = ["schema_version", "commit_count", "maintenance_runs"];

/// The table of the counts of scores.
const COUNTS: &str = "score_counts";

/// How a row is changed whose key stays.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// As it comes: nothing but its key is unique.
    AsItComes,
    /// It is removed first, with all others that change: something else is unique, too, and nothing refers to it.
    Removed,
    /// What else is unique in it becomes something that no other row has, first: others refer to it.
    Aside(fn(&mut [Value])),
    /// Not at all: triggers do that.
    ByTriggers,
}

/// A table.
pub(super) struct Table {
    pub(super) name: &'static str,
    columns: Vec<&'static str>,
    /// Places of the columns of the key.
    key: Vec<usize>,
    /// Columns of the key that are text.
    texts: Vec<usize>,
    /// Whether the database numbers its rows.
    pub(super) is_numbered: bool,
    pub(super) change: Change,
    read: fn(&QueryResult) -> Result<Vec<Value>, DbErr>,
}

/// All tables of the game, as they are written to a file or to a server; each follows those that it refers to.
pub(super) fn all(is_file: bool) -> Vec<Table> {
    use Change::{AsItComes, Aside, ByTriggers, Removed};
    let counts = if is_file { ByTriggers } else { AsItComes };
    vec![
        table::<rule_book::Entity>(AsItComes),
        table::<achievement_definitions::Entity>(Removed),
        table::<closed_periods::Entity>(AsItComes),
        table::<erasures::Entity>(AsItComes),
        table::<quarantine::Entity>(AsItComes),
        table::<questions::Entity>(Aside(question_aside)),
        table::<question_versions::Entity>(AsItComes),
        table::<question_groups::Entity>(Removed),
        table::<question_counters::Entity>(AsItComes),
        table::<packs::Entity>(Aside(pack_aside)),
        table::<pack_questions::Entity>(AsItComes),
        table::<question_tags::Entity>(AsItComes),
        table::<users::Entity>(AsItComes),
        table::<merges::Entity>(AsItComes),
        table::<question_reports::Entity>(Removed),
        table::<game_sessions::Entity>(AsItComes),
        table::<live_sessions::Entity>(Removed),
        table::<session_questions::Entity>(Removed),
        table::<challenges::Entity>(AsItComes),
        table::<challenge_questions::Entity>(Removed),
        table::<challenge_attempts::Entity>(AsItComes),
        table::<ledger::Entity>(Removed),
        table::<user_achievements::Entity>(AsItComes),
        table::<user_tallies::Entity>(AsItComes),
        table::<rankings::Entity>(AsItComes),
        table::<picks::Entity>(Removed),
        table::<unprojected::Entity>(AsItComes),
        table::<score_counts::Entity>(counts),
    ]
}

fn question_aside(row: &mut [Value]) {
    use questions::Column;
    let Value::BigInt(Some(id)) = row[place(Column::Id)] else { return };
    row[place(Column::ContentKey)] = id.to_be_bytes().to_vec().into();
    if let ordinal @ Value::BigInt(Some(_)) = &mut row[place(Column::Ordinal)] {
        *ordinal = (ASIDE + id).into();
    }
}

fn pack_aside(row: &mut [Value]) {
    use packs::Column;
    let Value::BigInt(Some(id)) = row[place(Column::Id)] else { return };
    row[place(Column::Name)] = format!("\u{1}{id}").into();
}

/// The place of a column in the rows of its table.
pub(super) fn place<C: ColumnTrait>(column: C) -> usize {
    C::iter().take_while(|other| other.as_str() != column.as_str()).count()
}

fn table<E: EntityTrait>(change: Change) -> Table {
    let key: Vec<_> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let is_text =
        |column: &&E::Column| matches!(column.def().get_column_type(), ColumnType::Text | ColumnType::String(_));
    Table {
        name: E::default().table_name(),
        columns: E::Column::iter().map(|column| column.as_str()).collect(),
        texts: key.iter().filter(is_text).map(|column| place(*column)).collect(),
        key: key.into_iter().map(place).collect(),
        is_numbered: E::PrimaryKey::auto_increment(),
        change,
        read: |row| {
            let model = <E::Model as sea_orm::FromQueryResult>::from_query_result(row, "")?;
            Ok(E::Column::iter().map(|column| model.get(column)).collect())
        },
    }
}

impl Table {
    /// Reads a row that a statement of this table returned.
    pub(super) fn row(&self, row: &QueryResult) -> Result<Row, DbErr> {
        Row::new((self.read)(row)?, &self.key)
    }

    pub(super) fn column(&self, place: usize) -> &'static str {
        self.columns.get(place).copied().unwrap_or_default()
    }

    /// Whether it follows from other tables by itself.
    pub(super) fn is_derived(&self) -> bool {
        matches!(self.change, Change::ByTriggers)
    }

    fn select(&self, filter: &str) -> String {
        // counts of scores that nobody has any more stay, on one engine or the other
        let counted = if self.name == COUNTS { "players <> 0" } else { "" };
        let filter = [counted, filter].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" AND ");
        let filter = if filter.is_empty() { filter } else { format!(" WHERE {filter}") };
        let columns: Vec<_> = self.columns.iter().map(|column| quoted(column)).collect();
        format!("SELECT {} FROM {}{filter}", columns.join(", "), quoted(self.name))
    }

    /// The next rows of a file, in the order of their key.
    pub(super) fn page(&self, after: Option<&Row>, rows: usize) -> Statement {
        let key = self.names(&self.key);
        let marks = vec!["?"; self.key.len()].join(", ");
        let filter = if after.is_some() { format!("({key}) > ({marks})") } else { String::new() };
        let sql = format!("{} ORDER BY {key} LIMIT {rows}", self.select(&filter));
        let values = after.iter().flat_map(|row| self.key.iter().map(|&at| row.values[at].clone()));
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
    }

    /// Begins to read all rows of a table on a server, in the order that a file has: by the bytes of texts.
    pub(super) fn open_cursor(&self) -> String {
        let ordered = self.key.iter().map(|at| {
            let by_bytes = if self.texts.contains(at) { " COLLATE \"C\"" } else { "" };
            format!("{}{by_bytes}", quoted(self.columns[*at]))
        });
        let ordered: Vec<_> = ordered.collect();
        format!("DECLARE {} NO SCROLL CURSOR FOR {} ORDER BY {}", self.cursor(), self.select(""), ordered.join(", "))
    }

    pub(super) fn fetch(&self, rows: usize) -> String {
        format!("FETCH {rows} FROM {}", self.cursor())
    }

    pub(super) fn close_cursor(&self) -> String {
        format!("CLOSE {}", self.cursor())
    }

    fn cursor(&self) -> String {
        quoted(&format!("copy_of_{}", self.name))
    }

    fn names(&self, places: &[usize]) -> String {
        places.iter().map(|&at| quoted(self.columns[at])).collect::<Vec<_>>().join(", ")
    }

    /// Writes rows, in the place of those with the same key.
    pub(super) fn put(&self, rows: Vec<Row>, backend: DbBackend) -> Result<Statement, DbErr> {
        let mut insert = Query::insert();
        insert.into_table(self.name).columns(self.columns.iter().copied());
        for row in rows {
            let values = row.values.into_iter().map(Expr::value);
            insert.values(values).map_err(|error| DbErr::Query(sea_orm::RuntimeErr::Internal(error.to_string())))?;
        }
        if matches!(self.change, Change::Removed) {
            // rows that change are gone, and the key may be another one on a server
            return Ok(backend.build(&insert));
        }
        let mut same = OnConflict::columns(self.key.iter().map(|&at| self.columns[at]));
        let others = (0..self.columns.len()).filter(|at| !self.key.contains(at)).map(|at| self.columns[at]);
        let others: Vec<_> = others.collect();
        let same = if others.is_empty() { same.do_nothing() } else { same.update_columns(others) };
        insert.on_conflict(same.to_owned());
        Ok(backend.build(&insert))
    }

    /// Removes rows.
    pub(super) fn remove(&self, rows: &[Row], backend: DbBackend) -> Statement {
        let these = rows.iter().map(|row| {
            let same = |at: &usize| Expr::col(self.columns[*at]).eq(row.values[*at].clone());
            self.key.iter().map(same).fold(Condition::all(), Condition::add)
        });
        let these = these.fold(Condition::any(), Condition::add);
        backend.build(Query::delete().from_table(self.name).cond_where(these))
    }

    /// Lets the next row that a server numbers have a free number.
    pub(super) fn number_on(&self) -> String {
        let (table, key) = (self.name, self.columns[self.key[0]]);
        format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{key}'), MAX({key})) FROM {table} HAVING MAX({key}) > 0"
        )
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
    use trivia_migration::{Migrator, MigratorTrait};

    use super::*;

    async fn fresh() -> DatabaseConnection {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        db
    }

    async fn pairs(db: &DatabaseConnection, sql: &str) -> Vec<(String, String)> {
        let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
        rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
    }

    #[tokio::test]
    async fn no_table_and_no_column_is_forgotten() {
        let columns = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
                       WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'";
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (table, column) in pairs(&fresh().await, columns).await {
            found.entry(table).or_default().insert(column);
        }
        found.retain(|table, _| !OF_THE_PLACE.contains(&table.as_str()));
        let columns = |table: Table| table.columns.iter().map(|column| (*column).to_owned()).collect();
        let known: BTreeMap<String, BTreeSet<String>> =
            all(true).into_iter().map(|table| (table.name.to_owned(), columns(table))).collect();
        assert_eq!(found, known, "a new table or column belongs to `all`, or to OF_THE_PLACE");
    }

    #[tokio::test]
    async fn a_table_follows_those_that_it_refers_to() {
        let references = "SELECT t.name, f.\"table\" FROM sqlite_schema t, pragma_foreign_key_list(t.name) f";
        let tables: Vec<_> = all(true).iter().map(|table| table.name).collect();
        let place = |name: &str| tables.iter().position(|table| *table == name).unwrap();
        for (table, parent) in pairs(&fresh().await, references).await {
            assert!(place(&parent) < place(&table), "{table} refers to {parent}");
        }
    }

    #[tokio::test]
    async fn what_is_unique_beside_the_key_is_out_of_the_way_before_rows_change() {
        let unique = "SELECT DISTINCT t.name, 'unique' FROM sqlite_schema t, pragma_index_list(t.name) i \
                      WHERE i.\"unique\" AND i.origin <> 'pk'";
        let db = fresh().await;
        let unique: BTreeSet<_> = pairs(&db, unique).await.into_iter().map(|(table, _)| table).collect();
        let parents = "SELECT DISTINCT f.\"table\", '' FROM sqlite_schema t, pragma_foreign_key_list(t.name) f";
        let parents: BTreeSet<_> = pairs(&db, parents).await.into_iter().map(|(table, _)| table).collect();
        for table in all(true) {
            let (unique, parent) = (unique.contains(table.name), parents.contains(table.name));
            match table.change {
                Change::AsItComes => assert!(!unique, "{}", table.name),
                Change::Removed => assert!(unique && !parent, "{}", table.name),
                Change::Aside(_) => assert!(unique && parent, "{}", table.name),
                Change::ByTriggers => assert_eq!(table.name, COUNTS),
            }
        }
    }
}
