//! What `serve` tells others over HTTP: whether it lives, whether it is ready, and figures.
//!
//! [`http`] takes connections and keeps limits, [`site`] answers, [`metrics`] writes the figures down,
//! [`notify`] tells the service manager.

pub(crate) mod http;
mod metrics;
pub(crate) mod notify;
pub(crate) mod site;
