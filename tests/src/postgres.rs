//! A PostgreSQL server of the tests' own: one for each test process, gone with it, however it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use tokio::sync::OnceCell;
use trivia_infrastructure::{DatabaseOptions, DatabaseUrl, schema};

/// When one of these variables is set, a server that is not there fails the tests that need one.
const REQUIRE: [&str; 2] = ["TRIVIA_TEST_REQUIRE_POSTGRES", "TRIVIA_TEST_REQUIRE_ALL"];

/// Makes a cluster, starts its server, says so, and waits: for the end of its input, which comes with the end of the
/// test process. It flushes as a real one does, because stores refuse one that does not.
const SCRIPT: &str = r#"
"$BIN/initdb" --pgdata="$DIR/data" --username=trivia --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 \
    --locale=C --no-sync >"$DIR/log" &&
"$BIN/pg_ctl" start --wait --silent --pgdata="$DIR/data" --log="$DIR/log" --options="-k $DIR $LISTEN \
    -c max_connections=300 -c deadlock_timeout=100ms -c log_min_messages=warning" &&
echo ready && read -r _
"$BIN/pg_ctl" stop --silent --mode=immediate --pgdata="$DIR/data"
rm -rf "$DIR"
"#;

/// What a server that nobody finds by the network is told.
const NOWHERE: &str = "-h ''";
/// The databases that tests copy.
const TEMPLATE: &str = "template_of_tests";

/// A running server.
pub struct Server {
    dir: PathBuf,
    bin: PathBuf,
    port: u16,
    next: AtomicU32,
    template: OnceCell<()>,
    // its input is open as long as this process lives
    _keeper: Child,
}

