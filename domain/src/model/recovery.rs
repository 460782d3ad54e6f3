//! What the recovery of a damaged database did.

use serde::{Deserialize, Serialize};

use super::{BackupId, BackupInfo};

/// What a recovered database was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecoverySource {
    /// The database is whole: nothing was recovered and nothing was changed.
    Nothing,
    /// Only indexes were damaged, they were made anew.
    Indexes,
    /// The newest verified backup, and whatever the damaged file has besides.
    Backup,
    /// The damaged file alone: there is no verified backup.
    Salvage,
}

/// What became of the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecoveredTable {
    /// The table.
    pub table: String,
    /// Rows of the backup.
    pub base: u64,
    /// Rows that were found whole in the damaged file.
    pub salvaged: u64,
    /// Those of them that the backup did not have, or had in an older form, and that were taken.
    pub merged: u64,
    /// Those of them that were refused; the quarantine file says why.
    pub quarantined: u64,
    /// Cells of the damaged file that hold no whole row. The backup may have it.
    pub damaged: u64,
    /// Rows of the result that stand for lost ones, so that what refers to them or follows them stays.
    pub placeholders: u64,
    /// Rows of the result.
    pub rows: u64,
}

/// What a recovery found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryReport {
    /// What the result was made from.
    pub source: RecoverySource,
    /// Whether nothing was changed, because only a look was wanted.
    pub dry_run: bool,
    /// What was wrong with the database; empty when nothing was.
    pub problems: Vec<String>,
    /// The backup that the result is based on.
    pub backup: Option<BackupId>,
    /// The tables with facts and settings; what is derived from them was computed anew.
    pub tables: Vec<RecoveredTable>,
    /// Rows of these tables in the result, without those that stand for lost ones.
    pub rescued: u64,
    /// Rows that are known to be lost; pages that cannot be read may have held more.
    pub lost: u64,
    /// Rows that were refused.
    pub quarantined: u64,
    /// Pages of the damaged file that nothing explains.
    pub unreadable_pages: u64,
    /// Where the damaged files were copied to, with their digests.
    pub forensics: Option<String>,
    /// The file with the refused rows, one JSON object a line.
    pub quarantine: Option<String>,
    /// Where the damaged database itself is now.
    pub set_aside: Option<String>,
    /// The first backup of the result.
    pub new_backup: Option<BackupInfo>,
}
