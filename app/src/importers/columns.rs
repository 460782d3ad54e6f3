//! What the columns of a table hold, by their names or as the caller says.

use std::str::FromStr;

use super::formulas;

/// What a column holds. Columns of options, wrong options and variations may be there several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The stem.
    Question,
    /// The right answer: its text, or the letter of an option.
    Answer,
    /// An option, perhaps the right one.
    Option,
    /// An option that is not right.
    Wrong,
    /// Another accepted answer.
    Variation,
    Category,
    Difficulty,
    Language,
    Explanation,
    Points,
    /// Multiple choice, true or false, or typed.
    Kind,
    /// Tags, perhaps several.
    Tags,
    /// Names of packs, perhaps several.
    Packs,
    /// Whether apostrophes stand before what a spreadsheet would calculate.
    Formulas,
}

/// Names of columns in small letters without blanks and signs; the first is that of [`Columns`].
const NAMES: [(Role, &[&str]); 14] = [
    (Role::Question, &["question", "questiontext", "text", "stem", "prompt", "q"]),
    (Role::Answer, &["answer", "correct", "correctanswer", "correctoption", "rightanswer", "right", "solution", "key"]),
    (Role::Option, &["option", "choice"]),
    (
        Role::Wrong,
        &["wrong", "wronganswer", "wronganswers", "incorrect", "incorrectanswer", "incorrectanswers", "distractor"],
    ),
    (
        Role::Variation,
        &["variation", "variations", "alternative", "alternatives", "accepted", "acceptedanswer", "alias"],
    ),
    (Role::Category, &["category", "topic", "subject"]),
    (Role::Difficulty, &["difficulty", "level"]),
    (Role::Language, &["language", "lang", "locale"]),
    (Role::Explanation, &["explanation", "rationale", "comment", "feedback"]),
    (Role::Points, &["points", "score", "value"]),
    (Role::Kind, &["kind", "type", "questiontype"]),
    (Role::Tags, &["tags", "tag"]),
    (Role::Packs, &["packs", "pack"]),
    (Role::Formulas, &[formulas::COLUMN.0]),
];

impl Role {
    /// What a column of this name holds: also `Option 1`, `Wrong Answer B`, `Answer 2` and `C`.
    fn of(name: &str) -> Option<Self> {
        let name: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let known = |name: &str| NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(role, _)| *role);
        if let Some(role) = known(&name) {
            return Some(role);
        }
        if let [b'a'..=b'h'] = name.as_bytes() {
            return Some(Self::Option);
        }
        let number = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let letter = name.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(&name);
        let counted = if number.len() < name.len() { number } else { letter };
        match known(counted)? {
            Self::Answer => Some(Self::Option),
            role @ (Self::Option | Self::Wrong | Self::Variation | Self::Tags) => Some(role),
            _ => None,
        }
    }
}

/// Where in a table what is, as a caller says it: `question=2,answer=3` by number for a table without a
/// header, `question=Frage,answer=Antwort` by the names in its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(Vec<(Role, Place)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Counted from 0.
    Number(usize),
    Name(String),
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut columns = Vec::new();
        for part in text.split(',') {
            let (name, place) = part.split_once('=').ok_or_else(|| format!("{part:?} is not like question=1"))?;
            let role = NAMES.iter().find(|(_, names)| names[0] == name.trim()).map(|(role, _)| *role);
            let role = role.ok_or_else(|| {
                let names: Vec<_> = NAMES.iter().map(|(_, names)| names[0]).collect();
                format!("{:?} is not one of {}", name.trim(), names.join(", "))
            })?;
            let place = match place.trim().parse() {
                Ok(0) => return Err("columns are counted from 1".to_owned()),
                Ok(number) if number > super::table::MAX_FIELDS => {
                    return Err(format!("a table has at most {} columns", super::table::MAX_FIELDS));
                }
                Ok(number) => Place::Number(number - 1),
                Err(_) => Place::Name(place.trim().to_owned()),
            };
            columns.push((role, place));
        }
        let has = |wanted| columns.iter().any(|(role, _)| *role == wanted);
        if !has(Role::Question) || !has(Role::Answer) {
            return Err("question and answer are needed".to_owned());
        }
        let named = columns.iter().filter(|(_, place)| matches!(place, Place::Name(_))).count();
        if named != 0 && named != columns.len() {
            return Err("give either all by number or all by name".to_owned());
        }
        Ok(Self(columns))
    }
}

