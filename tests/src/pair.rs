//! Two hosts of the tests' own: a primary and its synchronous standby, gone with the test process, however it ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use trivia_infrastructure::{DatabaseOptions, schema};

use crate::postgres::{programs, required, unprivileged};

/// Makes a cluster that is copied, says so, and waits: for the end of its input, which comes with the end of the test
/// process. Servers work in their directory, so all of their processes are found, also those that are stopped.
const SCRIPT: &str = r#"
"$BIN/initdb" --pgdata="$DIR/template" --username=trivia --auth=trust --encoding=UTF8 --locale=C --no-sync >"$DIR/log" &&
echo ready && read -r _
found=yes
while [ -n "$found" ]; do
    found=
    for process in /proc/[0-9]*; do
        case "$(readlink "$process/cwd" 2>/dev/null)" in
            "$DIR"/*) kill -9 "${process#/proc/}" && found=yes ;;
        esac
    done
done
rm -rf "$DIR"
"#;

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The primary at first.
    First,
    /// The standby at first.
    Second,
}

impl Host {
    const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// A primary and its standby, without whose word nothing is acknowledged.
pub struct Pair {
    dir: PathBuf,
    bin: PathBuf,
    // its input is open as long as this process lives
    _keeper: Child,
}

impl Pair {
    /// Both, running and in step, with an empty game; `None`, said aloud, when PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it is installed and cannot be started, or is required and not installed.
    pub async fn start() -> Option<Self> {
        let bin = required(programs())?;
        // not one that removes itself: the script does, also when this process is killed
        let dir = tempfile::Builder::new().prefix("trivia-pair-").tempdir().unwrap().keep();
        let mut script = Command::new("sh");
        script.args(["-c", SCRIPT]).env("BIN", &bin).env("DIR", &dir).process_group(0).current_dir(&dir);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(dir.join("errors")).unwrap());
        if fs::metadata(&dir).unwrap().uid() == 0 {
            // a server refuses to run as root
            let (user, group) = unprivileged();
            chown(&dir, Some(user), Some(group)).unwrap();
            script.uid(user).gid(group);
        }
        let mut keeper = script.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{}", fs::read_to_string(dir.join("errors")).unwrap());
        let pair = Self { dir, bin, _keeper: keeper };
        // what each round begins with
        pair.serve("template", Host::First, &["fsync=off"]);
        pair.ask("postgres", Host::First, "CREATE DATABASE game").await;
        schema::up(&pair.options(&[Host::First]), None).await.unwrap();
        pair.control("template", &["stop", "--mode=fast", "--wait"]);
        pair.renew().await;
        Some(pair)
    }

    /// Begins anew: whatever ran is gone, and both are in step.
    pub async fn renew(&self) {
        for host in [Host::First, Host::Second] {
            self.kill(host);
            self.run(&["rm", "-rf", &self.data(host.name())]);
            self.run(&["cp", "-a", &self.data("template"), &self.data(host.name())]);
        }
        self.run(&["touch", &format!("{}/standby.signal", self.data(Host::Second.name()))]);
        self.serve(Host::First.name(), Host::First, &["synchronous_standby_names=second"]);
        let primary = format!("primary_conninfo=host={} user=trivia application_name=second", self.socket(Host::First));
        self.serve(Host::Second.name(), Host::Second, &[&primary]);
        let is_in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let until = Instant::now() + PATIENCE;
        while self.ask("game", Host::First, is_in_step).await != 1 {
            assert!(Instant::now() < until, "the standby does not follow");
        }
    }

    /// How to open the game on these hosts, in this order.
    #[must_use]
    pub fn options(&self, hosts: &[Host]) -> DatabaseOptions {
        DatabaseOptions::new(self.url("game", hosts).parse().unwrap())
    }

    fn url(&self, database: &str, hosts: &[Host]) -> String {
        let sockets: Vec<_> = hosts.iter().map(|host| self.socket(*host)).collect();
        format!("postgres://trivia@localhost/{database}?host={}", sockets.join(","))
    }

    /// A number that a host knows.
    pub async fn number(&self, host: Host, sql: &str) -> i64 {
        self.ask("game", host, sql).await
    }

    async fn ask(&self, database: &str, host: Host, sql: &str) -> i64 {
        let connection = connect(&self.url(database, &[host])).await;
        let row =
            connection.query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql)).await.unwrap();
        connection.close().await.unwrap();
        row.map_or(0, |row| row.try_get_by_index(0).unwrap_or(0))
    }

    /// Ends all processes of a host at once, also those that are stopped.
    pub fn kill(&self, host: Host) {
        while self.signal(host, "KILL") {
            std::thread::yield_now();
        }
    }

    /// Stops all processes of a host: its system still accepts connections, and nobody answers.
    pub fn freeze(&self, host: Host) {
        self.signal(host, "STOP");
        // one that was just begun
        self.signal(host, "STOP");
    }

    /// Lets all processes of a host go on.
    pub fn thaw(&self, host: Host) {
        self.signal(host, "CONT");
    }

    /// Makes a standby the primary.
    pub fn promote(&self, host: Host) {
        self.control(host.name(), &["promote", "--wait"]);
    }

    /// Sends a signal to all processes of a host; `false` when there is none.
    fn signal(&self, host: Host, signal: &str) -> bool {
        let data = PathBuf::from(self.data(host.name()));
        let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
            let works_in = fs::read_link(process.path().join("cwd")).ok()?;
            let is_alive = || !fs::read_to_string(process.path().join("stat")).is_ok_and(|stat| stat.contains(") Z "));
            (works_in == data && is_alive()).then(|| process.file_name().into_string().ok())?
        });
        let processes: Vec<_> = processes.collect();
        if !processes.is_empty() {
            // one of them may have ended meanwhile
            let _ = Command::new("sh").args(["-c", &format!("kill -{signal} {}", processes.join(" "))]).output();
        }
        !processes.is_empty()
    }

    /// Starts a server on the data of that name.
    fn serve(&self, data: &str, host: Host, settings: &[&str]) {
        let socket = self.socket(host);
        let mut options = format!("-k {socket} -h ''");
        let own = ["max_connections=100", "deadlock_timeout=100ms", "wal_retrieve_retry_interval=100ms"];
        for setting in own.iter().chain(settings) {
            options.push_str(&format!(" -c \"{setting}\""));
        }
        let log = format!("--log={}/{data}.log", self.dir.display());
        // the lock of one that was killed is in the way when its process number is somebody else's by now
        self.run(&["rm", "-rf", &socket]);
        self.run(&["mkdir", "-p", &socket]);
        self.control(data, &["start", "--wait", &log, &format!("--options={options}")]);
    }

    fn control(&self, data: &str, arguments: &[&str]) {
        let program = self.bin.join("pg_ctl").display().to_string();
        let log = self.dir.join(format!("{data}.log"));
        let data = self.data(data);
        let ended = self.ended(&[&[program.as_str()], arguments, &["--silent", "--pgdata", &data]].concat());
        if let Err(said) = ended {
            panic!("{said} {}", fs::read_to_string(log).unwrap_or_default());
        }
    }

    /// Runs a program as the one who owns the servers.
    fn run(&self, line: &[&str]) {
        self.ended(line).unwrap();
    }

    /// The same; what it says when it fails.
    fn ended(&self, line: &[&str]) -> Result<(), String> {
        let owner = fs::metadata(&self.dir).unwrap();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).uid(owner.uid()).gid(owner.gid()).current_dir(&self.dir);
        let errors = self.dir.join("errors");
        let said = fs::File::create(&errors).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let status = command.status().unwrap();
        let said = || format!("{line:?}: {status} {}", fs::read_to_string(&errors).unwrap_or_default());
        status.success().then_some(()).ok_or_else(said)
    }

    fn data(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn socket(&self, host: Host) -> String {
        self.dir.join("sockets").join(host.name()).display().to_string()
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}
