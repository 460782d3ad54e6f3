//! Where questions come from, and under which terms they may be passed on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::{define_names, define_text};
use super::text::{self, fold_identity};
use crate::error::{StoreError, StoreResult};

/// Key of a pack, such as `opentdb`: 1 to 50 letters, digits, hyphens, dots and underscores in small
/// letters (NFC, case folded), the first of them a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackName(String);

define_text!(PackName);

impl PackName {
    /// Most characters of a name.
    pub const MAX: usize = 50;

    /// Builds a name.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it has other characters, none or too many.
    pub fn new(name: &str) -> StoreResult<Self> {
        let name = fold_identity(name);
        let valid = name.chars().nth(Self::MAX).is_none()
            && name.starts_with(char::is_alphanumeric)
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !valid {
            let reason = format!("{name:?} is not 1 to {} letters, digits, hyphens, dots and underscores", Self::MAX);
            return Err(StoreError::invalid("name of a pack", reason));
        }
        Ok(Self(name))
    }
}

/// What can be said about a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackPart {
    /// What people call it; up to 200 characters.
    Title,
    /// Where it is from, such as an address; up to 2,000 characters.
    Source,
    /// Who wrote it; up to 500 characters.
    Author,
    /// Under which terms it may be passed on: the SPDX identifier where there is one, such as
    /// `CC-BY-SA-4.0`; up to 500 characters.
    Licence,
    /// What its authors want to be told with it, perhaps in several lines; up to 2,000 characters.
    Attribution,
}

define_names!(
    PackPart,
    "part of a pack",
    Title = "title",
    Source = "source",
    Author = "author",
    Licence = "licence",
    Attribution = "attribution"
);

impl PackPart {
    fn checked(self, text: &str) -> StoreResult<String> {
        match self {
            Self::Title => text::checked(self.as_str(), text, 200),
            Self::Source => text::checked(self.as_str(), text, 2_000),
            Self::Author | Self::Licence => text::checked(self.as_str(), text, 500),
            Self::Attribution => text::checked_lines(self.as_str(), text, 2_000),
        }
    }
}

/// Questions of one origin: its name, and whatever is known of its title, source, author, licence and
/// attribution. A question may be in several packs.
///
/// ```
/// use trivia_domain::model::{Pack, PackPart};
/// let pack: Pack = serde_json::from_str(r#"{"name": "OpenTDB", "licence": "CC-BY-SA-4.0"}"#)?;
/// assert_eq!(pack.name().as_str(), "opentdb");
/// assert_eq!(pack.part(PackPart::Licence), Some("CC-BY-SA-4.0"));
/// assert_eq!(pack.part(PackPart::Author), None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Pack {
    name: PackName,
    parts: BTreeMap<PackPart, String>,
}

impl Pack {
    /// A pack of which only the name is known.
    #[must_use]
    pub const fn new(name: PackName) -> Self {
        Self { name, parts: BTreeMap::new() }
    }

    /// Says a part; an empty text says nothing.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is too long or holds a NUL.
    pub fn with(mut self, part: PackPart, text: &str) -> StoreResult<Self> {
        if text.trim().is_empty() {
            self.parts.remove(&part);
        } else {
            self.parts.insert(part, part.checked(text)?);
        }
        Ok(self)
    }

    /// Its key.
    #[must_use]
    pub const fn name(&self) -> &PackName {
        &self.name
    }

    /// What is said of a part.
    #[must_use]
    pub fn part(&self, part: PackPart) -> Option<&str> {
        self.parts.get(&part).map(String::as_str)
    }

    /// What people call it: its title, else its name.
    #[must_use]
    pub fn title(&self) -> &str {
        self.part(PackPart::Title).unwrap_or(self.name.as_str())
    }

    /// This pack with what only the other one says.
    #[must_use]
    pub fn completed_by(mut self, other: &Self) -> Self {
        for (part, text) in &other.parts {
            self.parts.entry(*part).or_insert_with(|| text.clone());
        }
        self
    }