/// What the columns of one table hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    roles: Vec<Option<Role>>,
    /// How many columns a row has at most; 0 when it is not known.
    pub(super) width: usize,
}

impl Layout {
    /// That of a table without a header.
    pub(super) fn numbered(columns: &Columns) -> Option<Self> {
        let mut roles = Vec::new();
        for (role, place) in &columns.0 {
            let Place::Number(at) = place else { return None };
            if roles.len() <= *at {
                roles.resize(at + 1, None);
            }
            roles[*at] = Some(*role);
        }
        Some(Self { roles, width: 0 })
    }

    /// By a header: as the caller says, else by what its names mean. `None` when a question or an answer is missing.
    pub(super) fn named(header: &[String], columns: Option<&Columns>) -> Option<Self> {
        let role = |name: &String| match columns {
            None => Role::of(name),
            Some(columns) => {
                let is_meant = |place: &Place| matches!(place, Place::Name(wanted) if wanted == name.trim());
                columns.0.iter().find(|(_, place)| is_meant(place)).map(|(role, _)| *role)
            }
        };
        let roles: Vec<_> = header.iter().map(role).collect();
        let complete = roles.contains(&Some(Role::Question)) && roles.contains(&Some(Role::Answer));
        complete.then_some(Self { width: roles.len(), roles })
    }

    /// The fields of a row that hold this, in order.
    pub(super) fn all<'a>(&'a self, role: Role, row: &'a [String]) -> impl Iterator<Item = &'a String> {
        self.roles.iter().zip(row).filter(move |(found, _)| **found == Some(role)).map(|(_, field)| field)
    }

    /// The first field of a row that holds this and is not blank.
    pub(super) fn one<'a>(&'a self, role: Role, row: &'a [String]) -> Option<&'a str> {
        self.all(role, row).map(|field| field.trim()).find(|field| !field.is_empty())
    }

    /// Whether a column is not read.
    pub(super) fn is_unread(&self, at: usize) -> bool {
        self.roles.get(at).is_none_or(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Option<Role> {
        Role::of(name)
    }

    #[test]
    fn names_of_columns_are_understood() {
        for (name, expected) in [
            ("Question", Some(Role::Question)),
            ("question_text", Some(Role::Question)),
            ("Correct Answer", Some(Role::Answer)),
            ("Option 1", Some(Role::Option)),
            ("option_d", Some(Role::Option)),
            ("B", Some(Role::Option)),
            ("Answer 2", Some(Role::Option)),
            ("incorrect_answer_3", Some(Role::Wrong)),
            ("variation1", Some(Role::Variation)),
            ("Question 2", None),
            ("Tag 2", Some(Role::Tags)),
            ("Packs", Some(Role::Packs)),
            ("quality", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(role(name), expected, "{name}");
        }
    }

    #[test]
    fn what_the_caller_says_is_checked() {
        for (text, part) in [
            ("question=1", "are needed"),
            ("question=1,answer", "is not like"),
            ("question=1,answer=0", "counted from 1"),
            ("question=1,answer=99999", "at most"),
            ("question=1,answer=B", "either all"),
            ("question=1,answer=2,colour=3", "is not one of"),
        ] {
            let error = text.parse::<Columns>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let columns: Columns = "answer=3, question=1,wrong=4,wrong=5".parse().unwrap();
        let layout = Layout::numbered(&columns).unwrap();
        let row: Vec<String> = ["q", "x", "a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!((layout.one(Role::Question, &row), layout.one(Role::Answer, &row)), (Some("q"), Some("a")));
        assert_eq!(layout.all(Role::Wrong, &row).collect::<Vec<_>>(), ["b", "c"]);
    }
}
