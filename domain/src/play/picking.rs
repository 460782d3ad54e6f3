//! Drawing questions by chance.

use std::collections::{HashMap, HashSet};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::error::Refusal;
use crate::ports::{PickRequest, WhenExhausted};

/// What a pick comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The places that were chosen, each once, in the order of the pick.
    pub places: Vec<u64>,
    /// Whether the owner's earlier picks that match the filter are to be forgotten first.
    pub starts_over: bool,
}

/// Chooses for a request among the places 0 to `size` - 1 of the questions that match it.
///
/// `excluded` and `seen` are the places of questions that are excluded, and that were picked for the
/// owner before, the oldest pick first; both hold each place once. The cost follows their sizes and
/// what is wanted, not `size`.
///
/// # Errors
/// [`Refusal::NotEnoughQuestions`] when fewer than wanted can be chosen.
pub fn choose(size: u64, excluded: &HashSet<u64>, seen: &[u64], request: &PickRequest) -> Result<Choice, Refusal> {
    let wanted = u64::from(request.count);
    let oldest_first: Vec<u64> = seen.iter().copied().filter(|place| !excluded.contains(place)).collect();
    let open = size - excluded.len() as u64;
    let unseen = open - oldest_first.len() as u64;
    let exhausted = request.scope.map_or(WhenExhausted::Error, |scope| scope.exhausted);
    let available = if exhausted == WhenExhausted::Error { unseen } else { open };
    if available < wanted {
        return Err(Refusal::NotEnoughQuestions { available, wanted });
    }
    let starts_over = unseen < wanted && exhausted == WhenExhausted::Reset;
    let mut closed = excluded.clone();
    if !starts_over {
        closed.extend(&oldest_first);
    }
    let drawn = draw(size, request.seed).filter(|place| !closed.contains(place));
    // the old ones are reached only when they may be used again
    let places = drawn.chain(oldest_first).take(request.count as usize).collect();
    Ok(Choice { places, starts_over })
}

/// Draws places 0 to `size` - 1, each at most once, in random order, the same for the same seed.
/// It goes on to the last one, so a caller can reject some and still reach all others.
///
/// A Fisher-Yates shuffle over a sparse array: the cost follows what is taken, not `size`.
///
/// ```
/// use trivia_domain::play::draw;
/// let some: Vec<u64> = draw(1_000_000, 7).take(3).collect();
/// assert_eq!(some, draw(1_000_000, 7).take(3).collect::<Vec<_>>());
/// let mut all: Vec<u64> = draw(5, 1).collect();
/// all.sort_unstable();
/// assert_eq!(all, [0, 1, 2, 3, 4]);
/// ```
pub fn draw(size: u64, seed: u64) -> impl Iterator<Item = u64> + Send {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut moved = HashMap::new();
    (0..size).map(move |at| {
        let chosen = at + below(&mut random, size - at);
        let value = moved.get(&chosen).copied().unwrap_or(chosen);
        let displaced = moved.get(&at).copied().unwrap_or(at);
        moved.insert(chosen, displaced);
        value
    })
}

