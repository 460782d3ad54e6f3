//! Backups that are packed and elsewhere: settings, and what people and programs are told.

use age::secrecy::ExposeSecret;
use serde_json::json;

use crate::bench::{Bench, Ended};
use crate::s3_server::{CANARY, S3Server};

/// A key, and the recipient that belongs to it.
fn key(bench: &Bench) -> (String, String) {
    let identity = age::x25519::Identity::generate();
    let secret = identity.to_string().expose_secret().to_owned();
    bench.write("key.txt", format!("# for a test\n{secret}\n"));
    (secret, identity.to_public().to_string())
}

#[test]
fn backups_go_to_object_storage_packed_and_come_back() {
    let (server, bench) = (S3Server::start(), Bench::empty());
    let (secret, recipient) = key(&bench);
    bench.write(
        "trivia.toml",
        format!(
            "backup_url = \"{}\"\nbackup_compression = 3\nbackup_encrypt_to = [\"{recipient}\"]\n\
             backup_identity_file = \"key.txt\"\n\n[keep_backups_by_kind]\ninitial = 1\nmanual = 1\n",
            server.url("club")
        ),
    );
    let run = |args: &[&str]| {
        let ended = Ended(bench.command(args).arg("-vv").envs(server.variables()).output().unwrap());
        let told = format!("{}{}", ended.stdout(), ended.stderr());
        assert!(!told.contains(CANARY) && !told.contains(&secret), "{args:?} tells a secret:\n{told}");
        ended
    };
    let json = |args: &[&str]| run(&[args, &["--json"]].concat()).expect(0).document();
    assert!(run(&["init"]).expect(0).stdout().contains("s3://copies/club"));
    let made = json(&["backup", "create", "--reason", "before the weekend"]);
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["packed"]["compression"], "zstd");
    assert_eq!(made["packed"]["encryption"], "age");
    assert_eq!(made["path"], format!("s3://copies/club/{id}.db.zst.age"));
    let list = run(&["backup", "list"]).expect(0).stdout();
    assert!(list.contains("db.zst.age") && list.contains("never"), "{list}");
    let one = json(&["backup", "verify", id, "--drill"]);
    assert_eq!((&one["ok"], &one["unopened"], &one["drill"]["ok"]), (&json!(true), &json!(null), &json!(true)));
    let restored = json(&["backup", "restore", id]);
    assert_eq!(restored["restored"]["id"], id);
    assert!(json(&["stats"])["last_backup"].is_string());
    run(&["serve", "--once"]).expect(0);
    run(&["backup", "create"]).expect(0);
    let pruned = json(&["backup", "prune", "--dry-run"]);
    assert_eq!((&pruned["deleted"], &pruned["dry_run"]), (&json!([id]), &json!(true)));
    assert_eq!(json(&["backup", "prune"])["deleted"], json!([id]));
    // nothing but what attempts need is in the local directory
    assert!(bench.path("data/backups").read_dir().unwrap().all(|entry| entry.unwrap().file_name() == ".lock"));
    // from another bucket nothing is known of it
    let other = Ended(
        bench
            .command(["backup", "list"])
            .envs(server.variables())
            .env("TRIVIA_BACKUP_URL", "s3://copies/x")
            .output()
            .unwrap(),
    );
    assert!(other.expect(0).stdout().contains("No backups in s3://copies/x"));
}

