//! Redis with one sorted set a board, over a socket on this machine and without persistence.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use redis::{Connection, RedisResult, cmd, pipe};

use crate::report::said;

/// A member and its score.
pub(crate) type Entry = (u64, f64);

/// Which Redis is installed.
pub(crate) fn version() -> Option<String> {
    let line = said("redis-server", &["--version"])?;
    let version = line.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    Some(version.to_owned())
}

/// A server of its own and a connection to it.
pub(crate) struct Redis {
    connection: Connection,
    server: Child,
    /// Held open, so that the server can go on to write there.
    _output: BufReader<ChildStdout>,
}

impl Redis {
    /// Starts a server that writes nothing; `None` when none is installed.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        version()?;
        // the system chooses a free port; it is free again when the listener is dropped
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).ok()?.port();
        let mut server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut output = BufReader::new(server.stdout.take()?);
        let mut line = String::new();
        while !line.contains("Ready to accept connections") {
            line.clear();
            if output.read_line(&mut line).ok()? == 0 {
                server.wait().ok()?;
                return None;
            }
        }
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).ok()?;
        let connection = client.get_connection().expect("the server accepts connections");
        Some(Self { connection, server, _output: output })
    }

    /// The server, to count its processor time.
    pub(crate) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Writes a board.
    pub(crate) fn fill(&mut self, board: &str, entries: impl Iterator<Item = (u64, i64)>) -> RedisResult<()> {
        let mut entries = entries.peekable();
        while entries.peek().is_some() {
            let mut pipe = pipe();
            for (member, score) in entries.by_ref().take(10_000) {
                pipe.cmd("ZADD").arg(board).arg(score).arg(member).ignore();
            }
            pipe.exec(&mut self.connection)?;
        }
        Ok(())
    }

    /// How many are before a member.
    pub(crate) fn rank(&mut self, board: &str, member: u64) -> RedisResult<Option<i64>> {
        cmd("ZREVRANK").arg(board).arg(member).query(&mut self.connection)
    }

    /// The entries from one place to another.
    pub(crate) fn range(&mut self, board: &str, first: i64, last: i64) -> RedisResult<Vec<Entry>> {
        cmd("ZREVRANGE").arg(board).arg(first).arg(last).arg("WITHSCORES").query(&mut self.connection)
    }

    /// A member with those who are next to it.
    pub(crate) fn around(&mut self, board: &str, member: u64, radius: i64) -> RedisResult<Vec<Entry>> {
        match self.rank(board, member)? {
            Some(place) => self.range(board, (place - radius).max(0), place + radius),
            None => Ok(Vec::new()),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // it is gone in either case
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
