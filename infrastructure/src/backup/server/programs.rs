//! `pg_dump` and `pg_restore`: where they are, whether they are new enough, and running them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;
use trivia_domain::{StoreError, StoreResult};

use crate::database::DatabaseUrl;

const DUMP: &str = "pg_dump";
const RESTORE: &str = "pg_restore";
/// Folders with one folder for each version, as packages of Debian and of Red Hat have them.
const PACKAGES: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];
/// What a server elsewhere proves itself by when the URL names nothing.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// Longest complaint of a program that is kept.
const LONGEST_COMPLAINT: u64 = 1 << 14;

/// Both programs, of one version.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    dir: PathBuf,
    /// Their version, such as `15.8`.
    pub(super) version: String,
}

impl Programs {
    /// The first ones that are of this version of PostgreSQL or newer: on the path, then those of packages, the newest
    /// first.
    ///
    /// Returns `NoProgram` when there are none, and says which were found.
    pub(super) async fn find(version: &str) -> StoreResult<Self> {
        Self::find_in(places(), version).await
    }

    async fn find_in(places: Vec<PathBuf>, version: &str) -> StoreResult<Self> {
        let mut older = Vec::new();
        for dir in places {
            if ![DUMP, RESTORE].iter().all(|program| dir.join(program).is_file()) {
                continue;
            }
            let asked = Command::new(dir.join(DUMP)).arg("--version").stdin(Stdio::null()).output().await;
            let Some(found) = asked.ok().as_ref().and_then(version_of) else { continue };
            if major(&found) >= major(version) {
                return Ok(Self { dir, version: found });
            }
            older.push(format!("{} is {found}", dir.join(DUMP).display()));
        }
        let reason = if older.is_empty() {
            "neither is on the path or below /usr/lib/postgresql".to_owned()
        } else {
            format!("an older one cannot read what a newer server has: {}", older.join(", "))
        };
        Err(StoreError::NoProgram { what: format!("pg_dump and pg_restore {} or newer", major(version)), reason })
    }

    /// `pg_dump` of a database.
    pub(super) fn dump(&self, database: &DatabaseUrl) -> StoreResult<Run> {
        let mut run = self.run(DUMP);
        run.lead_to(database, &self.version)?;
        Ok(run)
    }

    /// `pg_restore` into a database.
    pub(super) fn restore_into(&self, database: &DatabaseUrl) -> StoreResult<Run> {
        let mut run = self.run(RESTORE);
        run.lead_to(database, &self.version)?;
        run.command.arg("--dbname").arg(database.database().unwrap_or_default());
        Ok(run)
    }

    /// `pg_restore` that writes what is in a dump to its output.
    pub(super) fn read(&self) -> Run {
        let mut run = self.run(RESTORE);
        run.command.arg("--file=-");
        run
    }

    fn run(&self, program: &'static str) -> Run {
        let mut command = Command::new(self.dir.join(program));
        // what it complains about is looked at below
        command.env("LC_ALL", "C").env_remove("PGOPTIONS").stdin(Stdio::null()).kill_on_drop(true);
        Run { program, command }
    }
}

/// A program that is about to run.
pub(super) struct Run {
    program: &'static str,
    command: Command,
}

impl Run {
    fn lead_to(&mut self, database: &DatabaseUrl, version: &str) -> StoreResult<()> {
        let variables = database.environment()?;
        let named = |name| variables.iter().any(|(known, _)| *known == name) || std::env::var_os(name).is_some();
        if !named("PGSSLROOTCERT") {
            let bundle = AUTHORITIES.into_iter().find(|file| Path::new(file).is_file());
            let authorities = if major(version) >= 16 { Some("system") } else { bundle };
            // with less than full proof it would be asked for more than the URL asks for
            let proves = variables.contains(&("PGSSLMODE", "verify-full".to_owned()));
            if let Some(authorities) = authorities.filter(|_| proves) {
                self.command.env("PGSSLROOTCERT", authorities);
            }
        }
        self.command.envs(variables).arg("--no-password");
        Ok(())
    }

    /// One argument more.
    pub(super) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.command.arg(argument.into());
        self
    }

    /// Several arguments more.
    pub(super) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Runs it to its end. `about` is what it works with, for errors.
    pub(super) async fn finish(mut self, about: &str) -> StoreResult<()> {
        self.command.stdout(Stdio::null());
        self.spawn()?.finish(about).await
    }

    /// Starts it; its output is for the caller, who calls [`Running::finish`] afterwards.
    pub(super) fn start(mut self) -> StoreResult<Running> {
        self.command.stdout(Stdio::piped());
        self.spawn()
    }

    fn spawn(mut self) -> StoreResult<Running> {
        let child = self.command.stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| StoreError::backend(format!("starting {}", self.program), error))?;
        let complaint = tokio::spawn(complaint(child.stderr.take()));
        Ok(Running { program: self.program, output: child.stdout.take(), child, complaint })
    }
}

/// A program that runs. Dropping it ends it.
pub(super) struct Running {
    program: &'static str,
    child: Child,
    pub(super) output: Option<ChildStdout>,
    complaint: JoinHandle<String>,
}

