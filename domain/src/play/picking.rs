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
