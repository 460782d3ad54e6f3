//! Starts a driven process, with or without a fault, and hears what it says.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::check::{Harm, Kind, Promises};
use super::drive::Operation;
use super::lab::Lab;
use super::play::{Line, Told};

/// How long an operation may take under a fault.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the shim does. The names of the calls and actions are those of `shim.c`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault {
    pub(crate) calls: &'static str,
    pub(crate) action: &'static str,
    pub(crate) at: u64,
    pub(crate) times: u64,
    pub(crate) errno: i32,
    /// Thousandths of a torn write.
    pub(crate) keep: u64,
    /// Chance for what a cut leaves; 0 is nothing.
    pub(crate) some: u64,
    /// Whether every sync lies.
    pub(crate) lie: bool,
    pub(crate) trace: Option<PathBuf>,
}

/// How a process is started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) operation: Operation,
    pub(crate) seed: u64,
    pub(crate) moves: Option<u64>,
    pub(crate) writers: u64,
    pub(crate) normal: bool,
    pub(crate) fault: Option<Fault>,
    /// What a shell does before, up to the `exec` of the program: a limit, another user.
    pub(crate) shell: Option<String>,
}

impl Start {
    pub(crate) const fn new(operation: Operation, seed: u64) -> Self {
        Self { operation, seed, moves: None, writers: 4, normal: false, fault: None, shell: None }
    }

    pub(crate) fn with(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

/// A process that runs.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<(Instant, String)>,
    stderr: JoinHandle<String>,
    heard: Vec<(Instant, Line)>,
}

/// A process that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) heard: Vec<(Instant, Line)>,
    stderr: String,
    /// It did not end by itself.
    hung: bool,
}

impl Running {
    pub(crate) fn start(lab: &Lab, dir: &Path, start: &Start) -> Self {
        let program = lab.driver();
        let mut command = match &start.shell {
            Some(shell) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(format!("{shell} \"$0\" \"$@\"")).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.arg("drive").arg(start.operation.name()).arg("--dir").arg(dir);
        let arm = lab.path("armed");
        command.arg("--arm").arg(&arm).args(["--seed", &start.seed.to_string()]);
        command.args(["--writers", &start.writers.to_string()]);
        if let Some(moves) = start.moves {
            command.args(["--moves", &moves.to_string()]);
        }
        if start.normal {
            command.arg("--normal");
        }
        if let Some(fault) = &start.fault {
            command.env("LD_PRELOAD", lab.shim()).env("FAULT_DIR", dir).env("FAULT_ARM", &arm);
            command.env("FAULT_CALLS", fault.calls).env("FAULT_ACTION", fault.action);
            for (name, value) in [
                ("FAULT_AT", fault.at),
                ("FAULT_TIMES", fault.times.max(1)),
                ("FAULT_KEEP", fault.keep),
                ("FAULT_SOME", fault.some),
                ("FAULT_LIE", fault.lie.into()),
            ] {
                command.env(name, value.to_string());
            }
            command.env("FAULT_ERRNO", fault.errno.to_string());
            if let Some(trace) = &fault.trace {
                command.env("FAULT_TRACE", trace);
            }
        }
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("this program starts");
        let (sender, lines) = channel();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            let mut line = String::new();
            // a line without its end is one that the process was writing when it died: nobody was told
            while stdout.read_line(&mut line).is_ok() && line.ends_with('\n') {
                if sender.send((Instant::now(), std::mem::take(&mut line))).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("it is piped");
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            // what it could not say does not matter
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, stderr, heard: Vec::new() }
    }

    /// Waits until it has said something that counts; `false` when it ends before.
    pub(crate) fn hear_until(&mut self, wanted: impl Fn(&[(Instant, Line)]) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.heard) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((at, line)) => self.heard.push((at, parse(&line))),
                Err(_) => return false,
            }
        }
        true
    }

    /// Waits until it has acknowledged so many moves.
    pub(crate) fn hear_acknowledgements(&mut self, number: usize) -> bool {
        self.hear_until(|heard| {
            heard.iter().filter(|(_, line)| matches!(line, Line::Acknowledged { .. })).count() >= number
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // it may have ended by itself
        let _ = kill_process(pid, signal);
    }

    /// Kills it and takes its last words.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        self.end()
    }

    /// Waits for its end; one that does not come is made.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        let mut hung = false;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((at, line)) => self.heard.push((at, parse(&line))),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if hung => break,
                Err(RecvTimeoutError::Timeout) => {
                    hung = true;
                    self.signal(Signal::KILL);
                }
            }
        }
        let status = self.child.wait().expect("it is ours");
        Ended { status, heard: self.heard, stderr: self.stderr.join().unwrap_or_default(), hung }
    }
}

fn parse(line: &str) -> Line {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

impl Ended {
    /// Takes back what it said later, also which moves it sent: their sessions may be promised by nobody.
    pub(crate) fn forget_after(&mut self, instant: Instant) {
        self.heard.retain(|(at, _)| *at <= instant);
    }

    /// Takes back that it did not work again: the fault was not over.
    pub(crate) fn forgive(&mut self) {
        self.heard.retain(|(_, line)| !matches!(line, Line::Unhealed { .. }));
    }

    /// The errors that it told.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &Told> {
        self.heard.iter().filter_map(|(_, line)| line.error())
    }

    /// Whether it said so.
    pub(crate) fn has_done(&self, wanted: &str) -> bool {
        self.heard.iter().any(|(_, line)| matches!(line, Line::Done { what } if what == wanted))
    }

    /// Adds what it promised, and says what is wrong with its behaviour.
    pub(crate) fn tell(&self, promises: &mut Promises) -> Vec<Harm> {
        let mut harms: Vec<_> = self.heard.iter().flat_map(|(_, line)| promises.hear(line)).collect();
        if self.hung {
            harms.push(Harm::new(Kind::Manners, format!("it had not ended after {PATIENCE:?}")));
        }
        if self.stderr.contains("panicked") || self.status.code().is_some_and(|code| code != 0) {
            let last = self.stderr.lines().rev().take(3).collect::<Vec<_>>().join(" | ");
            harms.push(Harm::new(Kind::Manners, format!("it ended with {}: {last}", self.status)));
        } else if self.status.signal().is_some_and(|signal| signal != 9) {
            harms.push(Harm::new(Kind::Manners, format!("it was ended by {}", self.status)));
        }
        harms
    }
}
