/// Who wants to know how far a long operation is. Calls come often and must be cheap.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Progress: Send + Sync {
    /// `done` bytes of `total` are through; `None` when nobody knows how many there will be.
    fn at(&self, phase: Phase, done: u64, total: Option<u64>);

    /// The operation is over, whatever came of it.
    fn end(&self);
}

/// What a long operation does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Copies the database.
    Copy,
    /// Looks at everything in a copy.
    Check,
    /// Compresses and encrypts.
    Pack,
    /// Moves a backup to its place.
    Store,
    /// Gets a backup from its place.
    Fetch,
    /// Decrypts and decompresses.
    Unpack,
}
