//! Connections: one that writes, some that read, and what is known about them.

mod connect;
mod health;
mod monitor;
mod options;
mod retry;
mod scope;
mod stats;
mod writer;

pub use connect::Database;
pub(crate) use connect::{Core, connect_single};
pub(crate) use monitor::Monitor;
pub use options::{DatabaseOptions, DatabaseUrl, Durability};
pub(crate) use scope::Scope;
pub(crate) use writer::Job;
