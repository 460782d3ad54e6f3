//! Logs on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogFormat;
use crate::output::wants_colours;

/// Starts logging. `RUST_LOG` can ask for more or less than `level`.
pub(crate) fn start(level: LevelFilter, format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal() && wants_colours()).init(),
        LogFormat::Json => logs.json().init(),
    }
}
