//! Rows of the original as they are: SQLite checks no types, so any column may hold anything.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};
use serde_json::{Map, Value as Json};

use super::OriginalTable;
use super::text::{parse_date, parse_instant};
use crate::rows;

/// A row by column. Binary values, which JSON has not, are arrays of one hexadecimal text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row(Map<String, Json>);

impl Row {
    /// A row with these columns.
    pub(crate) fn new<const N: usize>(columns: [(&str, Json); N]) -> Self {
        Self(columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Reads the JSON form.
    pub(crate) fn from_json(json: Json) -> Result<Self, DbErr> {
        match json {
            Json::Object(columns) => Ok(Self(columns)),
            other => Err(DbErr::Json(format!("{other} is not a row"))),
        }
    }

    /// The JSON form.
    pub(crate) fn to_json(&self) -> Json {
        Json::Object(self.0.clone())
    }

    /// The value of a column, null when there is none.
    pub(crate) fn get(&self, column: &str) -> &Json {
        self.0.get(column).unwrap_or(&Json::Null)
    }

    /// Puts a value into a column.
    pub(crate) fn set(&mut self, column: &str, value: Json) {
        self.0.insert(column.to_owned(), value);
    }

    /// Takes a column out.
    pub(crate) fn take(&mut self, column: &str) -> Json {
        self.0.remove(column).unwrap_or_default()
    }

    /// A whole number.
    pub(crate) fn integer(&self, column: &str) -> Result<Option<i64>, String> {
        match self.get(column) {
            Json::Null => Ok(None),
            value => value.as_i64().map(Some).ok_or_else(|| format!("{column} {value} is not a whole number")),
        }
    }

    /// A whole number that is there and not negative.
    pub(crate) fn id(&self, column: &str) -> Result<i64, String> {
        match self.integer(column)? {
            Some(id) if id >= 0 => Ok(id),
            Some(id) => Err(format!("{column} {id} is negative")),
            None => Err(format!("{column} is missing")),
        }
    }

    /// A count; none is 0, as the original read it.
    pub(crate) fn count(&self, column: &str) -> Result<i64, String> {
        match self.integer(column)?.unwrap_or(0) {
            count if count < 0 => Err(format!("{column} {count} is negative")),
            count => Ok(count),
        }
    }

    /// A text.
    pub(crate) fn text(&self, column: &str) -> Result<Option<&str>, String> {
        match self.get(column) {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text)),
            value => Err(format!("{column} {value} is not a text")),
        }
    }

    /// An instant.
    pub(crate) fn instant(&self, column: &str) -> Result<Option<DateTime<Utc>>, String> {
        let parse = |text| parse_instant(text).ok_or_else(|| format!("{column} {text:?} is not a time"));
        self.text(column)?.map(parse).transpose()
    }

    /// A day.
    pub(crate) fn date(&self, column: &str) -> Result<Option<NaiveDate>, String> {
        let parse = |text| parse_date(text).ok_or_else(|| format!("{column} {text:?} is not a day"));
        self.text(column)?.map(parse).transpose()
    }

    /// What is wrong with texts that were no UTF-8: the reader has put a mark in the place of what it cannot read.
    pub(super) fn not_utf8(&self, table: &OriginalTable) -> Option<String> {
        let is_marked = |column: &&str| self.get(column).as_str().is_some_and(|text| text.contains('\u{fffd}'));
        let columns: Vec<_> = table.columns.iter().copied().filter(|column| is_marked(column)).collect();
        (!columns.is_empty()).then(|| format!("{} is not all UTF-8: U+FFFD stands for the rest", columns.join(", ")))
    }

    /// This row with the values of `original` in the columns that nobody has changed since it was
    /// carried over; `carried` is what `original` itself gives when it is carried over and back.
    pub(crate) fn restored(mut self, original: &Self, carried: &Self) -> Self {
        for (column, value) in &original.0 {
            if self.get(column) == carried.get(column) {
                self.set(column, value.clone());
            }
        }
        self
    }
}

/// What was put right in a row.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// The value, or `instead` of it when there is a problem with it.
    pub(crate) fn or<T>(&mut self, value: Result<T, String>, instead: T) -> T {
        value.unwrap_or_else(|problem| {
            self.add(problem);
            instead
        })
    }

    /// Some more.
    pub(crate) fn extend(&mut self, problems: impl IntoIterator<Item = String>) {
        self.0.extend(problems);
    }

    /// One more.
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// All in one line; `None` when there is none.
    pub(crate) fn into_line(self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join("; "))
    }
}

