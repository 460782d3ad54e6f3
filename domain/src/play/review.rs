//! Which questions somebody should look at: those that contradict each other, and those that ask the same twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::model::{Question, QuestionId, StemKey, fold_match};

/// Questions that one person should look at together. Nothing is wrong with them by any rule: that is why a person
/// has to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "doubt", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// They ask the same and say that something else is right.
    Contradiction {
        /// Oldest first.
        questions: Vec<QuestionId>,
    },
    /// They ask nearly the same, and the same is right.
    NearDuplicate {
        /// Oldest first.
        questions: Vec<QuestionId>,
        /// How many percent of their words two of them share at least.
        alike: u64,
    },
}

impl Doubt {
    /// The questions that it is about, oldest first.
    #[must_use]
    pub fn questions(&self) -> &[QuestionId] {
        match self {
            Self::Contradiction { questions } | Self::NearDuplicate { questions, .. } => questions,
        }
    }
}

/// Collects questions and finds the doubtful ones; retired ones are passed over.
///
/// Two questions are near duplicates when they have one language, one right answer, and share at least four fifths
/// of the words of both stems; words are compared as in [`fold_match`], in any order and number. A stem in a script
/// without blanks is one word.
#[derive(Debug, Default)]
pub struct Review {
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    id: QuestionId,
    stem: StemKey,
    /// Of the right answer.
    truth: u64,
    /// Of language and right answer.
    shelf: u64,
    /// Each word once; in order of [`Words`] later.
    words: Vec<u64>,
}

impl Review {
    /// Adds a question.
    pub fn add(&mut self, question: &Question) {
        if question.retired_at.is_some() {
            return;
        }
        let content = &question.content;
        let truth = hash(&content.truth());
        let words: HashSet<u64> = fold_match(content.text()).split(' ').map(|word| hash(&word)).collect();
        self.seen.push(Seen {
            id: question.id,
            stem: content.stem_key(),
            truth,
            shelf: hash(&(content.language(), truth)),
            words: words.into_iter().collect(),
        });
    }

    /// Everything doubtful, contradictions first.
    #[must_use]
    pub fn doubts(mut self) -> Vec<Doubt> {
        self.seen.sort_unstable_by_key(|seen| seen.id);
        let mut doubts = self.contradictions();
        doubts.extend(self.near_duplicates());
        doubts
    }

    fn contradictions(&self) -> Vec<Doubt> {
        let mut stems: BTreeMap<StemKey, Vec<&Seen>> = BTreeMap::new();
        for seen in &self.seen {
            stems.entry(seen.stem).or_default().push(seen);
        }
        let contradict = |same: &&Vec<&Seen>| same.iter().any(|seen| seen.truth != same[0].truth);
        let mut questions: Vec<Vec<_>> =
            stems.values().filter(contradict).map(|same| same.iter().map(|seen| seen.id).collect()).collect();
        questions.sort_unstable();
        questions.into_iter().map(|questions| Doubt::Contradiction { questions }).collect()
    }

    /// Two sets of words that share four fifths share one of their rarest words: only those with such a word in
    /// common are compared, and sets that are the same are compared once.
    fn near_duplicates(&mut self) -> Vec<Doubt> {
        let mut frequency: HashMap<u64, u32> = HashMap::new();
        for word in self.seen.iter().flat_map(|seen| &seen.words) {
            *frequency.entry(*word).or_default() += 1;
        }
        for seen in &mut self.seen {
            seen.words.sort_unstable_by_key(|word| (frequency.get(word).copied().unwrap_or(0), *word));
        }
        let mut groups = Groups::new(self.seen.len());
        let mut first: HashMap<(u64, &[u64]), usize> = HashMap::new();
        let mut different = Vec::new();
        for (at, seen) in self.seen.iter().enumerate() {
            match first.get(&(seen.shelf, &seen.words[..])) {
                Some(same) => groups.join(*same, at, 100),
                None => {
                    first.insert((seen.shelf, &seen.words), at);
                    different.push(at);
                }
            }
        }
        different.sort_unstable_by_key(|at| self.seen[*at].words.len());
        let mut by_word: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
        for at in different {
            let seen = &self.seen[at];
            let rarest = seen.words.len() - (seen.words.len() * 4).div_ceil(5) + 1;
            let rarest = &seen.words[..rarest.min(seen.words.len())];
            let others = rarest.iter().filter_map(|word| by_word.get(&(seen.shelf, *word))).flatten().copied();
            for other in others.collect::<HashSet<_>>() {
                if let Some(alike) = alike(&seen.words, &self.seen[other].words) {
                    groups.join(other, at, alike);
                }
            }
            for word in rarest {
                by_word.entry((seen.shelf, *word)).or_default().push(at);
            }
        }
        let doubt = |(members, alike): (Vec<usize>, u64)| Doubt::NearDuplicate {
            questions: members.into_iter().map(|at| self.seen[at].id).collect(),
            alike,
        };
        groups.finish().into_iter().map(doubt).collect()
    }
}

