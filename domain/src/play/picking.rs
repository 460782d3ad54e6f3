//! Drawing questions by chance.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

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