/// Reads a table of the original in order of its key, some hundred rows at a time.
pub(crate) struct Reader {
    select: String,
    key: &'static str,
    after: Option<i64>,
}

impl Reader {
    /// Reads `table` where it now stands under the name `from`, each row with `extra` columns of
    /// name and expression.
    pub(crate) fn new(table: &OriginalTable, from: &str, extra: &[(&str, &str)]) -> Self {
        // JSON has neither binary values nor an infinite number
        let value = |column: &str| {
            format!(
                "'{column}', CASE WHEN typeof({column}) = 'blob' THEN json_array(hex({column})) \
                 WHEN typeof({column}) = 'real' AND abs({column}) > 1.7976931348623157e308 THEN CAST({column} AS TEXT) \
                 ELSE {column} END"
            )
        };
        let columns = table.columns.iter().map(|column| value(column));
        let extra = extra.iter().map(|(name, expression)| format!("'{name}', {expression}"));
        let object = columns.chain(extra).collect::<Vec<_>>().join(", ");
        Self {
            select: format!("SELECT CAST(json_object({object}) AS BLOB) AS content FROM {from}"),
            key: table.key,
            after: None,
        }
    }

    /// The next rows; none when all were read.
    pub(crate) async fn next(&mut self, db: &impl ConnectionTrait) -> Result<Vec<Row>, DbErr> {
        let Self { select, key, after } = self;
        let bounds = after.map_or_else(String::new, |_| format!("WHERE {key} > ?"));
        let sql = format!("{select} {bounds} ORDER BY {key} LIMIT {}", rows::CHUNK);
        let values = after.map(sea_query::Value::from);
        let found = db.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
        let mut chunk = Vec::with_capacity(found.len());
        for row in found {
            // SQLite takes any bytes for a text
            let content: Vec<u8> = row.try_get("", "content")?;
            let content = serde_json::from_str(&String::from_utf8_lossy(&content))
                .map_err(|error| DbErr::Json(error.to_string()))?;
            chunk.push(Row::from_json(content)?);
        }
        if let Some(last) = chunk.last() {
            *after = last.get(key).as_i64();
        }
        Ok(chunk)
    }
}

impl OriginalTable {
    /// Writes rows.
    pub(crate) async fn insert(&self, db: &impl ConnectionTrait, rows: &[Row]) -> Result<(), DbErr> {
        let values = rows.iter().map(|row| self.columns.iter().map(|column| bound(row.get(column))).collect());
        rows::insert(db, self.name, self.columns, values.collect()).await
    }
}

fn bound(value: &Json) -> sea_query::Value {
    match value {
        Json::Null => sea_query::Value::String(None),
        Json::String(text) => text.as_str().into(),
        Json::Array(binary) => binary.first().and_then(Json::as_str).map(from_hex).into(),
        other => other.as_i64().map_or_else(|| other.as_f64().into(), sea_query::Value::from),
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .filter_map(|pair| std::str::from_utf8(pair).ok())
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}

/// Those of the ids that a table has.
pub(crate) async fn existing(
    db: &impl ConnectionTrait,
    table: &OriginalTable,
    ids: impl IntoIterator<Item = i64>,
) -> Result<HashSet<i64>, DbErr> {
    let ids = Expr::col(table.key).is_in(ids);
    let found = db.query_all(Query::select().column(table.key).from(table.name).and_where(ids)).await?;
    found.iter().map(|row| row.try_get("", table.key)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_the_wrong_type_are_named() {
        let row = Row::new([("points", json!("many")), ("when", json!(17)), ("id", json!(-1)), ("none", json!(null))]);
        assert_eq!(row.integer("points"), Err("points \"many\" is not a whole number".to_owned()));
        assert_eq!(row.instant("when"), Err("when 17 is not a text".to_owned()));
        assert_eq!(row.id("id"), Err("id -1 is negative".to_owned()));
        assert_eq!(row.id("none"), Err("none is missing".to_owned()));
        assert_eq!(row.count("none"), Ok(0));
    }

    #[test]
    fn only_untouched_columns_are_restored() {
        let original = Row::new([("a", json!("odd")), ("b", json!("odd"))]);
        let carried = Row::new([("a", json!(null)), ("b", json!(null))]);
        let current = Row::new([("a", json!(null)), ("b", json!("new"))]);
        assert_eq!(current.restored(&original, &carried), Row::new([("a", json!("odd")), ("b", json!("new"))]));
    }

    #[test]
    fn binary_values_come_back() {
        assert_eq!(bound(&json!(["00FF41"])), vec![0_u8, 255, 65].into());
    }
}