impl Server {
    /// The server of this process, started now if need be; `None`, said aloud, when PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it is installed and cannot be started, or is required and not installed.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        let start = || programs().map(|bin| Self::start(bin, 5432, &|_| NOWHERE.to_owned()));
        required(SHARED.get_or_init(start).as_ref())
    }

    /// Another server, which listens at a port of this machine, and proves who it is by a certificate and its key (PEM).
    /// Whoever comes this way needs a password.
    ///
    /// # Panics
    /// See [`shared`](Self::shared).
    #[must_use]
    pub fn with_certificate(port: u16, certificate: &str, key: &str) -> Option<&'static Self> {
        let listen = |dir: &Path| {
            let owner = fs::metadata(dir).unwrap();
            let [certificate, key] = [("certificate", certificate), ("key", key)].map(|(name, text)| {
                let path = dir.join(name);
                fs::write(&path, text).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
                path.display().to_string()
            });
            format!("-h localhost -p {port} -c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}")
        };
        // it lives as long as its process, like the shared one
        required(programs()).map(|bin| &*Box::leak(Box::new(Self::start(bin, port, &listen))))
    }

    /// The same, where tests want one.
    #[must_use]
    pub fn shared_if(wanted: bool) -> Option<&'static Self> {
        if wanted { Self::shared() } else { None }
    }

    fn start(bin: PathBuf, port: u16, listen: &dyn Fn(&Path) -> String) -> Self {
        // not one that removes itself: the script does, also when this process is killed
        let dir = tempfile::Builder::new().prefix("trivia-postgres-").tempdir().unwrap().keep();
        let mut script = Command::new("sh");
        script.args(["-c", SCRIPT]).env("BIN", &bin).env("DIR", &dir).process_group(0);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(dir.join("errors")).unwrap());
        if fs::metadata(&dir).unwrap().uid() == 0 {
            // the server refuses to run as root
            let (user, group) = unprivileged();
            chown(&dir, Some(user), Some(group)).unwrap();
            script.uid(user).gid(group);
        }
        script.env("LISTEN", listen(&dir));
        let mut keeper = script.current_dir(&dir).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "ready\n" {
            let mut errors = String::new();
            let _ = fs::File::open(dir.join("errors")).and_then(|mut file| file.read_to_string(&mut errors));
            panic!("PostgreSQL does not start: {errors}");
        }
        Self { dir, bin, port, next: AtomicU32::new(0), template: OnceCell::new(), _keeper: keeper }
    }

    /// The URL of a database.
    fn url(&self, database: &str) -> String {
        format!("postgres://trivia@localhost:{}/{database}?host={}", self.port, self.dir.display())
    }

    async fn run(&self, sql: &str) {
        let connection = connect(&self.url("postgres")).await;
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    fn name(&self) -> String {
        format!("test_{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A new database without any table.
    pub async fn empty_database(&'static self) -> ScratchDatabase {
        let name = self.name();
        self.run(&format!("CREATE DATABASE {name}")).await;
        ScratchDatabase { server: self, name }
    }

    /// The same for a test that has no runtime, or is inside of one.
    ///
    /// # Panics
    /// When the server gives none.
    #[must_use]
    pub fn empty_database_now(&'static self) -> ScratchDatabase {
        let make = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(self.empty_database())
        };
        std::thread::spawn(make).join().unwrap()
    }

    /// A new database with the newest schema.
    pub async fn database(&'static self) -> ScratchDatabase {
        let made = async || {
            self.run(&format!("CREATE DATABASE {TEMPLATE}")).await;
            schema::up(&options(&self.url(TEMPLATE)), None).await.unwrap();
        };
        self.template.get_or_init(made).await;
        let name = self.name();
        self.run(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
        ScratchDatabase { server: self, name }
    }

    /// Ends all processes of the server at once, as a crash does, and starts it again.
    ///
    /// # Panics
    /// When it does not start.
    pub fn crash_and_restart(&self) {
        let control = |arguments: &[&str]| {
            let mut command = Command::new(self.bin.join("pg_ctl"));
            command.args(arguments).arg("--silent").arg("--pgdata").arg(self.dir.join("data")).stdin(Stdio::null());
            let data = fs::metadata(self.dir.join("data")).unwrap();
            command.uid(data.uid()).gid(data.gid()).current_dir(&self.dir);
            assert!(command.status().unwrap().success(), "pg_ctl {arguments:?}");
        };
        control(&["stop", "--mode=immediate"]);
        let log = format!("--log={}", self.dir.join("log").display());
        let options = format!("--options=-k {} {NOWHERE} -c max_connections=300", self.dir.display());
        control(&["start", "--wait", &log, &options]);
    }
}

/// A database for one test.
pub struct ScratchDatabase {
    server: &'static Server,
    name: String,
}

impl ScratchDatabase {
    /// Its URL, for programs.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program of the server's installation.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.server.bin.join(name)
    }

    /// How to open it.
    #[must_use]
    pub fn options(&self) -> DatabaseOptions {
        options(&self.url())
    }

    /// One connection for questions that no port answers.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url()).await
    }
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        let (server, drop) = (self.server, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // a thread of its own: tests end inside of a runtime
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(server.run(&drop));
        };
        // a database that stays is gone with the server
        let _ = std::thread::spawn(run).join();
    }
}

fn options(url: &str) -> DatabaseOptions {
    DatabaseOptions::new(url.parse::<DatabaseUrl>().unwrap())
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// What is made of the programs of a server. Says aloud when they are missing, and fails when they must not be.
pub(crate) fn required<T>(made: Option<T>) -> Option<T> {
    if made.is_none() {
        let required = REQUIRE.into_iter().find(|name| std::env::var_os(name).is_some());
        assert_eq!(required, None, "this variable is set, but PostgreSQL is not installed");
        eprintln!("SKIPPED: PostgreSQL is not installed here");
    }
    made
}

/// Where the programs of a server are.
pub(crate) fn programs() -> Option<PathBuf> {
    let configured = Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success());
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let on_the_path = std::env::var_os("PATH").unwrap_or_default();
    let mut packaged: Vec<_> = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().collect();
    packaged.sort_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    let packaged = packaged.into_iter().rev().map(|entry| entry.path().join("bin"));
    let has_all = |dir: &Path| ["initdb", "pg_ctl", "postgres"].iter().all(|program| dir.join(program).is_file());
    configured.into_iter().chain(std::env::split_paths(&on_the_path)).chain(packaged).find(|dir| has_all(dir))
}

/// A user who may own a cluster, and the group.
pub(crate) fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let mut fields = users.lines().find(|line| line.starts_with(&format!("{name}:")))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).expect("a user `postgres` or `nobody`")
}