/// Percent of the words of both that both have, if that is enough.
fn alike(a: &[u64], b: &[u64]) -> Option<u64> {
    let words: HashSet<_> = a.iter().collect();
    let shared = b.iter().filter(|word| words.contains(word)).count();
    let all = a.len() + b.len() - shared;
    (shared * 5 >= all * 4).then(|| (shared * 100 / all.max(1)) as u64)
}

/// The same for the same value in every process.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Questions that belong together, directly or through others.
struct Groups {
    /// Another one of the same group, or itself; always an earlier one.
    parent: Vec<usize>,
    /// What the first one of a group knows of it.
    alike: Vec<u64>,
}

impl Groups {
    fn new(size: usize) -> Self {
        Self { parent: (0..size).collect(), alike: vec![100; size] }
    }

    fn first(&self, mut of: usize) -> usize {
        while self.parent[of] != of {
            of = self.parent[of];
        }
        of
    }

    fn join(&mut self, a: usize, b: usize, alike: u64) {
        let (a, b) = (self.first(a), self.first(b));
        let (first, other) = (a.min(b), a.max(b));
        self.parent[other] = first;
        self.alike[first] = self.alike[first].min(self.alike[other]).min(alike);
    }

    /// The groups of more than one.
    fn finish(self) -> Vec<(Vec<usize>, u64)> {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.parent.len() {
            members.entry(self.first(at)).or_default().push(at);
        }
        let groups = members.into_iter().filter(|(_, members)| members.len() > 1);
        groups.map(|(first, members)| (members, self.alike[first])).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::model::{Language, QuestionBody, QuestionContent};

    fn question(id: i64, text: &str, answer: &str) -> Question {
        let body = QuestionBody::FillBlank { answer: answer.to_owned(), variations: Vec::new() };
        Question {
            id: QuestionId::new(id).unwrap(),
            version: 1,
            content: QuestionContent::new(body, text, "Any".parse().unwrap(), "easy".parse().unwrap()).unwrap(),
            times_asked: 0,
            times_correct: 0,
            created_at: DateTime::UNIX_EPOCH,
            retired_at: None,
        }
    }

    fn doubts(questions: impl IntoIterator<Item = Question>) -> serde_json::Value {
        let mut review = Review::default();
        questions.into_iter().for_each(|question| review.add(&question));
        serde_json::to_value(review.doubts()).unwrap()
    }

    #[test]
    fn l17_contradictions_and_near_duplicates_are_found() {
        let questions = [
            question(1, "In which year did the first man walk on the moon?", "1969"),
            question(2, "Who wrote Faust?", "Goethe"),
            question(3, "In which year did the first man walk on our moon?", "1969"),
            question(4, "In which year did a first man walk on the moon", "1969"),
            question(5, "who wrote  FAUST?", "Marlowe"),
            // another answer, another language, too few words in common
            question(6, "In which year did the first man walk on Mars?", "2040"),
            question(7, "In which year was the moon landing?", "1969"),
        ];
        let expected = json!([
            {"doubt": "contradiction", "questions": ["2", "5"]},
            {"doubt": "near_duplicate", "questions": ["1", "3", "4"], "alike": 90},
        ]);
        assert_eq!(doubts(questions.clone()), expected);
        assert_eq!(doubts(questions.clone().into_iter().rev()), expected);
        let retired = questions.clone().map(|question| {
            let retired_at = (question.id.get() > 3).then_some(DateTime::UNIX_EPOCH);
            Question { retired_at, ..question }
        });
        assert_eq!(doubts(retired), json!([{"doubt": "near_duplicate", "questions": ["1", "3"], "alike": 90}]));
        let translated = questions.map(|question| {
            let language = Language::new(if question.id.get() % 2 == 0 { "de" } else { "en" }).unwrap();
            Question { content: question.content.with_language(language), ..question }
        });
        assert_eq!(doubts(translated), json!([{"doubt": "near_duplicate", "questions": ["1", "3"], "alike": 90}]));
    }

    #[test]
    fn only_rare_words_are_looked_up_and_no_pair_is_missed() {
        // all sets of words out of a few: every pair against the definition
        let text =
            |bits: u32| (0..7).filter(|bit| bits >> bit & 1 == 1).map(|bit| format!("w{bit} ")).collect::<String>();
        let questions: Vec<_> = (1..128).map(|bits| question(bits, &text(bits as u32), "x")).collect();
        let found = doubts(questions);
        let mut groups = Groups::new(128);
        for a in 1_u32..128 {
            for b in 1..a {
                if (a & b).count_ones() * 5 >= (a | b).count_ones() * 4 {
                    groups.join(b as usize, a as usize, 80);
                }
            }
        }
        let expected: Vec<Vec<String>> =
            groups.finish().into_iter().map(|(members, _)| members.iter().map(usize::to_string).collect()).collect();
        let found: Vec<Vec<String>> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|doubt| serde_json::from_value(doubt["questions"].clone()).unwrap())
            .collect();
        assert_eq!(found, expected);
    }
}
