//! A slice of a list.

use serde::{Deserialize, Serialize};

/// At most `limit` entries with an id greater than `after`, in order of id: a keyset page,
/// which costs the same at the end of a list as at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Id of the last entry that was seen; `None` starts at the beginning.
    pub after: Option<i64>,
    /// Most entries.
    pub limit: u32,
}

impl Page {
    /// The first `limit` entries.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The `limit` entries that follow the id `after`.
    #[must_use]
    pub const fn after(after: i64, limit: u32) -> Self {
        Self { after: Some(after), limit }
    }
}