    /// This pack with all that the other one says, in the place of what it said itself.
    #[must_use]
    pub fn changed_by(mut self, other: &Self) -> Self {
        self.parts.extend(other.parts.clone());
        self
    }

    /// The parts of which both say something, and not the same.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = PackPart> + 'a {
        let differs =
            |part: &PackPart| matches!((self.part(*part), other.part(*part)), (Some(one), Some(two)) if one != two);
        PackPart::ALL.into_iter().filter(differs)
    }
}

/// The JSON form of a pack.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    name: PackName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attribution: Option<String>,
}

impl TryFrom<Record> for Pack {
    type Error = StoreError;

    fn try_from(record: Record) -> StoreResult<Self> {
        let Record { name, title, source, author, licence, attribution } = record;
        // in the order of `PackPart::ALL`
        let texts = [title, source, author, licence, attribution];
        PackPart::ALL
            .into_iter()
            .zip(texts)
            .try_fold(Self::new(name), |pack, (part, text)| pack.with(part, text.as_deref().unwrap_or_default()))
    }
}

impl From<Pack> for Record {
    fn from(pack: Pack) -> Self {
        let Pack { name, mut parts } = pack;
        let mut take = |part| parts.remove(&part);
        Self {
            name,
            title: take(PackPart::Title),
            source: take(PackPart::Source),
            author: take(PackPart::Author),
            licence: take(PackPart::Licence),
            attribution: take(PackPart::Attribution),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        for (written, name) in [("OpenTDB", "opentdb"), ("  quiz-1.2_b ", "quiz-1.2_b"), ("Ís", "ís"), ("7", "7")] {
            assert_eq!(PackName::new(written).unwrap().as_str(), name);
        }
        for written in ["", "-a", ".", "a b", "a/b", "a,b", "a;b", "a\0", &"x".repeat(51)] {
            assert!(PackName::new(written).is_err(), "{written:?}");
        }
        assert!(PackName::new(&"ß".repeat(26)).is_err(), "it is longer when it is folded");
    }

    #[test]
    fn parts_have_limits_and_lines() {
        let pack = || Pack::new(PackName::new("p").unwrap());
        let part = |part, text: &str| pack().with(part, text).map(|pack| pack.part(part).map(str::to_owned));
        assert_eq!(part(PackPart::Title, " two\nlines ").unwrap().as_deref(), Some("two lines"));
        assert_eq!(part(PackPart::Attribution, " two\nlines ").unwrap().as_deref(), Some("two\nlines"));
        assert_eq!(part(PackPart::Author, " \n").unwrap(), None);
        for (over, limit) in PackPart::ALL.into_iter().zip([200, 2_000, 500, 500, 2_000]) {
            assert!(part(over, &"x".repeat(limit)).is_ok(), "{over}");
            assert!(part(over, &"x".repeat(limit + 1)).is_err(), "{over}");
            assert!(part(over, "a\0b").is_err(), "{over}");
        }
    }

    #[test]
    fn packs_are_completed_and_changed() {
        let pack = |json: &str| serde_json::from_str::<Pack>(json).unwrap();
        let mine = pack(r#"{"name":"p","title":"Mine","author":"Me"}"#);
        let other = pack(r#"{"name":"q","title":"Theirs","author":"Me","licence":"CC0-1.0"}"#);
        assert_eq!(mine.differences(&other).collect::<Vec<_>>(), [PackPart::Title]);
        let completed = mine.clone().completed_by(&other);
        assert_eq!(completed, pack(r#"{"name":"p","title":"Mine","author":"Me","licence":"CC0-1.0"}"#));
        let changed = mine.changed_by(&other);
        assert_eq!(changed, pack(r#"{"name":"p","title":"Theirs","author":"Me","licence":"CC0-1.0"}"#));
        assert_eq!(changed.title(), "Theirs");
        assert_eq!(Pack::new(PackName::new("p").unwrap()).title(), "p");
    }
}
