//! Chance that can be repeated.

use std::sync::{Mutex, PoisonError};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trivia_domain::ports::RandomSource;

/// A generator that gives the same numbers for the same seed, on every machine.
pub(crate) fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Such a generator as a port.
pub(crate) struct SeededRandom(Mutex<ChaCha8Rng>);

impl SeededRandom {
    /// Starts at a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seeded(seed)))
    }
}

impl RandomSource for SeededRandom {
    fn next_u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}
