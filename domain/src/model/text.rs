//! Text: what is stored, what counts as the same, what counts as a match.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use crate::error::{StoreError, StoreResult};

/// Text as it is stored: outer blanks cut, 1 to `max_chars` characters, no NUL.
pub(crate) fn checked_lines(what: &'static str, text: &str, max_chars: usize) -> StoreResult<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(StoreError::invalid(what, "it is empty"));
    }
    if text.contains('\0') {
        return Err(StoreError::invalid(what, "it holds a NUL character"));
    }
    if text.chars().nth(max_chars).is_some() {
        return Err(StoreError::invalid(what, format!("it is longer than {max_chars} characters")));
    }
    Ok(text.to_owned())
}

/// As [`checked_lines`], on one line: every run of blanks becomes one space.
pub(crate) fn checked(what: &'static str, text: &str, max_chars: usize) -> StoreResult<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    checked_lines(what, &line, max_chars)
}

/// The form in which two texts are the same text: NFC, blanks collapsed, case folded
/// (Unicode default folding). Punctuation is kept, so `C#` is not `C++`.
///
/// ```
/// use trivia_domain::model::fold_identity;
/// assert_eq!(fold_identity("  Straße \n"), fold_identity("STRASSE"));
/// assert_ne!(fold_identity("C#"), fold_identity("C++"));
/// ```
#[must_use]
pub fn fold_identity(text: &str) -> String {
    let collapsed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    collapsed.nfc().default_case_fold().nfc().collect()
}

/// The form in which a typed answer is compared: as [`fold_identity`], accents dropped, punctuation
/// ignored, and the words the, a and an dropped when more than two words are there. When nothing
/// is left, the text is compared as [`fold_identity`].
///
/// ```
/// use trivia_domain::model::fold_match;
/// assert_eq!(fold_match("The Lord of the Rings!"), fold_match("lord of rings"));
/// assert_eq!(fold_match("Pelé"), fold_match("pele"));
/// assert_ne!(fold_match("-1"), fold_match("1"));
/// assert_ne!(fold_match("1.5"), fold_match("15"));
/// assert_ne!(fold_match("!"), fold_match("?"));
/// ```
#[must_use]
pub fn fold_match(text: &str) -> String {
    let folded: Vec<char> = text.nfd().filter(|c| !is_accent(*c)).default_case_fold().nfc().collect();
    let is_digit = |at: Option<usize>| at.and_then(|at| folded.get(at)).is_some_and(char::is_ascii_digit);
    let bare: String = folded
        .iter()
        .enumerate()
        .filter(|&(at, &c)| {
            let decimal_point = c == '.' && is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
            decimal_point || !is_ignored(c)
        })
        .map(|(_, &c)| c)
        .collect();
    let words: Vec<&str> = bare.split_whitespace().collect();
    let keep_articles = words.len() <= 2;
    let kept: Vec<&str> =
        words.into_iter().filter(|word| keep_articles || !matches!(*word, "the" | "a" | "an")).collect();
    if kept.is_empty() { fold_identity(text) } else { kept.join(" ") }
}

/// Combining diacritical marks; those of other blocks are letters of their scripts, such as Hindi vowels.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Punctuation of the original's matcher with its typographic forms, and invisible joiners.
/// Signs that change a meaning (`-`, `+`, `#`, `/`, `%`) stay.
fn is_ignored(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | '!'
            | '?'
            | ';'
            | ':'
            | '"'
            | '\''
            | '('
            | ')'
            | '\u{2018}'
            | '\u{2019}'
            | '\u{201c}'
            | '\u{201d}'
            | '\u{00bf}'
            | '\u{00a1}'
            | '\u{2026}'
            | '\u{00ad}'
            | '\u{200b}'..='\u{200f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l8_typed_answers_match_without_case_accents_punctuation_and_articles() {
        for (right, typed) in [
            ("Mount Everest", "  mount   EVEREST. "),
            ("The Lord of the Rings", "lord of rings"),
            ("Rock 'n' Roll", "rock n roll"),
            ("Ludwig van Beethoven", "ludwig van beethoven!"),
            ("Pelé", "pele"),
            ("Pel\u{65}\u{301}", "PELÉ"),
            ("Straße", "STRASSE"),
            ("Ὀδυσσεύς", "οδυσσευσ"),
            ("«Ölwanne»", "«olwanne»"),
            ("don’t", "don't"),
            ("zero\u{200b}width", "zerowidth"),
            ("\u{202b}שלום\u{200f}", "\u{202b}שלום"),
        ] {
            assert_eq!(fold_match(right), fold_match(typed), "{right:?} and {typed:?}");
        }
    }

    #[test]
    fn l8_what_means_something_else_does_not_match() {
        for (right, typed) in [
            ("C#", "C++"),
            ("-1", "1"),
            ("1.5", "15"),
            ("50 %", "50"),
            ("1/2", "12"),
            ("The Who", "Who"),
            ("An A", "A"),
            ("?", "!"),
            ("a an the", "the the the"),
            ("ı", "i"),
            ("🦊", "🐺"),
        ] {
            assert_ne!(fold_match(right), fold_match(typed), "{right:?} and {typed:?}");
        }
    }

    #[test]
    fn t3_identity_folds_form_case_and_blanks_and_nothing_else() {
        for (one, same) in [
            ("Stra\u{df}e", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("e\u{301}t\u{e9}", "\u{c9}T\u{c9}"),
            ("two\u{a0}\tblanks\n", "two blanks"),
        ] {
            assert_eq!(fold_identity(one), fold_identity(same), "{one:?} and {same:?}");
        }
        for (one, other) in [
            ("ı", "i"),
            ("İ", "I"),
            ("été", "ete"),
            ("C#", "C++"),
            ("-1", "1"),
            ("what?", "what"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("&amp;", "&"),
        ] {
            assert_ne!(fold_identity(one), fold_identity(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn t3_stored_text_has_no_nul_and_an_end() {
        assert!(checked_lines("question", "a\0b", 10).is_err());
        assert!(checked_lines("question", " \n ", 10).is_err());
        assert!(checked_lines("question", "12345678901", 10).is_err());
        assert_eq!(checked_lines("question", " 1234\n67890 ", 10).unwrap(), "1234\n67890");
        assert_eq!(checked("option", " 1234\n 67890 ", 10).unwrap(), "1234 67890");
    }
}