/// A uniform number below `bound`: the high half of a product, biased by less than 2^-32 for any
/// number of questions that fits a disk.
fn below(random: &mut ChaCha8Rng, bound: u64) -> u64 {
    let product = u128::from(random.next_u64()) * u128::from(bound);
    u64::try_from(product >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChannelId;
    use crate::ports::{PickOwner, PickScope, QuestionFilter};

    fn request(count: u32, seed: u64, exhausted: Option<WhenExhausted>) -> PickRequest {
        let of = PickOwner::Channel(ChannelId::new(1).unwrap());
        let scope = exhausted.map(|exhausted| PickScope { of, exhausted });
        PickRequest { filter: QuestionFilter::default(), count, exclude: Vec::new(), seed, scope }
    }

    fn sorted(mut places: Vec<u64>) -> Vec<u64> {
        places.sort_unstable();
        places
    }

    #[test]
    fn l18_what_was_seen_or_excluded_is_not_chosen_while_enough_is_left() {
        let (excluded, seen) = (HashSet::from([1, 2]), [9, 0, 1]);
        for exhausted in [WhenExhausted::Error, WhenExhausted::ReuseOldest, WhenExhausted::Reset] {
            for seed in 0..50 {
                let choice = choose(10, &excluded, &seen, &request(6, seed, Some(exhausted))).unwrap();
                assert!(!choice.starts_over);
                assert_eq!(sorted(choice.places), [3, 4, 5, 6, 7, 8]);
            }
        }
    }

    #[test]
    fn l18_the_order_of_the_draw_is_kept() {
        let (excluded, seen) = (HashSet::from([3]), [4, 7]);
        let drawn: Vec<u64> = draw(10, 5).filter(|place| ![3, 4, 7].contains(place)).collect();
        let chosen = choose(10, &excluded, &seen, &request(4, 5, Some(WhenExhausted::Error))).unwrap();
        assert_eq!(chosen.places, drawn[..4]);
    }

    #[test]
    fn l18_each_policy_when_too_few_are_unseen() {
        // open are 0, 2, 3, 4, 5, and of these 4 and 2 were seen, 4 first
        let (excluded, seen) = (HashSet::from([1]), [1, 4, 2]);
        for seed in 0..20 {
            let choose = |count, exhausted| choose(6, &excluded, &seen, &request(count, seed, Some(exhausted)));
            let refused = |available, wanted| Err(Refusal::NotEnoughQuestions { available, wanted });
            assert_eq!(choose(4, WhenExhausted::Error), refused(3, 4));
            assert_eq!(choose(6, WhenExhausted::ReuseOldest), refused(5, 6));
            assert_eq!(choose(6, WhenExhausted::Reset), refused(5, 6));

            let reused = choose(4, WhenExhausted::ReuseOldest).unwrap();
            assert_eq!((sorted(reused.places[..3].to_vec()), reused.places[3]), (vec![0, 3, 5], 4));
            assert_eq!(choose(5, WhenExhausted::ReuseOldest).unwrap().places[3..], [4, 2]);

            let again = choose(4, WhenExhausted::Reset).unwrap();
            let drawn: Vec<u64> = draw(6, seed).filter(|place| *place != 1).take(4).collect();
            assert_eq!(again, Choice { places: drawn, starts_over: true });
        }
    }

    #[test]
    fn t10_without_a_scope_too_few_are_refused() {
        let refused = choose(6, &HashSet::from([0]), &[], &request(u32::MAX, 1, None));
        assert_eq!(refused, Err(Refusal::NotEnoughQuestions { available: 5, wanted: u32::MAX.into() }));
        assert!(choose(0, &HashSet::new(), &[], &request(0, 1, None)).unwrap().places.is_empty());
    }

    #[test]
    fn l18_every_place_is_drawn_equally_often() {
        let (size, draws) = (50_u64, 100_000_u64);
        let mut drawn = vec![0_u64; 50];
        for seed in 0..draws {
            for place in draw(size, seed).take(1) {
                drawn[usize::try_from(place).unwrap()] += 1;
            }
        }
        let expected = (draws / size) as f64;
        let chi_square: f64 = drawn.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        // 49 degrees of freedom: one honest source in ten thousand is above 94
        assert!(chi_square < 94.0, "{chi_square}: {drawn:?}");
    }

    #[test]
    fn l18_each_place_once_and_all_of_them() {
        for size in [0, 1, 2, 7, 100] {
            for seed in 0..20 {
                let mut places: Vec<u64> = draw(size, seed).collect();
                places.sort_unstable();
                assert_eq!(places, (0..size).collect::<Vec<_>>(), "seed {seed}");
            }
        }
    }

    #[test]
    fn l18_other_seeds_draw_other_orders() {
        let orders: std::collections::HashSet<Vec<u64>> = (0..100).map(|seed| draw(20, seed).collect()).collect();
        assert_eq!(orders.len(), 100);
    }
}
