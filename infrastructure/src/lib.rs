//! The adapters of [`trivia_domain`]: repositories, backups and maintenance on SQLite through SeaORM; with feature
//! `postgres` also all but recovery and adoption on a PostgreSQL server.
//!
//! Start with [`Database::open`]; it is a [`Store`](trivia_domain::ports::Store) and a
//! [`MaintenancePort`](trivia_domain::ports::MaintenancePort). [`SqliteBackups`] looks after copies,
//! [`SqliteRecovery`] after damage, [`SqliteAdoption`] after moving in, [`schema`] after versions, and a
//! [`Scheduler`] does what has to be done regularly.
//!
//! ```no_run
//! use std::sync::Arc;
//! use trivia_domain::model::UserId;
//! use trivia_domain::ports::Repositories;
//! use trivia_infrastructure::{Database, DatabaseOptions, SystemClock, SystemRandom, schema};
//!
//! # async fn example() -> trivia_domain::StoreResult<()> {
//! let options = DatabaseOptions::new("sqlite://data/trivia.db".parse()?);
//! schema::up(&options, None).await?;
//! let database = Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
//! let profile = database.users().get_or_create(UserId::new(7)?).await?;
//! println!("{} points", profile.total_points);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod backup;
mod clock;
mod copying;
mod database;
mod dialect;
mod entity;
mod error;
mod random;
mod read_model;
mod repository;
mod scheduler;
pub mod schema;

#[cfg(feature = "postgres")]
pub use backup::PostgresBackups;
pub use backup::{BackupOptions, BackupRecipient, Directory, SqliteAdoption, SqliteBackups, SqliteRecovery};
#[cfg(feature = "s3")]
pub use backup::{S3Options, S3Store};
pub use clock::SystemClock;
pub use copying::{Content, CopiedTable, CopyReport, GameCopy};
pub use database::{Database, DatabaseOptions, DatabaseUrl, Durability};
pub use random::SystemRandom;
pub use scheduler::{Attempt, SchedulePolicy, Scheduler, SchedulerLock, SchedulerPorts, TaskStatus};
