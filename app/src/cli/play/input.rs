//! What is typed.

use std::io::{self, BufRead};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::error::Failure;

/// Lines from the terminal.
pub(super) struct Input {
    lines: mpsc::UnboundedReceiver<String>,
    interrupt: Signal,
}

/// What came from the terminal.
pub(super) enum Line {
    Text(String),
    End,
    Interrupted,
}

impl Input {
    /// Starts to listen.
    pub(super) fn new() -> Result<Self, Failure> {
        let interrupt = signal(SignalKind::interrupt())
            .map_err(|error| Failure::because("cannot listen for Ctrl-C", "report this as a defect", error))?;
        let (sender, lines) = mpsc::unbounded_channel();
        // a thread of its own: a read from a terminal cannot be called off
        std::thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            let mut line = Vec::new();
            while stdin.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Ok(Self { lines, interrupt })
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> Line {
        tokio::select! {
            line = self.lines.recv() => line.map_or(Line::End, Line::Text),
            _ = self.interrupt.recv() => Line::Interrupted,
        }
    }
}
