//! Which questions a challenge asks.

use std::collections::BTreeMap;

use crate::error::{Refusal, StoreResult};
use crate::model::{ChallengeKind, Difficulty, Language};
use crate::ports::{PickRequest, QuestionFilter, QuestionGroup};

/// The picks that make up a new challenge of one language, or of any, in the order in which its questions are
/// asked: for a day any question, for a week two easy ones, two of medium difficulty and a hard one. Where a
/// difficulty has too few, the next ones take its place. The picks cannot meet each other.
///
/// # Errors
/// [`Refusal::NotEnoughQuestions`] when there are fewer questions than the challenge has.
pub fn challenge_picks(
    kind: ChallengeKind,
    language: Option<&Language>,
    groups: &[QuestionGroup],
    seed: u64,
) -> StoreResult<Vec<PickRequest>> {
    let mut left: BTreeMap<Difficulty, u32> = BTreeMap::new();
    for group in groups.iter().filter(|group| language.is_none_or(|language| *language == group.language)) {
        let size = left.entry(group.difficulty).or_default();
        *size = size.saturating_add(u32::try_from(group.size).unwrap_or(u32::MAX));
    }
    let available = left.values().map(|size| u64::from(*size)).sum();
    if available < kind.size().into() {
        return Err(Refusal::NotEnoughQuestions { available, wanted: kind.size().into() }.into());
    }
    let pick = |difficulty, count| PickRequest {
        filter: QuestionFilter { difficulty, language: language.cloned(), ..QuestionFilter::default() },
        count,
        exclude: Vec::new(),
        seed,
        scope: None,
    };
    let wanted = match kind {
        ChallengeKind::Daily => return Ok(vec![pick(None, 1)]),
        ChallengeKind::Weekly => [(Difficulty::Easy, 2), (Difficulty::Medium, 2), (Difficulty::Hard, 1)],
    };
    let mut taken = BTreeMap::from(wanted.map(|(difficulty, count)| {
        let size = left.entry(difficulty).or_default();
        let count = count.min(*size);
        *size -= count;
        (difficulty, count)
    }));
    let mut missing = kind.size() - taken.values().sum::<u32>();
    for difficulty in [Difficulty::Medium, Difficulty::Easy, Difficulty::Hard] {
        let more = missing.min(left.get(&difficulty).copied().unwrap_or_default());
        *taken.entry(difficulty).or_default() += more;
        missing -= more;
    }
    Ok(taken.into_iter().filter(|(_, count)| *count > 0).map(|(level, count)| pick(Some(level), count)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Category, Language, QuestionKind};

    fn picks(sizes: [u64; 3]) -> Vec<(Option<Difficulty>, u32)> {
        let groups: Vec<_> = Difficulty::ALL
            .into_iter()
            .zip(sizes)
            .map(|(difficulty, size)| QuestionGroup {
                category: Category::new("Any").unwrap(),
                difficulty,
                kind: QuestionKind::TrueFalse,
                language: Language::default(),
                size,
            })
            .collect();
        let picks = challenge_picks(ChallengeKind::Weekly, None, &groups, 1).unwrap();
        picks.into_iter().map(|pick| (pick.filter.difficulty, pick.count)).collect()
    }

    #[test]
    fn l11_a_week_has_two_easy_two_medium_and_one_hard_where_there_are_enough() {
        use Difficulty::{Easy, Hard, Medium};
        assert_eq!(picks([9, 9, 9]), [(Some(Easy), 2), (Some(Medium), 2), (Some(Hard), 1)]);
        assert_eq!(picks([9, 9, 0]), [(Some(Easy), 2), (Some(Medium), 3)]);
        assert_eq!(picks([1, 0, 9]), [(Some(Easy), 1), (Some(Hard), 4)]);
        assert_eq!(picks([5, 0, 0]), [(Some(Easy), 5)]);
        assert_eq!(picks([3, 1, 1]), [(Some(Easy), 3), (Some(Medium), 1), (Some(Hard), 1)]);
    }

    #[test]
    fn t10_a_challenge_is_not_made_of_too_few_questions() {
        for kind in ChallengeKind::ALL {
            assert!(challenge_picks(kind, None, &[], 1).is_err());
        }
    }
}
