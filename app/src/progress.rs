//! How far a backup is, on stderr.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use trivia_domain::ports::{Phase, Progress};

/// Between two pictures of something whose end nobody knows.
const TICK: Duration = Duration::from_millis(120);

/// A bar that is there while something is done. The library draws on terminals only.
#[derive(Default)]
pub(crate) struct Bar {
    shown: Mutex<Option<(Phase, ProgressBar)>>,
}

impl Bar {
    fn shown(&self) -> MutexGuard<'_, Option<(Phase, ProgressBar)>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bar {
    fn at(&self, phase: Phase, done: u64, total: Option<u64>) {
        let mut shown = self.shown();
        if let Some((_, bar)) = shown.take_if(|(before, _)| *before != phase) {
            bar.finish_and_clear();
        }
        let (_, bar) = shown.get_or_insert_with(|| (phase, begin(phase, total)));
        if let Some(total) = total {
            // an estimate may be too low
            bar.set_length(total.max(done));
            bar.set_position(done);
        }
    }

    fn end(&self) {
        if let Some((_, bar)) = self.shown().take() {
            bar.finish_and_clear();
        }
    }
}

fn begin(phase: Phase, total: Option<u64>) -> ProgressBar {
    let message = match phase {
        Phase::Copy => "copying",
        Phase::Check => "checking",
        Phase::Pack => "packing",
        Phase::Store => "storing",
        Phase::Fetch => "fetching",
        Phase::Unpack => "unpacking",
        _ => "working",
    };
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg:10} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}"),
        None => (ProgressBar::new_spinner(), "{msg:10} {spinner} {elapsed}"),
    };
    if total.is_none() {
        bar.enable_steady_tick(TICK);
    }
    // the templates are constant; one that is wrong gives a plain bar
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(message)
}
