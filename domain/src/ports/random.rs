/// Chance. A seeded source makes a run repeatable.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait RandomSource: Send + Sync {
    /// Sixty-four random bits.
    fn next_u64(&self) -> u64;
}
