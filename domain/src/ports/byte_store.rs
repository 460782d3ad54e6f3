use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::Progress;
use crate::error::{StoreError, StoreResult};

/// Longest name of an object, in bytes.
const LONGEST_NAME: usize = 100;

/// A flat place for files: a local directory, object storage. It knows names and bytes and nothing of what they are.
///
/// A name is 1 to 100 of `0-9`, `a-z`, `_`, `-` and `.`, and starts with one of the first three; every call returns
/// `Invalid` for another.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ByteStore: Send + Sync {
    /// Where an object is or would be, for people; for an empty name, where the store is. It holds no secret.
    fn place(&self, name: &str) -> String;

    /// The file of an object that can be read where it is; `None` when it has to be fetched.
    fn file(&self, name: &str) -> Option<PathBuf>;

    /// All objects, in no order. What has a name of another form is left out.
    async fn list(&self) -> StoreResult<Vec<StoredObject>>;

    /// Reads a small object; `None` when there is none.
    ///
    /// Returns `Corrupt` when it is longer than `limit` bytes, or no object at all but a link or a pipe.
    async fn read(&self, name: &str, limit: u64) -> StoreResult<Option<Vec<u8>>>;

    /// Copies an object into a new local file and returns its length in bytes; `None`, and no file, when there is
    /// no object. Memory is bounded. A failed attempt may leave a part of the file.
    ///
    /// Returns `Corrupt` when it is longer than `limit` bytes.
    async fn fetch(
        &self,
        name: &str,
        target: &Path,
        limit: u64,
        progress: &Arc<dyn Progress>,
    ) -> StoreResult<Option<u64>>;

    /// Stores a local file, whole or not at all. The file may be gone then, as it may have been moved. Memory is
    /// bounded.
    ///
    /// Returns `Conflict` when the name is taken; what is there stays as it is.
    async fn store(&self, name: &str, source: &Path, progress: &Arc<dyn Progress>) -> StoreResult<()>;

    /// Stores a small object, whole or not at all.
    ///
    /// Returns `Conflict` when the name is taken, also by somebody who does the same at the same time.
    async fn write(&self, name: &str, content: &[u8]) -> StoreResult<()>;

    /// Deletes an object. That there is none is no error.
    async fn delete(&self, name: &str) -> StoreResult<()>;
}

/// An object as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredObject {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Refuses what is no name of an object.
///
/// # Errors
/// [`StoreError::Invalid`].
pub fn check_object_name(name: &str) -> StoreResult<()> {
    let plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'_';
    let valid = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b'.')
        && name.bytes().next().is_some_and(plain);
    if !valid {
        let reason =
            format!("{name:?} is not 1 to {LONGEST_NAME} of 0-9, a-z, _, - and ., the first one of 0-9, a-z, _");
        return Err(StoreError::invalid("object name", reason));
    }
    Ok(())
}
