//! Backups: what they are called, what is known of them, how long they are kept.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::names::{define_names, define_text};
use crate::error::{StoreError, StoreResult};

/// Name of a backup: 1 to 64 of `0-9`, `a-z`, `_` and `-`; never a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

define_text!(BackupId);

impl BackupId {
    /// Builds an id.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it has other characters or another length.
    pub fn new(id: &str) -> StoreResult<Self> {
        let valid = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if !valid {
            return Err(StoreError::invalid("backup id", format!("{id:?} is not 1 to 64 of 0-9, a-z, _ and -")));
        }
        Ok(Self(id.to_owned()))
    }
}

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackupKind {
    /// Somebody asked for it.
    Manual,
    /// At most one a day.
    Daily,
    /// At most one a week.
    Weekly,
    /// After the database was created.
    Initial,
    /// Before the schema is changed.
    PreMigration,
    /// Before another backup is restored.
    PreRestore,
    /// Before the database is recreated.
    PreReset,
    /// After a damaged database was recovered.
    Recovered,
}

define_names!(
    BackupKind,
    "backup kind",
    Manual = "manual",
    Daily = "daily",
    Weekly = "weekly",
    Initial = "initial",
    PreMigration = "pre_migration",
    PreRestore = "pre_restore",
    PreReset = "pre_reset",
    Recovered = "recovered"
);

/// Number of rows of each table.
pub type RowCounts = BTreeMap<String, u64>;

/// How far the ledger goes: what must be there again after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerHead {
    /// Number of facts.
    pub facts: u64,
    /// Instant of the newest; `None` without facts.
    pub newest: Option<DateTime<Utc>>,
}

/// How a copy was made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compression {
    /// As the tool `zstd` does.
    Zstd,
}

/// How a copy was made unreadable for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encryption {
    /// As the tool `age` does, after the compression.
    Age,
}

/// What became of a copy before it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// How it was compressed; `None` when it was not.
    pub compression: Option<Compression>,
    /// How it was encrypted; `None` when it was not.
    pub encryption: Option<Encryption>,
    /// Size of the file that is stored.
    pub bytes: u64,
    /// SHA-256 of the file that is stored, in hexadecimal.
    pub sha256: String,
}

impl Packed {
    /// How the name of a file ends, so that the stock tools know it: `db`, `db.zst`, `db.age` or `db.zst.age`.
    #[must_use]
    pub const fn extension(&self) -> &'static str {
        match (self.compression, self.encryption) {
            (None, None) => "db",
            (Some(Compression::Zstd), None) => "db.zst",
            (None, Some(Encryption::Age)) => "db.age",
            (Some(Compression::Zstd), Some(Encryption::Age)) => "db.zst.age",
        }
    }

    /// Whether the file is the database itself.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.compression.is_none() && self.encryption.is_none()
    }
}

/// Where a dump comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DumpOrigin {
    /// Version of the PostgreSQL server, such as `15.8`.
    pub server: String,
    /// Version of `pg_dump`; an older `pg_restore` may not read what it wrote.
    pub program: String,
    /// The schema whose tables are in it.
    pub schema: String,
}

/// What is written beside a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    /// Version of this form: 4 of a dump, 3 of a file, or 2 without `packed`, or 1 without `content` and `ledger`, too.
    pub format: u32,
    /// The backup.
    pub id: BackupId,
    /// Why it was made.
    pub kind: BackupKind,
    /// In words.
    pub reason: String,
    /// Grows by one with each backup of a directory; order does not depend on the clock.
    pub sequence: u64,
    /// When the copy was started.
    pub created_at: DateTime<Utc>,
    /// Program and version that made it.
    pub tool: String,
    /// Name of the newest migration in it.
    pub schema_version: String,
    /// Where a dump comes from; `None` when the copy is a file of SQLite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<DumpOrigin>,
    /// Size of the copy of the database.
    pub bytes: u64,
    /// SHA-256 of the copy of the database in hexadecimal.
    pub sha256: String,
    /// What of it is stored; `None` in the older forms, which store it as it is.
    #[serde(default)]
    pub packed: Option<Packed>,
    /// Number of rows of each table.
    pub rows: RowCounts,
    /// SHA-256 of the rows of each table, in hexadecimal: each row is a line with the SQL literals of its columns
    /// in their declared order, with commas between them; rows are in the order of the primary key. Of a dump a line
    /// is the row as PostgreSQL writes it as text, in UTC, and texts of the key are in the order of their bytes.
    #[serde(default)]
    pub content: BTreeMap<String, String>,
    /// How far the ledger goes; `None` where there is none.
    #[serde(default)]
    pub ledger: Option<LedgerHead>,
}

