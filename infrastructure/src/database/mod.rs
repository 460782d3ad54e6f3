//! Connections: one that writes, some that read, and what is known about them.

mod connect;
mod core;
mod engine;
mod handle;
mod head;
mod health;
#[cfg(feature = "postgres")]
mod hosts;
mod line;
mod locks;
mod monitor;
mod options;
mod projector;
mod retry;
mod scope;
#[cfg(feature = "postgres")]
mod server;
mod shortage;
mod space;
mod stats;
mod tasks;
mod transaction;
mod watch;
mod writer;

pub(crate) use crate::dialect::tables;
pub(crate) use connect::{connect_existing, connect_or_create, verify_settings};
pub(crate) use core::{Core, Pools};
pub use handle::Database;
pub(crate) use head::{Head, KEPT, SUFFIX as HEAD, advance, beside, forget as forget_head, keep_log, loss, number};
pub(crate) use line::Line;
pub(crate) use locks::{is_locked, writer};
pub(crate) use monitor::Monitor;
pub use options::{DatabaseOptions, DatabaseUrl, Durability};
pub(crate) use projector::settle;
pub(crate) use scope::{Scope, unless_lost};
pub(crate) use shortage::{explain, explained, left, translated};
pub(crate) use transaction::{Needs, Transaction};
pub(crate) use watch::{Moment, Watch};
pub(crate) use writer::Job;