#[test]
fn a_machine_without_the_key_makes_backups_and_says_that_it_cannot_open_them() {
    let bench = Bench::empty();
    let (_, recipient) = key(&bench);
    bench.write("trivia.toml", format!("backup_encrypt_to = \"{recipient}\"\n"));
    bench.run(["init"]).expect(0);
    let told = bench.run(["backup", "create"]).expect(0).stdout();
    assert!(told.contains("whether it can be opened was not tried"), "{told}");
    let told = bench.run(["backup", "verify"]).expect(0).stdout();
    assert!(told.contains("good") && told.contains("only what is stored was checked"), "{told}");
    let all = bench.json(["backup", "verify"]);
    let one = &all["backups"][0];
    assert_eq!((&all["ok"], &one["drill"]), (&json!(true), &json!(null)));
    assert!(one["unopened"].as_str().unwrap().contains("no identity file is set"), "{one:#}");
    let id = one["id"].as_str().unwrap();
    for args in [&["backup", "restore", id][..], &["backup", "verify", id, "--drill"]] {
        bench.run(args).expect_error(1, &[id, "encrypted", "backup_identity_file"]);
    }
    let once = bench.json(["serve", "--once"]);
    assert!(once["tasks"].as_array().unwrap().iter().all(|task| task["ok"] == true), "{once:#}");
    assert!(bench.run(["backup", "list"]).expect(0).stdout().contains("never"));
    let health = bench.json(["health"]);
    let tasks: Vec<_> =
        health["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "critical").collect();
    assert_eq!(tasks.len(), 0, "{health:#}");
    let command =
        Ended(bench.command(["backup", "restore", id]).env("TRIVIA_BACKUP_IDENTITY_FILE", "key.txt").output().unwrap());
    command.expect(0);
}

#[test]
fn wrong_settings_of_backups_are_named() {
    let bench = Bench::ready();
    let (secret, _) = key(&bench);
    let fails = |name: &str, value: &str, named: &str| {
        let ended = Ended(bench.command(["backup", "list"]).env(name, value).output().unwrap());
        ended.expect_error(1, &[named]);
        assert!(!ended.stderr().contains(&secret), "{}", ended.stderr());
    };
    fails("TRIVIA_BACKUP_URL", "https://copies/club", "s3://bucket/prefix");
    fails("TRIVIA_BACKUP_COMPRESSION", "20", "backup_compression");
    fails("TRIVIA_BACKUP_ENCRYPT_TO", &secret, "recipient of backups");
    fails("TRIVIA_KEEP_BACKUPS_BY_KIND", "fortnightly=2", "fortnightly");
    fails("TRIVIA_KEEP_BACKUPS_BY_KIND", "weekly", "KIND=N");
    fails("AWS_SECRET_ACCESS_KEY_FILE", "none.txt", "AWS_SECRET_ACCESS_KEY_FILE");
}

#[test]
fn kinds_are_kept_as_the_settings_say_and_flags_win() {
    let bench = Bench::ready();
    for kind in ["daily", "weekly", "manual", "manual"] {
        bench.run(["backup", "create", "--kind", kind]).expect(0);
    }
    let prune = |extra: &[&str]| {
        let args = [&["backup", "prune", "--dry-run", "--json"], extra].concat();
        let kinds = "weekly=1, daily=1,manual=1";
        let output =
            bench.command(args).env("TRIVIA_KEEP_BACKUPS_BY_KIND", kinds).env("TRIVIA_KEEP_BACKUPS", "0").output();
        let ended = Ended(output.unwrap());
        ended.expect(0).document()["deleted"].as_array().unwrap().len()
    };
    assert_eq!(prune(&[]), 2, "the initial one and the older manual one");
    assert_eq!(prune(&["--keep", "1"]), 1);
    assert_eq!(prune(&["--keep-kind", "manual=2"]), 3, "the flags replace the rules by kind");
}

#[test]
fn secrets_may_be_in_files() {
    let (server, bench) = (S3Server::start(), Bench::empty());
    let mut variables = server.variables();
    let secret = variables.remove("AWS_SECRET_ACCESS_KEY").unwrap();
    bench.write("secret", format!("{secret}\n"));
    variables.insert("AWS_SECRET_ACCESS_KEY_FILE".to_owned(), "secret".to_owned());
    variables.insert("TRIVIA_BACKUP_URL".to_owned(), server.url("club"));
    let init = Ended(bench.command(["init"]).envs(&variables).output().unwrap());
    init.expect(0);
    variables.insert("AWS_SECRET_ACCESS_KEY".to_owned(), secret);
    let both = Ended(bench.command(["backup", "list"]).envs(&variables).output().unwrap());
    both.expect_error(1, &["AWS_SECRET_ACCESS_KEY_FILE"]);
}

#[test]
fn no_bar_is_drawn_where_nobody_looks() {
    let bench = Bench::ready();
    for args in [&["backup", "create"][..], &["backup", "create", "--json"], &["backup", "create", "-q"]] {
        assert_eq!(bench.run(args).expect(0).stderr(), "", "{args:?}");
    }
    // on a terminal there is one, unless it is not wanted
    let program = crate::bench::program(bench.dir.path()).get_program().to_owned();
    let on_a_terminal = |extra: &str| {
        let command = format!("{} backup create {extra}", program.to_str().unwrap());
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).current_dir(bench.dir.path()).env("TERM", "xterm");
        script.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Ok(told) = on_a_terminal("") else {
        eprintln!("SKIPPED: no program `script` for a terminal");
        return;
    };
    assert!(told.contains("checking"), "{told:?}");
    for extra in ["-q", "--json"] {
        assert!(!on_a_terminal(extra).unwrap().contains("checking"), "{extra}");
    }
}
