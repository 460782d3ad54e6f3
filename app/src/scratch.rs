//! A directory that is gone afterwards.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use trivia_domain::ports::RandomSource;

use crate::error::Failure;

/// A directory for this user alone; it is deleted with all that is in it when this is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one where temporary files belong (`TMPDIR`).
    pub(crate) fn new(random: &dyn RandomSource) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("trivia-db-{:016x}", random.next_u64()));
        // fails when it exists: nobody can have put something there before
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            let message = format!("cannot make the temporary directory {}", path.display());
            Failure::because(message, "set TMPDIR to a directory that this user can write", error)
        })?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary directory is left behind");
        }
    }
}
