//! A row in a form that is the same on both engines.

use chrono::{DateTime, NaiveDate};
use sea_orm::{DbErr, Value};
use serde_json::{Number, Value as Json};

/// A row of a table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The columns in the order of the table.
    pub(super) values: Vec<Value>,
    /// The columns of the key; rows are compared in this order.
    pub(super) key: Vec<Part>,
    /// The same bytes for the same row, whichever engine has it.
    pub(super) form: Vec<u8>,
}

/// A column of a key. Both engines sort by it: texts by their bytes, days and numbers by what they mean.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
    Day(NaiveDate),
}

impl Row {
    /// Of the values of a row; `key` are the places of its key.
    pub(super) fn new(values: Vec<Value>, key: &[usize]) -> Result<Self, DbErr> {
        let values: Vec<_> = values.into_iter().map(to_the_microsecond).collect();
        let mut form = Vec::new();
        for value in &values {
            write(value, &mut form)?;
        }
        let key = key.iter().filter_map(|&at| values.get(at)).map(part).collect::<Result<_, _>>()?;
        Ok(Self { values, key, form })
    }

    /// How messages call it.
    pub(super) fn name(&self) -> String {
        let parts = self.key.iter().map(|part| match part {
            Part::Number(number) => number.to_string(),
            Part::Text(text) => text.escape_debug().to_string(),
            Part::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Part::Day(day) => day.to_string(),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// The first column with the character NUL, which PostgreSQL cannot store in texts.
    pub(super) fn column_with_nul(&self) -> Option<usize> {
        self.values.iter().position(|value| match value {
            Value::String(Some(text)) => text.contains('\0'),
            Value::Json(Some(json)) => json_has_nul(json),
            _ => false,
        })
    }
}

fn json_has_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(all) => all.iter().any(json_has_nul),
        Json::Object(all) => all.iter().any(|(name, value)| name.contains('\0') || json_has_nul(value)),
        _ => false,
    }
}

/// PostgreSQL keeps no smaller parts of a second.
fn to_the_microsecond(value: Value) -> Value {
    match value {
        Value::ChronoDateTimeUtc(Some(at)) => {
            Value::ChronoDateTimeUtc(Some(DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)))
        }
        other => other,
    }
}

fn part(value: &Value) -> Result<Part, DbErr> {
    Ok(match value {
        Value::BigInt(Some(number)) => Part::Number(*number),
        Value::String(Some(text)) => Part::Text(text.clone()),
        Value::Bytes(Some(bytes)) => Part::Bytes(bytes.clone()),
        Value::Uuid(Some(id)) => Part::Bytes(id.as_bytes().to_vec()),
        Value::ChronoDate(Some(day)) => Part::Day(*day),
        other => return Err(DbErr::Type(format!("{other:?} cannot be a key"))),
    })
}

/// Writes a value: a letter for its kind, then its bytes, so that no two rows have the same form.
fn write(value: &Value, form: &mut Vec<u8>) -> Result<(), DbErr> {
    match value {
        Value::BigInt(Some(number)) => fixed(form, b'i', &number.to_be_bytes()),
        Value::Bool(Some(truth)) => fixed(form, b'b', &[u8::from(*truth)]),
        Value::String(Some(text)) => sized(form, b's', text.as_bytes()),
        Value::Bytes(Some(bytes)) => sized(form, b'x', bytes),
        Value::Uuid(Some(id)) => sized(form, b'x', id.as_bytes()),
        Value::ChronoDate(Some(day)) => sized(form, b'd', day.to_string().as_bytes()),
        Value::ChronoDateTimeUtc(Some(at)) => fixed(form, b't', &at.timestamp_micros().to_be_bytes()),
        Value::Json(Some(json)) => write_json(json, form),
        Value::BigInt(None)
        | Value::Bool(None)
        | Value::String(None)
        | Value::Bytes(None)
        | Value::Uuid(None)
        | Value::ChronoDate(None)
        | Value::ChronoDateTimeUtc(None)
        | Value::Json(None) => form.push(b'n'),
        other => return Err(DbErr::Type(format!("{other:?} has no form that both engines share"))),
    }
    Ok(())
}

/// PostgreSQL may write numbers of JSON in another way, and keeps no order of names.
fn write_json(json: &Json, form: &mut Vec<u8>) {
    match json {
        Json::Null => form.push(b'0'),
        Json::Bool(truth) => fixed(form, b'b', &[u8::from(*truth)]),
        Json::Number(number) => match whole(number) {
            Some(whole) => fixed(form, b'i', &whole.to_be_bytes()),
            None => fixed(form, b'f', &number.as_f64().unwrap_or_default().to_bits().to_be_bytes()),
        },
        Json::String(text) => sized(form, b's', text.as_bytes()),
        Json::Array(all) => {
            fixed(form, b'[', &length(all.len()));
            all.iter().for_each(|value| write_json(value, form));
        }
        Json::Object(all) => {
            let mut all: Vec<_> = all.iter().collect();
            all.sort_unstable_by_key(|(name, _)| *name);
            fixed(form, b'{', &length(all.len()));
            for (name, value) in all {
                sized(form, b's', name.as_bytes());
                write_json(value, form);
            }
        }
    }
}

/// A number without a part behind the point, however it is written: 1e18 may come back as 1000000000000000000.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let number = number.as_f64()?;
        // as far as every whole number is one of these
        #[expect(clippy::cast_possible_truncation, reason = "it is small and whole")]
        (number.fract() == 0.0 && number.abs() < 9.2e18).then_some(number as i64)
    })
}

fn fixed(form: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    form.push(kind);
    form.extend_from_slice(bytes);
}

fn sized(form: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    fixed(form, kind, &length(bytes.len()));
    form.extend_from_slice(bytes);
}

fn length(length: usize) -> [u8; 8] {
    (length as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(value: impl Into<Value>) -> Vec<u8> {
        Row::new(vec![value.into()], &[]).unwrap().form
    }

    #[test]
    fn json_is_the_same_however_an_engine_writes_it() {
        for (one, other) in [
            (r#"{"b": 1, "a": [1e18, 0.50, 1.0]}"#, r#"{"a":[1000000000000000000,0.5,1],"b":1}"#),
            ("1e20", "100000000000000000000"),
            ("-0.0", "0"),
            (r#""\u00e9""#, "\"é\""),
        ] {
            let read = |text: &str| serde_json::from_str::<Json>(text).unwrap();
            assert_eq!(form(read(one)), form(read(other)), "{one}");
        }
    }

    #[test]
    fn rows_that_differ_have_other_forms() {
        let forms = [
            form(Value::Json(None)),
            form(json!(null)),
            form(json!([])),
            form(json!([null])),
            form(json!({})),
            form(json!("")),
            form(json!(0)),
            form(json!(0.5)),
            form(json!(false)),
            form(json!(["a", "b"])),
            form(json!(["ab"])),
            form(json!([["a"], "b"])),
            form(json!({ "a": "b" })),
        ];
        for (at, one) in forms.iter().enumerate() {
            assert!(!forms[..at].contains(one), "{at}");
        }
        let two = |one: &str, other: &str| Row::new(vec![one.into(), other.into()], &[]).unwrap().form;
        assert_ne!(two("a", "bc"), two("ab", "c"));
    }

    #[test]
    fn instants_are_compared_as_far_as_both_engines_keep_them() {
        let at = |nanoseconds: u32| form(DateTime::from_timestamp(-1, nanoseconds).unwrap());
        assert_eq!(at(1_000), at(1_999));
        assert_ne!(at(1_000), at(2_000));
    }
}
