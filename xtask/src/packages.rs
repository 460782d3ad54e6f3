//! What the chores use besides Rust: present, or installed where this user may do that.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether a Debian package could be installed; only root may.
pub(crate) fn install(package: &str) -> bool {
    let user = Command::new("id").arg("-u").output();
    if !user.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
        return false;
    }
    eprintln!("installing {package}");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        // the package would start a server of its own; we start those that we need
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdout(Stdio::null());
        succeeds(&mut command)
    };
    apt(&["update", "--quiet"]) && apt(&["install", "--yes", "--no-install-recommends", package])
}

/// Whether there is a PostgreSQL whose programs the tests can find, now or after an installation.
pub(crate) fn has_postgres() -> bool {
    let present = || {
        let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
        let on_the_path = Command::new("initdb").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        on_the_path.is_ok_and(|status| status.success())
            || packaged.map(|dir| dir.join("bin/initdb")).any(|program| Path::is_file(&program))
    };
    present() || install("postgresql") && present()
}

pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
