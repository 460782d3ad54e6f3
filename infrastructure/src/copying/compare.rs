//! Two sides of a table, row by row.

use std::cmp::Ordering;

use trivia_domain::StoreResult;

use super::report::Content;
use super::row::Row;
use super::rows::Rows;

/// What is not the same on both sides.
#[derive(Debug)]
pub(super) enum Difference {
    /// Only the source has it.
    Missing(Row),
    /// Both have the key, with other values.
    Changed { source: Row, target: Row },
    /// Only the target has it.
    Surplus(Row),
}

/// Goes through both sides in the order of the key.
pub(super) struct Comparison<'a> {
    source: Rows<'a>,
    /// `None` while the target has no tables yet.
    target: Option<Rows<'a>>,
    /// Rows that are the same.
    pub(super) same: u64,
}

impl<'a> Comparison<'a> {
    pub(super) const fn new(source: Rows<'a>, target: Option<Rows<'a>>) -> Self {
        Self { source, target, same: 0 }
    }

    /// The next difference.
    pub(super) async fn next(&mut self) -> StoreResult<Option<Difference>> {
        let Some(target) = &mut self.target else {
            return Ok(self.source.next().await?.map(Difference::Missing));
        };
        loop {
            let side = match (self.source.peek().await?, target.peek().await?) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(source), Some(target)) => source.key.cmp(&target.key),
            };
            return Ok(match side {
                Ordering::Less => self.source.take().map(Difference::Missing),
                Ordering::Greater => target.take().map(Difference::Surplus),
                Ordering::Equal => match (self.source.take(), target.take()) {
                    (Some(source), Some(target)) if source.form != target.form => {
                        Some(Difference::Changed { source, target })
                    }
                    _ => {
                        self.same += 1;
                        continue;
                    }
                },
            });
        }
    }

    /// Bytes of the source that were read.
    pub(super) const fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// What is on both sides, after the last difference.
    pub(super) fn contents(self) -> (Content, Content) {
        (self.source.content(), self.target.map(Rows::content).unwrap_or_default())
    }
}
