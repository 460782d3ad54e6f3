//! Laws L24 to L26 for every place and every form of a backup: a directory and object storage, as it is, compressed,
//! encrypted and both.

mod byte_store;
#[path = "../s3_server/mod.rs"]
mod s3_server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use trivia_domain::memory::ManualClock;
use trivia_domain::model::{
    BackupId, BackupInfo, BackupKind, BackupManifest, IdempotencyKey, Points, RetentionPolicy, UserId,
};
use trivia_domain::ports::{
    AwardRequest, BackupService, ByteStore, Clock, MaintenancePort, Progress, Repositories, Store, StoredObject,
};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::{
    BackupOptions, Database, DatabaseOptions, DatabaseUrl, S3Store, SqliteBackups, SystemRandom, schema,
};
use uuid::Uuid;

use byte_store::Watching;
use s3_server::S3Server;

// --- the life of a backup ------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq)]
struct Form {
    zstd: bool,
    age: bool,
}

struct Home {
    dir: TempDir,
    server: Option<S3Server>,
    options: BackupOptions,
    clock: Arc<ManualClock>,
}

impl Home {
    async fn new(remote: bool, form: Form) -> Self {
        let dir = TempDir::new().unwrap();
        let server = remote.then(S3Server::start);
        let mut options = BackupOptions::from(dir.path().join("backups"));
        if let Some(server) = &server {
            options.store = Some(Arc::new(S3Store::new(&server.options("game/main")).unwrap()));
        }
        options.compression = form.zstd.then_some(3);
        if form.age {
            let identity = age::x25519::Identity::generate();
            options.encrypt_to = vec![identity.to_public().to_string().parse().unwrap()];
            options.identity_file = Some(identity_file(dir.path(), "identity", &identity));
        }
        let clock = Arc::new(ManualClock::new("2026-11-22T15:04:05Z".parse().unwrap()));
        let home = Self { dir, server, options, clock };
        schema::up(&home.database(), None).await.unwrap();
        let database = home.open().await;
        database.users().get_or_create(UserId::new(1).unwrap()).await.unwrap();
        database.close().await.unwrap();
        home.award(10).await;
        home
    }

    fn database(&self) -> DatabaseOptions {
        let mut options = DatabaseOptions::new(DatabaseUrl::of_file(self.dir.path().join("trivia.db")));
        options.backups = Some(self.options.clone());
        options
    }

    async fn open(&self) -> Database {
        Database::open(self.database(), self.clock.clone(), Arc::new(SystemRandom)).await.unwrap()
    }

