//! Fields that a spreadsheet would take for formulas: a text from a stranger must not be calculated.
//!
//! In a row with such a field an apostrophe is put before it, and before what looks like that already;
//! a column says so, and thus the texts read back as they were.

/// The column that says it, and what it says.
pub const COLUMN: (&str, &str) = ("formulas", "escaped");

/// How a formula may begin, also in the wide forms of East Asian keyboards.
const FIRST: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// Whether a spreadsheet may take it for a formula.
#[must_use]
pub fn is_formula(field: &str) -> bool {
    field.starts_with(FIRST)
}

/// The field with an apostrophe where one is needed in a row that has a formula.
#[must_use]
pub fn escape(field: String) -> String {
    if is_formula(field.trim_start_matches('\'')) { format!("'{field}") } else { field }
}

/// The field as it was before [`escape`].
pub(super) fn unescape(field: String) -> String {
    match field.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest.to_owned(),
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_back() {
        for (field, escaped) in [
            ("=1+1", "'=1+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("'+'", "''+'"),
            ("'a", "'a"),
            ("'", "'"),
            ("''", "''"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(escape(field.to_owned()), escaped);
            assert_eq!(unescape(escaped.to_owned()), field);
            assert!(!is_formula(escaped));
        }
    }
}
