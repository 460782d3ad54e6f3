//! What questions are found by, and which packs they belong to. It is no part of what a question says:
//! another label makes no other version.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::PackName;
use super::names::define_text;
use super::text::{self, fold_identity};
use crate::error::{StoreError, StoreResult};

/// A word or some words that a question is found by: 1 to 50 characters, NFC, blanks collapsed, case
/// folded, without control characters, commas and semicolons, which stand between tags in tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

define_text!(Tag);

impl Tag {
    /// What stands between tags where several are in one text.
    pub const SEPARATORS: [char; 2] = [',', ';'];

    /// Builds a tag.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is empty, too long or has a character that a tag cannot have.
    pub fn new(text: &str) -> StoreResult<Self> {
        let folded = text::checked("tag", &fold_identity(text), 50)?;
        if folded.chars().any(|c| c.is_control() || Self::SEPARATORS.contains(&c)) {
            let reason = format!("{folded:?} has a comma, a semicolon or a control character");
            return Err(StoreError::invalid("tag", reason));
        }
        Ok(Self(folded))
    }
}

/// What is noted about a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// What it is found by.
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
    /// Which packs have it.
    #[serde(default)]
    pub packs: BTreeSet<PackName>,
}

impl Labels {
    /// Whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.packs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_folded_and_checked() {
        for (written, tag) in [
            ("  World \n War ", "world war"),
            ("Stra\u{df}e", "strasse"),
            ("e\u{301}", "\u{e9}"),
            ("C#", "c#"),
            ("=1+1", "=1+1"),
            ("🦊", "🦊"),
        ] {
            let built = Tag::new(written).unwrap();
            assert_eq!(built.as_str(), tag);
            assert_eq!(Tag::new(tag).unwrap(), built, "what is stored reads back");
        }
        assert!(Tag::new(&"é".repeat(50)).is_ok());
        for written in ["", " \t", "a,b", "a;b", "a\0", "a\u{1b}[2J", &"x".repeat(51)] {
            assert!(Tag::new(written).is_err(), "{written:?}");
        }
    }

    #[test]
    fn every_letter_folds_once() {
        let cased = ('\0'..=char::MAX).filter(|c| c.is_lowercase() || c.is_uppercase());
        for letter in cased.filter_map(|c| Tag::new(&c.to_string()).ok()) {
            assert_eq!(Tag::new(letter.as_str()).unwrap(), letter);
        }
    }
}
