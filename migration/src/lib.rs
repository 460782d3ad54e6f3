//! The schema of trivia-store in versioned, reversible steps.
//!
//! Step 1 is the schema of the system that this project replaces, so that its database can be taken
//! over in place ([`original::adopt`]); the later steps turn it into ours and carry its rows along.
//! [`Migrator`] runs them, for the library as for `sea-orm-cli migrate -d migration`.
//!
//! Each step runs in one transaction together with its line in `schema_version`, and has a `down`
//! that gives the earlier tables back with their rows. `NOTES.md` lists the pitfalls that were met.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

use sea_orm_migration::prelude::*;

pub use sea_orm_migration::MigratorTrait;

pub mod helpers;
pub mod original;
mod quarantine;
mod rows;

mod m20261122_000001_original_schema;
mod m20261122_000002_quarantine;
mod m20261122_000003_sessions;
mod m20261122_000004_questions;
mod m20261122_000005_players;
mod m20261122_000006_picks;
mod m20261122_000007_rules;
mod m20261122_000008_challenges;
mod m20261122_000009_erasures;
mod m20261122_000010_unprojected;
mod m20261122_000011_score_counts;
mod m20261123_000012_commit_count;
mod m20261123_000013_packs_and_tags;
mod m20261123_000014_question_reports;
mod m20261123_000015_language_groups;

/// All steps in order; `schema_version` says which ones have run.
#[derive(Debug, Clone, Copy)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_original_schema::Migration),
            Box::new(m20261122_000002_quarantine::Migration),
            Box::new(m20261122_000003_sessions::Migration),
            Box::new(m20261122_000004_questions::Migration),
            Box::new(m20261122_000005_players::Migration),
            Box::new(m20261122_000006_picks::Migration),
            Box::new(m20261122_000007_rules::Migration),
            Box::new(m20261122_000008_challenges::Migration),
            Box::new(m20261122_000009_erasures::Migration),
            Box::new(m20261122_000010_unprojected::Migration),
            Box::new(m20261122_000011_score_counts::Migration),
            Box::new(m20261123_000012_commit_count::Migration),
            Box::new(m20261123_000013_packs_and_tags::Migration),
            Box::new(m20261123_000014_question_reports::Migration),
            Box::new(m20261123_000015_language_groups::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        original::VERSION_TABLE.into_iden()
    }
}