    fn backups(&self) -> SqliteBackups {
        SqliteBackups::new(self.database(), self.options.clone(), Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    /// The same without what is in the store and with another key.
    fn with(&self, change: impl FnOnce(&mut BackupOptions)) -> SqliteBackups {
        let mut options = self.options.clone();
        change(&mut options);
        SqliteBackups::new(self.database(), options, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    async fn award(&self, points: u32) {
        let database = self.open().await;
        let request = AwardRequest {
            key: IdempotencyKey::new(Uuid::now_v7()),
            user_id: UserId::new(1).unwrap(),
            points: Points::small(points),
            reason: "test".to_owned(),
        };
        database.play().award(request).await.unwrap();
        database.close().await.unwrap();
    }

    async fn points(&self) -> i64 {
        let database = self.open().await;
        let points = database.users().get(UserId::new(1).unwrap()).await.unwrap().total_points.get();
        database.close().await.unwrap();
        points
    }

    async fn get(&self, name: &str) -> Vec<u8> {
        self.options.store().read(name, 1 << 30).await.unwrap().unwrap()
    }

    async fn put(&self, name: &str, content: &[u8]) {
        self.options.store().delete(name).await.unwrap();
        self.options.store().write(name, content).await.unwrap();
    }

    async fn names(&self) -> BTreeSet<String> {
        self.options.store().list().await.unwrap().into_iter().map(|object| object.name).collect()
    }

    /// Makes manifest and checksums agree with a changed manifest or copy.
    async fn forge(&self, backup: &BackupInfo, change: impl FnOnce(&mut BackupManifest)) {
        let mut manifest = backup.manifest.clone();
        change(&mut manifest);
        let (id, json) = (&manifest.id, serde_json::to_vec_pretty(&manifest).unwrap());
        let stored = manifest.stored();
        let checksums = format!("{}  {id}.{}\n{}  {id}.json\n", stored.sha256, stored.extension(), sha256(&json));
        self.put(&format!("{id}.json"), &json).await;
        self.put(&format!("{id}.sha256"), checksums.as_bytes()).await;
    }

    /// What is left of attempts in the local directory.
    fn leftovers(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.options.dir) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

fn identity_file(dir: &Path, name: &str, identity: &age::x25519::Identity) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("# created for a test\n{}\n", identity.to_string().expose_secret())).unwrap();
    path
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn lives(remote: bool, form: Form) {
    let home = Home::new(remote, form).await;
    let watching = Arc::new(Watching::default());
    let backups = home.backups().showing(watching.clone());
    let made = backups.create(BackupKind::Manual, "before").await.unwrap();
    let (id, packed) = (made.manifest.id.clone(), made.manifest.stored());
    let name = format!("{id}.{}", packed.extension());
    let ending = match (form.zstd, form.age) {
        (false, false) => "db",
        (true, false) => "db.zst",
        (false, true) => "db.age",
        (true, true) => "db.zst.age",
    };
    assert_eq!((made.manifest.format, packed.extension()), (3, ending));
    assert_eq!(home.names().await, BTreeSet::from([name.clone(), format!("{id}.json"), format!("{id}.sha256")]));
    let stored = home.get(&name).await;
    assert_eq!((stored.len() as u64, sha256(&stored)), (packed.bytes, packed.sha256.clone()));
    assert_eq!(packed.is_plain(), stored.starts_with(b"SQLite format 3\0"));
    assert_eq!(form.zstd && !form.age, stored.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
    assert_eq!(form.age, stored.starts_with(b"age-encryption.org/v1\n"));
    assert!(!form.zstd || packed.bytes < made.manifest.bytes / 2);
    let phases: BTreeSet<String> = watching.phases.lock().unwrap().keys().cloned().collect();
    assert!(phases.contains("Check") && phases.contains("Store"), "{phases:?}");
    assert_eq!(phases.contains("Pack"), form.zstd || form.age);
    assert_eq!(*watching.ended.lock().unwrap(), 1);

    assert_eq!(backups.list().await.unwrap(), std::slice::from_ref(&made));
    let verified = backups.verify(&id).await.unwrap();
    assert!(verified.ok && verified.unopened.is_none(), "{verified:?}");
    assert!(backups.drill(&id).await.unwrap().ok);
    assert!(backups.list().await.unwrap()[0].drill.unwrap().ok);
    assert_eq!(home.open().await.stats().await.unwrap().last_backup, Some(home.clock.now()));
    home.award(5).await;
    let report = backups.restore(&id).await.unwrap();
    assert_eq!(home.points().await, 10);
    let way_back = report.previous.unwrap().manifest;
    assert_eq!(way_back.stored().extension(), ending);
    backups.restore(&way_back.id).await.unwrap();
    assert_eq!(home.points().await, 15);

    // made again today, in whatever form
    let daily = backups.create(BackupKind::Daily, "").await.unwrap().manifest.id;
    assert_eq!(backups.create(BackupKind::Daily, "").await.unwrap().manifest.id, daily);
    let deleted = backups.prune(&RetentionPolicy { keep: 1, per_kind: BTreeMap::new() }).await.unwrap();
    assert_eq!(deleted.len(), 3, "{deleted:?}");
    assert_eq!(home.names().await.len(), 3, "{:?}", home.names().await);
    assert_eq!(home.leftovers(), [] as [PathBuf; 0]);
}

async fn damage_is_refused(remote: bool, form: Form) {
    let home = Home::new(remote, form).await;
    let backups = home.backups();
    let backup = backups.create(BackupKind::Manual, "").await.unwrap();
    let id = &backup.manifest.id;
    let copy = format!("{id}.{}", backup.manifest.stored().extension());
    for (name, flips) in [(copy.clone(), 12), (format!("{id}.json"), 6), (format!("{id}.sha256"), 6)] {
        let good = home.get(&name).await;
        for number in 0..flips {
            // the first and the last byte, and some between
            let at = (good.len() - 1) * number / (flips - 1);
            let mut bad = good.clone();
            bad[at] ^= 1 << (number % 8);
            home.put(&name, &bad).await;
            let found = backups.verify(id).await.unwrap();
            assert!(!found.ok && !found.problems.is_empty(), "{name} at {at}");
            if number == 3 {
                let error = backups.restore(id).await.unwrap_err();
                assert!(matches!(error, StoreError::Corrupt { .. }), "{name}: {error}");
            }
        }
        for cut in [0, good.len() / 2, good.len() - 1] {
            home.put(&name, &good[..cut]).await;
            assert!(!backups.verify(id).await.unwrap().ok, "{name} with {cut} bytes");
            assert!(backups.list().await.unwrap().iter().all(|backup| !backup.verified), "{name}");
        }
        home.put(&name, &[&good[..], b"x"].concat()).await;
        assert!(!backups.verify(id).await.unwrap().ok, "{name} with a byte more");
        home.options.store().delete(&name).await.unwrap();
        match backups.verify(id).await {
            Err(StoreError::Missing { entity: "backup", .. }) => assert!(name.ends_with("json")),
            found => assert!(!found.unwrap().ok, "{name}"),
        }
        home.put(&name, &good).await;
    }
    assert!(backups.verify(id).await.unwrap().ok);
    if form.zstd || form.age {
        // a flipped bit with digests to match: what is in it is not what the manifest says, or is not readable at all
        let good = home.get(&copy).await;
        for at in [3, good.len() / 2, good.len() - 2] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            home.put(&copy, &bad).await;
            home.forge(&backup, |manifest| manifest.packed.as_mut().unwrap().sha256 = sha256(&bad)).await;
            let found = backups.verify(id).await.unwrap();
            assert!(!found.ok && found.problems[0].contains(&copy), "at {at}: {found:?}");
        }
        home.put(&copy, &good).await;
        // more comes out than the manifest says: it is stopped there
        home.forge(&backup, |manifest| manifest.bytes = 5000).await;
        let found = backups.verify(id).await.unwrap();
        assert!(!found.ok && found.problems[0].contains("more comes out"), "{found:?}");
        assert!(matches!(backups.restore(id).await, Err(StoreError::Corrupt { .. })));
    }
    assert_eq!(home.points().await, 10);
    assert_eq!(home.leftovers(), [] as [PathBuf; 0]);
}

macro_rules! for_every_place_and_form {
    ($($name:ident: $remote:literal, $zstd:literal, $age:literal;)*) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn a_backup_lives() {
                super::lives($remote, super::Form { zstd: $zstd, age: $age }).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn damage_is_refused() {
                super::damage_is_refused($remote, super::Form { zstd: $zstd, age: $age }).await;
            }
        }
    )*};
}

for_every_place_and_form! {
    local_plain: false, false, false;
    local_zstd: false, true, false;
    local_age: false, false, true;
    local_zstd_age: false, true, true;
    s3_plain: true, false, false;
    s3_zstd: true, true, false;
    s3_age: true, false, true;
    s3_zstd_age: true, true, true;
}

// --- keys ----------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_key_what_is_stored_is_checked_and_nothing_is_opened() {
    let home = Home::new(false, Form { zstd: true, age: true }).await;
    let other = identity_file(home.dir.path(), "other", &age::x25519::Identity::generate());
    let garbage = home.dir.path().join("garbage");
    fs::write(&garbage, "AGE-SECRET-KEY-1CANARY\n").unwrap();
    let keys = [None, Some(other), Some(home.dir.path().join("not there")), Some(garbage)];
    for (number, key) in keys.into_iter().enumerate() {
        let backups = home.with(|options| options.identity_file = key);
        let id = backups.create(BackupKind::Manual, "").await.unwrap().manifest.id;
        let found = backups.verify(&id).await.unwrap();
        assert!(found.ok && found.unopened.is_some(), "{number}: {found:?}");
        for error in [backups.drill(&id).await.unwrap_err(), backups.restore(&id).await.unwrap_err()] {
            assert!(matches!(&error, StoreError::NoKey { what, .. } if what.contains(id.as_str())), "{error}");
            assert!(error.hint().contains("backup_identity_file"), "{}", error.hint());
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
        assert_eq!(backups.list().await.unwrap()[0].drill, None);
        // with the key it can be opened
        let found = home.backups().verify(&id).await.unwrap();
        assert!(found.ok && found.unopened.is_none(), "{found:?}");
        // what is stored is checked all the same
        let name = format!("{id}.db.zst.age");
        let mut bad = home.get(&name).await;
        bad[500] ^= 1;
        home.put(&name, &bad).await;
        assert!(!backups.verify(&id).await.unwrap().ok);
    }
    assert_eq!(home.points().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_named_can_open_a_backup_and_the_stock_tools_too() {
    let home = Home::new(false, Form { zstd: true, age: true }).await;
    let second = age::x25519::Identity::generate();
    let made = home.with(|options| options.encrypt_to.push(second.to_public().to_string().parse().unwrap()));
    let id = made.create(BackupKind::Manual, "").await.unwrap().manifest.id;
    let key = identity_file(home.dir.path(), "second", &second);
    let backups = home.with(|options| options.identity_file = Some(key.clone()));
    assert!(backups.drill(&id).await.unwrap().ok);
    let stored = home.options.dir.join(format!("{id}.db.zst.age"));
    let pipe = format!("age -d -i '{}' '{}' | zstd -t", key.display(), stored.display());
    let tools = Command::new("sh").args(["-c", "command -v age && command -v zstd"]).output().unwrap();
    if !tools.status.success() {
        eprintln!("SKIPPED: the tools age and zstd are not installed");
        return;
    }
    assert!(Command::new("sh").args(["-c", &pipe]).status().unwrap().success());
}

#[test]
fn a_recipient_that_is_none_is_refused_and_not_repeated() {
    let secret = age::x25519::Identity::generate().to_string().expose_secret().to_owned();
    for text in [secret.as_str(), "", "age1", "age1qqq", "ssh-ed25519 AAAA"] {
        let error = text.parse::<trivia_infrastructure::BackupRecipient>().unwrap_err();
        assert!(matches!(error, StoreError::Invalid { .. }));
        assert!(text.is_empty() || !format!("{error} {error:?}").contains(&secret), "{error}");
    }
}

// --- what goes wrong on the way ------------------------------------------------------------------

/// A store whose next call for an object with some ending fails.
struct Failing {
    inner: Arc<dyn ByteStore>,
    ending: &'static str,
}

impl Failing {
    fn fail(&self, name: &str) -> StoreResult<()> {
        if name.ends_with(self.ending) {
            return Err(StoreError::Unreachable { what: self.place(name), reason: "as the test wants it".to_owned() });
        }
        Ok(())
    }
}

#[async_trait]
impl ByteStore for Failing {
    fn place(&self, name: &str) -> String {
        self.inner.place(name)
    }
    fn file(&self, name: &str) -> Option<PathBuf> {
        self.inner.file(name)
    }
    async fn list(&self) -> StoreResult<Vec<StoredObject>> {
        self.inner.list().await
    }
    async fn read(&self, name: &str, limit: u64) -> StoreResult<Option<Vec<u8>>> {
        self.inner.read(name, limit).await
    }
    async fn fetch(
        &self,
        name: &str,
        target: &Path,
        limit: u64,
        progress: &Arc<dyn Progress>,
    ) -> StoreResult<Option<u64>> {
        self.fail(name)?;
        self.inner.fetch(name, target, limit, progress).await
    }
    async fn store(&self, name: &str, source: &Path, progress: &Arc<dyn Progress>) -> StoreResult<()> {
        self.fail(name)?;
        self.inner.store(name, source, progress).await
    }
    async fn write(&self, name: &str, content: &[u8]) -> StoreResult<()> {
        self.fail(name)?;
        self.inner.write(name, content).await
    }
    async fn delete(&self, name: &str) -> StoreResult<()> {
        self.inner.delete(name).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_fails_at_any_step_leaves_nothing_and_harms_no_earlier_backup() {
    for remote in [false, true] {
        let home = Home::new(remote, Form { zstd: true, age: false }).await;
        let first = home.backups().create(BackupKind::Manual, "").await.unwrap().manifest.id;
        let before = home.names().await;
        for ending in ["sha256", "db.zst", "json"] {
            let store = Arc::new(Failing { inner: home.options.store(), ending });
            let backups = home.with(|options| options.store = Some(store));
            let error = backups.create(BackupKind::Manual, "").await.unwrap_err();
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
            assert_eq!(home.names().await, before, "{ending}");
            assert_eq!(home.leftovers(), [] as [PathBuf; 0], "{ending}");
            // a restore that cannot back up the present state changes nothing
            home.award(1).await;
            let points = home.points().await;
            assert!(backups.restore(&first).await.is_err());
            assert_eq!(home.points().await, points, "{ending}");
        }
        assert!(home.backups().verify(&first).await.unwrap().ok);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_at_once_get_two_names() {
    let home = Home::new(true, Form { zstd: false, age: false }).await;
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            // no directory in common: only the store can tell them apart
            let backups = home.with(|options| options.dir = home.dir.path().join(format!("machine-{number}")));
            tokio::spawn(async move { backups.create(BackupKind::Manual, "").await.unwrap().manifest.id })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 4, "{ids:?}");
    for id in &ids {
        assert!(home.backups().verify(id).await.unwrap().ok, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_do_not_wait_for_a_place_that_is_not_there() {
    let mut home = Home::new(true, Form { zstd: false, age: false }).await;
    home.server = None;
    let started = std::time::Instant::now();
    assert_eq!(home.open().await.stats().await.unwrap().last_backup, None);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let error = home.backups().list().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_erased_stays_away_whatever_the_form_of_the_backups() {
    let home = Home::new(true, Form { zstd: true, age: true }).await;
    let user = UserId::new(1).unwrap();
    let before: BackupId = home.backups().create(BackupKind::Manual, "").await.unwrap().manifest.id;
    home.clock.advance(chrono::TimeDelta::minutes(1));
    let database = home.open().await;
    database.people().erase(user).await.unwrap();
    database.close().await.unwrap();
    home.backups().create(BackupKind::Manual, "it knows the erased").await.unwrap();
    // the database does not know it any more
    fs::remove_file(home.dir.path().join("trivia.db")).unwrap();
    home.backups().restore(&before).await.unwrap();
    let database = home.open().await;
    assert!(matches!(database.users().get(user).await, Err(StoreError::Missing { .. })));
    database.close().await.unwrap();
}
