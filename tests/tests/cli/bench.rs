//! A folder of its own for each test, and the program in it.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::Value;
use tempfile::TempDir;
use trivia_infrastructure::{DatabaseOptions, DatabaseUrl};

/// Whether these tests run on a server: the targets `cli_postgres` and `crash_postgres` have most of those of `cli` and
/// `crash` once more.
pub(crate) const ON_A_SERVER: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"cli_postgres" | b"crash_postgres");

/// A working directory with a `data` folder that does not exist yet, or a database on a server that is empty. Whatever
/// a test does to the database there, in the end it is whole and every derived number follows from the ledger.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    broken: Cell<bool>,
    #[cfg(feature = "postgres")]
    scratch: Option<trivia_tests::postgres::ScratchDatabase>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.broken.get() && self.is_used() {
            for command in ["verify", "check"] {
                self.run([command]).expect(0);
            }
        }
    }
}

impl Bench {
    /// Nothing yet.
    pub(crate) fn empty() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            broken: Cell::new(false),
            // without a server these tests are those of files once more
            #[cfg(feature = "postgres")]
            scratch: trivia_tests::postgres::Server::shared_if(ON_A_SERVER).map(|server| server.empty_database_now()),
        }
    }

    /// Whether there is a database.
    fn is_used(&self) -> bool {
        if self.variables().is_empty() {
            return self.path("data/trivia.db").exists();
        }
        let status = self.command(["migrate", "status", "--json"]).output().unwrap();
        serde_json::from_slice(&status.stdout).is_ok_and(|status: Value| status["pending"] == Value::Array(Vec::new()))
    }

    /// Where the program finds a database that is no file.
    fn variables(&self) -> Vec<(&'static str, String)> {
        #[cfg(feature = "postgres")]
        if let Some(scratch) = &self.scratch {
            return vec![("DATABASE_URL", scratch.url())];
        }
        Vec::new()
    }

    /// The test breaks the database on purpose and leaves it so.
    pub(crate) fn stays_broken(&self) {
        self.broken.set(true);
    }

    /// After `init`.
    pub(crate) fn ready() -> Self {
        let bench = Self::empty();
        bench.json(["init"]);
        bench
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The program, without settings from the environment of the test.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::from_std(program(self.dir.path()));
        command.args(args).envs(self.variables());
        command
    }

    /// The same as a command of the standard library.
    pub(crate) fn program(&self) -> std::process::Command {
        let mut command = program(self.dir.path());
        command.envs(self.variables());
        command
    }

    /// How another program opens the database.
    pub(crate) fn options(&self) -> DatabaseOptions {
        #[cfg(feature = "postgres")]
        if let Some(scratch) = &self.scratch {
            return scratch.options();
        }
        DatabaseOptions::new(DatabaseUrl::of_file(self.path("data/trivia.db")))
    }

    /// Another program that has the database open.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        #[cfg(feature = "postgres")]
        if let Some(scratch) = &self.scratch {
            return scratch.connect().await;
        }
        connect(&self.path("data/trivia.db")).await
    }

    /// Runs SQL on the database, which nobody may have open if it is a file.
    pub(crate) async fn alter(&self, sql: &str) {
        let connection = self.connect().await;
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ended {
        Ended(self.command(args).output().unwrap())
    }

    /// Runs a command with `--json` that must succeed.
    pub(crate) fn json<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Value {
        let ended = Ended(self.command(args).arg("--json").output().unwrap());
        ended.expect(0);
        ended.document()
    }
}

/// The program as a command of the standard library.
pub(crate) fn program(dir: &Path) -> std::process::Command {
    // beside the folder of the tests' own executables; it belongs to another package
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("trivia-db");
    assert!(path.is_file(), "{} is not there: run `cargo build -p trivia-app` first", path.display());
    let mut command = std::process::Command::new(path);
    command.current_dir(dir).env_remove("DATABASE_URL").env_remove("RUST_LOG");
    for (name, _) in std::env::vars_os() {
        if ["TRIVIA_", "AWS_"].iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            command.env_remove(name);
        }
    }
    command
}

/// How the program ended.
pub(crate) struct Ended(pub(crate) Output);

impl Ended {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// The exit code, and what was printed when it is another one.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        assert_eq!(self.0.status.code(), Some(code), "stdout:\n{stdout}\nstderr:\n{stderr}");
        self
    }

    /// A failure: this code, nothing on stdout, an error with all of these words and a hint at the end.
    #[track_caller]
    pub(crate) fn expect_error(&self, code: i32, words: &[&str]) {
        self.expect(code);
        let stderr = self.stderr();
        assert_eq!(self.stdout(), "", "stderr: {stderr}");
        assert!(stderr.contains("error: "), "{stderr}");
        assert!(stderr.lines().last().is_some_and(|last| last.starts_with("hint: ")), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in:\n{stderr}");
        }
    }

    /// Stdout as exactly one JSON document.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        let stdout = self.stdout();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error} in:\n{stdout}"))
    }
}

/// Asserts that a JSON object has these fields.
#[track_caller]
pub(crate) fn has_fields(object: &Value, fields: &[&str]) {
    for field in fields {
        assert!(object.get(field).is_some(), "no field {field:?} in {object:#}");
    }
}

/// All files below a folder with their content.
pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Another program that has the database open.
pub(crate) async fn connect(path: &Path) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(format!("sqlite://{}", path.display()));
    options.max_connections(1).sqlx_logging(false);
    sea_orm::Database::connect(options).await.unwrap()
}

/// Runs SQL on a database that nobody has open.
pub(crate) async fn alter(path: &Path, sql: &str) {
    let connection = connect(path).await;
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}
