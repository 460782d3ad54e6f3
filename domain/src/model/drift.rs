//! What a stored number should have been.

use serde::{Deserialize, Serialize};

/// A stored value that does not follow from the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Table of the value.
    pub table: String,
    /// Key of its row.
    pub id: String,
    /// Its column; `*` when the whole row is missing or too much.
    pub column: String,
    /// What is stored, as JSON; `null` when the row is missing.
    pub stored: String,
    /// What the fold over the ledger gives, as JSON; `null` when there should be no row.
    pub folded: String,
}
