//! What a copy did.

use serde::{Deserialize, Serialize};

/// What is in a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// Number of rows.
    pub rows: u64,
    /// SHA-256 of the rows in the order of their key, in hexadecimal: equal rows have equal digests, whichever engine
    /// holds them.
    pub sha256: String,
}

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CopiedTable {
    /// The table.
    pub table: String,
    /// What the source has.
    pub source: Content,
    /// What the target has: after the copy, and in a rehearsal now.
    pub target: Content,
    /// Rows that the target lacked, or had in another form.
    pub copied: u64,
    /// Rows of the target that the source does not have any more.
    pub removed: u64,
    /// Rows that the target had already.
    pub skipped: u64,
    /// Whether both have the same rows.
    pub equal: bool,
}

/// What a copy did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyReport {
    /// Where the game is, without a password.
    pub from: String,
    /// Where it was copied to, without a password.
    pub to: String,
    /// Whether nothing was changed, because only a look was wanted.
    pub dry_run: bool,
    /// Whether all tables are the same on both sides.
    pub equal: bool,
    /// Steps of the schema that were applied to the target, or would be.
    pub migrations: Vec<String>,
    /// Every table of the game.
    pub tables: Vec<CopiedTable>,
    /// Players whose newest facts were still to be counted in the source, and now are in the target. A file counts
    /// them when it is opened; afterwards both have other rows for these players, and the same facts.
    pub caught_up: u64,
}
