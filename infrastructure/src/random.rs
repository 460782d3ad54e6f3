use std::hash::{BuildHasher, Hasher, RandomState};

use rand::TryRng;
use rand::rngs::SysRng;
use trivia_domain::ports::RandomSource;

/// Chance from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    fn next_u64(&self) -> u64 {
        // a system without a random device still has the hash keys of the standard library
        SysRng.try_next_u64().unwrap_or_else(|_| RandomState::new().build_hasher().finish())
    }
}
