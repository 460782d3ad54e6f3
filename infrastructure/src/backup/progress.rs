//! Telling how far something is that tells nothing itself.

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use trivia_domain::ports::{Phase, Progress};

/// Between two looks at a file that grows.
const LOOK: Duration = Duration::from_millis(100);

/// Nobody wants to know.
pub(crate) struct Silent;

impl Progress for Silent {
    fn at(&self, _phase: Phase, _done: u64, _total: Option<u64>) {}

    fn end(&self) {}
}

/// Says at the end of an operation that it is over, however it ends.
pub(crate) struct Shown(pub(crate) Arc<dyn Progress>);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Tells the length of a file while something is written into it.
pub(super) async fn while_growing<T>(
    progress: &dyn Progress,
    (phase, file, total): (Phase, &Path, Option<u64>),
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(LOOK) => {
                // it may not be there yet
                let length = fs::metadata(file).map_or(0, |file| file.len());
                progress.at(phase, length, total);
            }
        }
    }
}