impl Running {
    /// Waits for its end.
    pub(super) async fn finish(mut self, about: &str) -> StoreResult<()> {
        drop(self.output.take());
        let program = self.program;
        let status = self.child.wait().await;
        let status = status.map_err(|error| StoreError::backend(format!("waiting for {program}"), error))?;
        let complaint = self.complaint.await.unwrap_or_default();
        if !status.success() {
            return Err(failure(program, about, complaint, &status.to_string()));
        }
        if !complaint.is_empty() {
            tracing::warn!(program, complaint, "a program of PostgreSQL has something to say");
        }
        Ok(())
    }
}

/// The beginning of what a program complains about; the rest is read, too, or the program would wait for ever.
async fn complaint(from: Option<ChildStderr>) -> String {
    let Some(from) = from else { return String::new() };
    let mut text = Vec::new();
    let mut limited = from.take(LONGEST_COMPLAINT);
    // what cannot be read any more is no complaint
    let _ = limited.read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut limited.into_inner(), &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// What a program complained about.
fn failure(program: &str, about: &str, complaint: String, status: &str) -> StoreError {
    let what = about.to_owned();
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    let reason = match complaint.lines().find(|line| line.contains("error:")).or_else(|| complaint.lines().next()) {
        Some(line) => line.to_owned(),
        None => format!("{program} ended with {status}"),
    };
    if says(&["lock timeout", "deadlock detected"]) {
        StoreError::Busy { what }
    } else if says(&["No space left on device", "could not extend file"]) {
        StoreError::DiskFull { what, reason }
    } else if says(&["unsupported version"]) {
        StoreError::NoProgram { what: format!("a newer {program} for {what}"), reason }
    } else if says(&["server version mismatch"]) {
        StoreError::NoProgram { what: format!("a newer {program}"), reason }
    } else if says(&["invalid page", "could not read block", "missing chunk", "unexpected chunk"]) {
        StoreError::Corrupt { what, reason }
    } else if says(&["password authentication failed", "no pg_hba.conf entry", "permission denied"]) {
        StoreError::Denied { what, reason }
    } else if says(&["connection to server", "server closed the connection", "terminating connection"]) {
        StoreError::Unreachable { what, reason }
    } else {
        StoreError::backend(format!("{program} with {what}"), complaint)
    }
}

/// Where programs may be.
fn places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect();
    for (parent, prefix) in PACKAGES {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let versions = entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok());
        let mut versions: Vec<u32> = versions.collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        let dirs = versions.into_iter().map(|version| Path::new(parent).join(format!("{prefix}{version}")).join("bin"));
        places.extend(dirs);
    }
    places
}

/// The version in what `--version` prints: `pg_dump (PostgreSQL) 15.8 (Debian 15.8-1)`.
fn version_of(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(2)?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| version.to_owned())
}

/// The number of a version that counts: formats change with it.
fn major(version: &str) -> u32 {
    version.split(|other: char| !other.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_number_of_a_version_counts() {
        assert_eq!([major("15.8"), major("17beta1"), major("9.6.24"), major("")], [15, 17, 9, 0]);
    }

    #[tokio::test]
    async fn what_is_missing_or_too_old_is_said_with_what_to_install() {
        let dir = tempfile::tempdir().unwrap();
        let places = || vec![dir.path().to_owned()];
        let missing = Programs::find_in(places(), "15.8").await.unwrap_err();
        let text = format!("{missing}; {}", missing.hint());
        assert!(text.contains("pg_restore 15 or newer") && text.contains("postgresql-client"), "{text}");
        for program in [DUMP, RESTORE] {
            let script = dir.path().join(program);
            std::fs::write(&script, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9 (Debian 14.9-1)'\n").unwrap();
            std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
        }
        let old = Programs::find_in(places(), "15.8").await.unwrap_err().to_string();
        assert!(old.contains("pg_dump is 14.9") && old.contains("15 or newer"), "{old}");
        assert_eq!(Programs::find_in(places(), "14.2").await.unwrap().version, "14.9");
    }

    #[test]
    fn complaints_become_errors_that_say_what_to_do() {
        let kind = |complaint: &str| failure(RESTORE, "a dump", complaint.to_owned(), "exit status: 1").kind();
        for (complaint, expected) in [
            ("pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout", "busy"),
            ("pg_dump: error: could not write to file: No space left on device", "disk_full"),
            ("pg_restore: error: unsupported version (1.16) in file header", "no_program"),
            ("pg_dump: error: connection to server on socket \"/x\" failed: No such file or directory", "unreachable"),
            ("pg_dump: error: connection to server failed: FATAL:  password authentication failed", "denied"),
            ("pg_dump: error: Error message from server: ERROR:  invalid page in block 3 of relation x", "corrupt"),
            ("pg_restore: error: something else", "backend"),
            ("", "backend"),
        ] {
            assert_eq!(kind(complaint), expected, "{complaint}");
        }
    }
}
