//! `serve`: what it does by itself, what it tells, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::bench::{Bench, Ended, ON_A_SERVER, alter, has_fields};

const DATABASE: &str = "data/trivia.db";
const TASKS: [&str; 7] =
    ["daily_backup", "weekly_backup", "retention", "verify_backups", "scrub", "expire_sessions", "forget_sessions"];

/// A server that is up; it is killed when a test fails.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(bench: &Bench) -> Self {
        Self::start_with(bench, &["--listen", "127.0.0.1:0"], &[])
    }

    fn start_with(bench: &Bench, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = bench
            .program()
            .arg("serve")
            .args(args)
            .env("TRIVIA_LOG_FORMAT", "json")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("Listening at http://") else {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            panic!("{line:?}\n{log}");
        };
        Self { address: address.to_owned(), child, stdout, stderr }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Reads the log up to what came of a task, which is remembered by then.
    fn wait_for(&mut self, task: &str) -> Value {
        self.read_to(|fields| {
            fields["task"] == task && (fields["message"] == "task done" || fields["message"] == "task failed")
        })
    }

    /// Reads the log up to an event with such fields.
    fn read_to(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "the log ends before that");
            let event: Value = serde_json::from_str(&line).unwrap();
            if is_wanted(&event["fields"]) {
                return event["fields"].clone();
            }
        }
    }

    /// Status and body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn figure(&self, name: &str) -> Option<f64> {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200);
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(|value| value.parse().unwrap())
    }

    fn signal(&self, name: &str) {
        signal(name, &self.pid());
    }

    /// Waits for its end; returns the exit code and what else it has said.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap().success());
}

/// The check of this name in `health`.
fn check(health: &Value, name: &str) -> Option<Value> {
    health["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).cloned()
}

fn kinds(bench: &Bench) -> Vec<String> {
    let backups = bench.json(["backup", "list"]);
    backups.as_array().unwrap().iter().map(|backup| backup["kind"].as_str().unwrap().to_owned()).collect()
}

async fn unprojected(bench: &Bench) -> usize {
    let connection = bench.connect().await;
    let sql = Statement::from_string(connection.get_database_backend(), "SELECT user_id FROM unprojected");
    let rows = connection.query_all_raw(sql).await.unwrap().len();
    connection.close().await.unwrap();
    rows
}

#[tokio::test]
async fn a_server_does_its_tasks_answers_and_ends_by_sigterm_with_nothing_waiting() {
    let bench = Bench::ready();
    bench.run(["simulate", "--players", "3", "--answers", "30"]).expect(0);
    let mut server = Server::start(&bench);
    assert!(server.address.starts_with("127.0.0.1:") && !server.address.ends_with(":0"), "{}", server.address);
    for task in TASKS {
        assert_eq!(server.wait_for(task)["message"], "task done", "{task}");
    }
    assert_eq!(kinds(&bench), ["weekly", "daily", "initial"]);
    assert_eq!(server.get("/healthz"), (200, "ok\n".to_owned()));
    let (status, body) = server.get("/readyz");
    let ready: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &ready["ready"], &ready["status"]), (200, &json!(true), &json!("healthy")), "{ready:#}");
    assert_eq!(server.get("/nowhere").0, 404);
    assert_eq!(server.figure("trivia_database_up"), Some(1.0));
    assert_eq!(server.figure("trivia_table_rows{table=\"users\"}"), Some(3.0));
    assert_eq!(server.figure("trivia_errors_total{kind=\"busy\"}"), Some(0.0));
    for task in TASKS {
        assert_eq!(server.figure(&format!("trivia_task_ok{{task=\"{task}\"}}")), Some(1.0), "{task}");
    }
    let health = bench.json(["health"]);
    assert_eq!(health["status"], "healthy", "{health:#}");
    let reason = check(&health, "tasks").unwrap()["reason"].clone();
    assert!(reason.as_str().unwrap().contains(&format!("process {}", server.pid())), "{reason}");

    // what another process leaves waiting, of a file
    if !ON_A_SERVER {
        bench.alter("INSERT INTO unprojected SELECT min(user_id) FROM users").await;
        assert_eq!(unprojected(&bench).await, 1);
    }
    server.signal("TERM");
    let (code, stdout, log) = server.end();
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{log}");
    assert!(log.contains("SIGTERM") && log.contains("stopped"), "{log}");
    assert_eq!(unprojected(&bench).await, 0);
    let health = bench.json(["health"]);
    assert_eq!(health["status"], "healthy", "that no server runs is no problem: {health:#}");
}