impl BackupManifest {
    /// How the name of the stored file ends: as [`Packed::extension`], with `dump` in place of `db` for a dump.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        let stored = self.stored();
        match (&self.dump, stored.compression, stored.encryption) {
            (None, ..) => stored.extension(),
            (Some(_), None, None) => "dump",
            (Some(_), Some(Compression::Zstd), None) => "dump.zst",
            (Some(_), None, Some(Encryption::Age)) => "dump.age",
            (Some(_), Some(Compression::Zstd), Some(Encryption::Age)) => "dump.zst.age",
        }
    }

    /// What is stored, in every version of the form.
    #[must_use]
    pub fn stored(&self) -> Packed {
        let plain = || Packed { compression: None, encryption: None, bytes: self.bytes, sha256: self.sha256.clone() };
        self.packed.clone().unwrap_or_else(plain)
    }
}

/// A backup as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// What its manifest says.
    #[serde(flatten)]
    pub manifest: BackupManifest,
    /// Where it is.
    pub path: String,
    /// Whether it passed all checks when it was made, or now when it was verified.
    pub verified: bool,
    /// The last drill; `None` when it never had one.
    pub drill: Option<Drill>,
}

/// A restore that was tried in a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// When.
    pub at: DateTime<Utc>,
    /// Whether everything was there and right.
    pub ok: bool,
}

/// The result of checking a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The backup.
    pub id: BackupId,
    /// Whether every check passed.
    pub ok: bool,
    /// What did not.
    pub problems: Vec<String>,
    /// Why the database inside was not looked at; `None` when it was. Then `ok` is about what is stored.
    #[serde(default)]
    pub unopened: Option<String>,
}

/// How many backups are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// The newest ones of any kind that has no rule of its own.
    pub keep: usize,
    /// The newest ones of a kind, counted apart from the others.
    pub per_kind: BTreeMap<BackupKind, usize>,
}

impl Default for RetentionPolicy {
    /// The newest 30, as in the original.
    fn default() -> Self {
        Self { keep: 30, per_kind: BTreeMap::new() }
    }
}

impl RetentionPolicy {
    /// The backups to delete, oldest first. Order is that of the sequence, so a wrong clock deletes
    /// nothing by mistake; the newest verified backup always stays.
    ///
    /// ```
    /// use trivia_domain::model::RetentionPolicy;
    /// assert!(RetentionPolicy::default().expired(&[]).is_empty());
    /// ```
    #[must_use]
    pub fn expired(&self, backups: &[BackupInfo]) -> Vec<BackupId> {
        let mut newest_first: Vec<&BackupInfo> = backups.iter().collect();
        newest_first.sort_by_key(|backup| std::cmp::Reverse(backup.manifest.sequence));
        let last_verified = newest_first.iter().find(|backup| backup.verified).map(|backup| &backup.manifest.id);
        let mut seen: BTreeMap<Option<BackupKind>, usize> = BTreeMap::new();
        let mut expired = Vec::new();
        for backup in &newest_first {
            let kind = backup.manifest.kind;
            let (group, keep) = match self.per_kind.get(&kind) {
                Some(keep) => (Some(kind), *keep),
                None => (None, self.keep),
            };
            let rank = seen.entry(group).or_default();
            *rank += 1;
            if *rank > keep && Some(&backup.manifest.id) != last_verified {
                expired.push(backup.manifest.id.clone());
            }
        }
        expired.reverse();
        expired
    }
}
