//! Whether the target is an earlier copy of the same game: it has nothing that the source has not.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, EntityTrait, Value};
use trivia_domain::{StoreError, StoreResult};

use super::compare::Difference;
use super::row::Row;
use super::tables::{Table, place};
use crate::entity::{ledger, merges, questions, rule_book, users};
use crate::error::During;
use crate::repository::erasing::{self, fingerprint};

/// Strangers that are named.
const NAMED: usize = 3;

/// What the source knows of players who are not what they were, and what was found that it does not know.
pub(super) struct Lineage {
    /// Fingerprints of those who were erased or went into another, by their salt.
    gone: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>,
    /// Players into whom others went: their facts have other numbers now.
    united: BTreeSet<i64>,
    strangers: Vec<String>,
}

impl Lineage {
    pub(super) async fn of(source: &impl ConnectionTrait) -> StoreResult<Self> {
        let merged = merges::Entity::find().all(source).await.during("reading merges")?;
        let united = merged.iter().map(|row| row.user_id).collect();
        let merged = merged.into_iter().map(|row| (row.salt, row.fingerprint));
        let erased = erasing::list(source).await?.into_iter().map(|row| (row.salt, row.fingerprint));
        let mut gone: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (salt, fingerprint) in merged.chain(erased) {
            gone.entry(salt).or_default().insert(fingerprint);
        }
        Ok(Self { gone, united, strangers: Vec::new() })
    }

    /// Looks at something that the source has not, or has in another form. Other tables follow from these, or change
    /// while a game goes on.
    pub(super) fn examine(&mut self, table: &Table, difference: &Difference) {
        let (source, target) = match difference {
            Difference::Missing(_) => return,
            Difference::Changed { source, target } => (Some(source), target),
            Difference::Surplus(target) => (None, target),
        };
        let is_known = match (table.name, source) {
            ("users", None) => self.may_change(target),
            ("users", Some(source)) => self.may_change(target) || same(source, target, place(users::Column::CreatedAt)),
            ("ledger", None) => self.may_change(target),
            ("ledger", Some(source)) => self.may_change(target) || same(source, target, place(ledger::Column::Key)),
            ("questions", Some(source)) => same(source, target, place(questions::Column::CreatedAt)),
            ("rule_book", Some(source)) => !is_newer(target, source),
            ("questions" | "packs" | "erasures" | "closed_periods", None) => false,
            _ => true,
        };
        if !is_known {
            self.strangers.push(format!("row {} of {}", target.name(), table.name));
            // one more says that there are more
            self.strangers.truncate(NAMED + 1);
        }
    }

    /// Whether the player of a row was erased or merged in the source, since.
    fn may_change(&self, row: &Row) -> bool {
        let Some(Value::BigInt(Some(user))) = row.values.first() else { return false };
        self.united.contains(user)
            || self.gone.iter().any(|(salt, fingerprints)| fingerprints.contains(&fingerprint(salt, *user)))
    }

    /// Refuses a target that has something of its own.
    pub(super) fn verdict(self, target: &str) -> StoreResult<()> {
        if self.strangers.is_empty() {
            return Ok(());
        }
        let more = if self.strangers.len() > NAMED { ", and more" } else { "" };
        let named: Vec<_> = self.strangers.into_iter().take(NAMED).collect();
        let reason = format!(
            "{target} has what the source has not: {}{more}; only an empty database, or an earlier copy of the \
             same game that nobody has played on, is copied into",
            named.join(", ")
        );
        Err(StoreError::invalid("target", reason))
    }
}

fn same(one: &Row, other: &Row, place: usize) -> bool {
    one.values.get(place) == other.values.get(place)
}

/// Whether the rules were changed in the target.
fn is_newer(target: &Row, source: &Row) -> bool {
    let revision = |row: &Row| match row.values.get(place(rule_book::Column::Revision)) {
        Some(Value::BigInt(revision)) => *revision,
        _ => None,
    };
    revision(target) > revision(source)
}