#[test]
fn ctrl_c_is_how_a_server_is_ended_too() {
    let bench = Bench::ready();
    let server = Server::start(&bench);
    server.signal("INT");
    let (code, _, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn with_json_the_start_is_the_one_document() {
    let bench = Bench::ready();
    let mut child = bench
        .program()
        .args(["serve", "--json", "--listen", "127.0.0.1:0", "-q"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut document = String::new();
    while !document.ends_with("}\n") {
        assert!(stdout.read_line(&mut document).unwrap() > 0, "{document}");
    }
    signal("TERM", &child.id().to_string());
    stdout.read_to_string(&mut document).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let started: Value = serde_json::from_str(&document).unwrap();
    has_fields(&started, &["address", "database", "pid"]);
    assert_eq!(started["pid"], child.id());
}

#[test]
fn a_second_server_is_refused_and_everything_else_is_not() {
    let bench = Bench::ready();
    let mut server = Server::start(&bench);
    let lock = if ON_A_SERVER { "postgres://" } else { "trivia.db.serve.lock" };
    let refused = |args: &[&str]| bench.run(args).expect_error(1, &["busy", lock, &server.pid()]);
    refused(&["serve", "--listen", "127.0.0.1:0"]);
    refused(&["serve", "--once"]);
    if !ON_A_SERVER {
        let lock = bench.path("data/trivia.db.serve.lock");
        assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
        fs::create_dir(bench.path("other")).unwrap();
        std::os::unix::fs::symlink(bench.path(DATABASE), bench.path("other/link.db")).unwrap();
        refused(&["--database-url", "sqlite://other/link.db", "serve", "--once"]);
    }
    // one that is stopped may go on at any time
    server.signal("STOP");
    refused(&["serve", "--once"]);
    server.signal("CONT");
    for command in [&["stats"][..], &["backup", "create"], &["simulate", "--answers", "20"]] {
        bench.run(command).expect(0);
    }
    server.wait_for("forget_sessions");
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    bench.run(["serve", "--once"]).expect(0);
}

#[tokio::test]
async fn a_server_whose_lock_is_lost_takes_it_again_or_ends() {
    if !ON_A_SERVER {
        return;
    }
    let bench = Bench::ready();
    let mut server = Server::start(&bench);
    server.wait_for("forget_sessions");
    let (other, looking) = (bench.connect().await, bench.connect().await);
    let number = async |sql: &str| -> i64 {
        let sql = Statement::from_string(looking.get_database_backend(), sql);
        looking.query_one_raw(sql).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    let of_the_lock = "FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name LIKE 'trivia-store scheduler %'";
    let (held, cut) =
        (format!("SELECT count(*) {of_the_lock}"), format!("SELECT count(pg_terminate_backend(pid)) {of_the_lock}"));
    assert_eq!(number(&cut).await, 1);
    server.read_to(|fields| fields["message"].as_str().is_some_and(|said| said.contains("it is taken again")));
    let until = Instant::now() + Duration::from_secs(60);
    while number(&held).await == 0 {
        assert!(server.child.try_wait().unwrap().is_none() && Instant::now() < until, "it is not taken again");
    }
    bench.run(["serve", "--once"]).expect_error(1, &["busy", &server.pid()]);

    // somebody else is quicker: he waits for it already
    let key = "SELECT (CAST(classid AS bigint) << 32) + CAST(objid AS bigint) FROM pg_locks JOIN pg_stat_activity \
               USING (pid) WHERE locktype = 'advisory' AND application_name LIKE 'trivia-store scheduler %'";
    let take =
        format!("SET application_name = 'trivia-store scheduler 1'; SELECT pg_advisory_lock({})", number(key).await);
    let waiting = tokio::spawn(async move {
        other.execute_unprepared(&take).await.unwrap();
        other
    });
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' \
                 AND NOT granted AND datname = current_database()";
    let until = Instant::now() + Duration::from_secs(60);
    while number(waits).await == 0 {
        assert!(Instant::now() < until, "nobody waits for the lock");
    }
    number(&format!("{cut} AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)")).await;
    let other = waiting.await.unwrap();
    let (code, _, stderr) = server.end();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("another"), "{stderr}");
    other.close().await.unwrap();
}

#[tokio::test]
async fn nobody_moves_in_under_a_server() {
    if ON_A_SERVER {
        return;
    }
    let bench = Bench::ready();
    let mut server = Server::start(&bench);
    server.wait_for("forget_sessions");
    bench.write("old.db", "");
    let version = "INSERT INTO schema_version VALUES (1, NULL)";
    alter(&bench.path("old.db"), &format!("{}{version}", include_str!("../migrations/original_schema.sql"))).await;
    let held = format!("trivia.db.serve.lock, the lock of process {}, is busy", server.pid());
    let words = [&held[..], "nothing was changed"];
    // somebody has moved its database away
    fs::rename(bench.path(DATABASE), bench.path("away.db")).unwrap();
    bench.run(["adopt", "old.db"]).expect_error(1, &words);
    fs::copy(bench.path("old.db"), bench.path(DATABASE)).unwrap();
    let before = fs::read(bench.path(DATABASE)).unwrap();
    bench.run(["adopt", DATABASE, "--in-place"]).expect_error(1, &words);
    assert!(fs::read(bench.path(DATABASE)).unwrap() == before, "the file was changed");

    fs::rename(bench.path("away.db"), bench.path(DATABASE)).unwrap();
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    bench.run(["adopt", "old.db", "--database-url", "sqlite://new.db"]).expect(0);
}

#[tokio::test]
async fn l26_after_kill_9_the_next_start_makes_up_what_was_missed() {
    let bench = Bench::ready();
    let mut server = Server::start(&bench);
    server.wait_for("forget_sessions");
    server.child.kill().unwrap();
    assert_eq!(server.end().0, None);
    // months go by, and somebody cleans up
    bench.alter("UPDATE maintenance_runs SET ran_at = '2026-01-01T10:00:00+00:00'").await;
    let made = bench.json(["backup", "list"])[0]["path"].as_str().unwrap().to_owned();
    fs::remove_dir_all(bench.path(&made).parent().unwrap()).unwrap();

    let mut server = Server::start(&bench);
    for task in TASKS {
        assert_eq!(server.wait_for(task)["message"], "task done", "{task}");
    }
    assert_eq!(kinds(&bench), ["weekly", "daily"]);
    server.child.kill().unwrap();
    drop(server);
    // they were remembered before the end
    assert_eq!(bench.json(["serve", "--once"])["tasks"], json!([]));
}

#[test]
fn a_backup_that_fails_is_seen_and_made_later() {
    let bench = Bench::ready();
    bench.write("file", "");
    let mut server = Server::start_with(&bench, &["--listen", "127.0.0.1:0", "--backup-dir", "file/below"], &[]);
    let failed = server.wait_for("daily_backup");
    assert_eq!((&failed["message"], &failed["failures"]), (&json!("task failed"), &json!(1)));
    assert_eq!(failed["retry_in_s"], 60);
    server.wait_for("forget_sessions");
    for (task, ok) in [("daily_backup", 0.0), ("weekly_backup", 0.0), ("scrub", 1.0)] {
        assert_eq!(server.figure(&format!("trivia_task_ok{{task=\"{task}\"}}")), Some(ok), "{task}");
    }
    assert_eq!(server.figure("trivia_database_up"), Some(1.0), "the database is well");
    assert_eq!((server.get("/healthz").0, server.get("/readyz").0), (200, 200));
    let health = bench.json(["health"]);
    assert_eq!(health["status"], "warning", "{health:#}");
    let failing = check(&health, "daily_backup").unwrap();
    let reason = failing["reason"].as_str().unwrap();
    assert!(reason.contains("file/below") && reason.contains("since 20"), "{reason}");
    assert!(failing["recommendation"].as_str().unwrap().contains("backup create"), "{failing}");
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));

    // from cron it is a failure
    let args = ["--backup-dir", "file/below", "serve", "--once", "--json"];
    let ended = Ended(bench.command(args).output().unwrap());
    let tasks = ended.expect(1).document()["tasks"].clone();
    assert_eq!((&tasks[0]["task"], &tasks[0]["ok"]), (&json!("daily_backup"), &json!(false)), "{tasks:#}");
    assert!(ended.stderr().lines().last().unwrap().starts_with("hint: "), "{}", ended.stderr());
    fs::remove_file(bench.path("file")).unwrap();
    let args = ["--backup-dir", "file/below", "serve", "--once"];
    assert!(bench.run(args).expect(0).stdout().contains("daily_backup"));
    assert_eq!(check(&bench.json(["health"]), "daily_backup"), None);
}

#[test]
fn once_does_what_is_due_and_ends() {
    let bench = Bench::ready();
    let tasks = bench.json(["serve", "--once"])["tasks"].clone();
    let done = tasks.as_array().unwrap().iter().map(|task| (task["task"].as_str().unwrap(), task["ok"] == true));
    assert_eq!(done.collect::<Vec<_>>(), TASKS.map(|task| (task, true)));
    assert_eq!(kinds(&bench), ["weekly", "daily", "initial"]);
    assert_eq!(bench.json(["serve", "--once"])["tasks"], json!([]));
    assert!(bench.run(["serve", "--once"]).expect(0).stdout().contains("Nothing is due"));
}

#[test]
fn l27_a_server_recovers_a_damaged_database_only_when_it_may() {
    if ON_A_SERVER {
        return;
    }
    let bench = Bench::ready();
    let mut file = fs::read(bench.path(DATABASE)).unwrap();
    file[..100].fill(0);
    fs::write(bench.path(DATABASE), &file).unwrap();
    bench.run(["serve", "--once"]).expect_error(1, &["damaged", "trivia-db recover"]);
    assert!(fs::read(bench.path(DATABASE)).unwrap() == file, "nothing was changed");
    let mut allowed = bench.command(["serve", "--once", "--json"]);
    let ended = Ended(allowed.env("TRIVIA_AUTO_RECOVER", "true").output().unwrap());
    let tasks = ended.expect(0).document()["tasks"].clone();
    assert!(tasks.as_array().unwrap().iter().all(|task| task["ok"] == true), "{tasks}");
    assert!(ended.stderr().contains("recovered"), "{}", ended.stderr());
    assert!(fs::read_dir(bench.path("data/backups/forensics")).unwrap().next().is_some(), "the evidence is kept");
    assert!(kinds(&bench).contains(&"recovered".to_owned()));
}

#[tokio::test]
async fn a_server_whose_schema_was_changed_is_not_ready() {
    let bench = Bench::ready();
    bench.stays_broken();
    let server = Server::start(&bench);
    assert_eq!(server.get("/readyz").0, 200);
    let sql = "INSERT INTO schema_version (version, applied_at) VALUES ('m29991231_000001_future', 0)";
    bench.alter(sql).await;
    let (status, body) = server.get("/readyz");
    assert!(status == 503 && body.contains("m29991231_000001_future"), "{status} {body}");
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn a_service_manager_is_told() {
    let bench = Bench::ready();
    let socket = UnixDatagram::bind(bench.path("notify")).unwrap();
    let told = || {
        let mut state = [0; 64];
        let length = socket.recv(&mut state).unwrap();
        String::from_utf8(state[..length].to_vec()).unwrap()
    };
    let path = bench.path("notify");
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let server = Server::start_with(&bench, &["--listen", "127.0.0.1:0"], &variables);
    assert_eq!(told(), "READY=1");
    server.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn the_address_comes_from_flag_environment_or_file() {
    let bench = Bench::ready();
    // nobody has this address: https://www.rfc-editor.org/rfc/rfc5737
    let nobodys = "192.0.2.1:1";
    bench.write("trivia.toml", format!("listen = \"{nobodys}\"\n"));
    bench.run(["serve"]).expect_error(1, &["cannot listen", nobodys]);
    let free = "127.0.0.1:0";
    for (args, variables) in
        [(&[][..], [("TRIVIA_LISTEN", free)]), (&["--listen", free][..], [("TRIVIA_LISTEN", nobodys)])]
    {
        let server = Server::start_with(&bench, args, &variables);
        assert_eq!(server.get("/healthz").0, 200);
        server.signal("TERM");
        assert_eq!(server.end().0, Some(0));
    }
}
