//! Where backups go, and what becomes of them on the way.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use trivia_domain::ports::ByteStore;

use super::codec::BackupRecipient;
use super::directory::Directory;

/// Where backups go, and what becomes of them on the way. A path alone is a directory for backups that are stored as
/// they are.
#[derive(Clone)]
pub struct BackupOptions {
    /// A local directory: backups are made and opened here, evidence of damage is kept here, and backups stay here
    /// unless there is another place for them.
    pub dir: PathBuf,
    /// Another place for backups.
    pub store: Option<Arc<dyn ByteStore>>,
    /// Level of zstd, 1 to 19; `None` compresses nothing.
    pub compression: Option<i32>,
    /// Who can open them; nobody means that they are not encrypted.
    pub encrypt_to: Vec<BackupRecipient>,
    /// The file with the keys that open what is encrypted, as `age-keygen` writes it.
    pub identity_file: Option<PathBuf>,
}

impl BackupOptions {
    /// The place of the backups.
    #[must_use]
    pub fn store(&self) -> Arc<dyn ByteStore> {
        self.store.clone().unwrap_or_else(|| Arc::new(Directory::new(self.dir.clone())))
    }
}

impl From<PathBuf> for BackupOptions {
    fn from(dir: PathBuf) -> Self {
        Self { dir, store: None, compression: None, encrypt_to: Vec::new(), identity_file: None }
    }
}

impl fmt::Debug for BackupOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupOptions")
            .field("dir", &self.dir)
            .field("store", &self.store().place(""))
            .field("compression", &self.compression)
            .field("encrypt_to", &self.encrypt_to)
            .field("identity_file", &self.identity_file)
            .finish()
    }
}
