//! What every [`ByteStore`] must do, on a directory and on object storage.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use trivia_domain::ports::{ByteStore, Phase, Progress, StoredObject};
use trivia_domain::{StoreError, StoreResult};
use trivia_infrastructure::{Directory, S3Options, S3Store};

use crate::s3_server::{CANARY, S3Server};

/// Remembers the phases.
#[derive(Default)]
pub(crate) struct Watching {
    pub(crate) phases: Mutex<BTreeMap<String, (u64, Option<u64>)>>,
    pub(crate) ended: Mutex<u32>,
}

impl Progress for Watching {
    fn at(&self, phase: Phase, done: u64, total: Option<u64>) {
        self.phases.lock().unwrap().insert(format!("{phase:?}"), (done, total));
    }
    fn end(&self) {
        *self.ended.lock().unwrap() += 1;
    }
}

fn silent() -> Arc<dyn Progress> {
    Arc::new(Watching::default())
}

async fn fulfils_the_contract(store: Arc<dyn ByteStore>, dir: &Path) {
    let conflict = |result: StoreResult<()>| matches!(result, Err(StoreError::Conflict { .. }));
    assert_eq!(store.list().await.unwrap(), []);
    assert_eq!(store.read("none", 10).await.unwrap(), None);
    let target = dir.join("fetched");
    assert_eq!(store.fetch("none", &target, 10, &silent()).await.unwrap(), None);
    assert!(!target.exists());
    store.delete("none").await.unwrap();

    store.write("a.json", b"first").await.unwrap();
    assert!(conflict(store.write("a.json", b"second").await));
    assert_eq!(store.read("a.json", 5).await.unwrap().unwrap(), b"first");
    assert!(matches!(store.read("a.json", 4).await, Err(StoreError::Corrupt { .. })));
    let error = store.fetch("a.json", &dir.join("long"), 4, &silent()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { what, .. } if what.ends_with("a.json")), "{error}");

    // small, empty, and larger than two parts of an upload
    for (name, bytes) in [("small", 3_usize), ("empty", 0), ("large", (17 << 20) + 5)] {
        let content: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
        let source = dir.join("source");
        fs::write(&source, &content).unwrap();
        let watching = Arc::new(Watching::default());
        let progress: Arc<dyn Progress> = watching.clone();
        store.store(name, &source, &progress).await.unwrap();
        assert_eq!(watching.phases.lock().unwrap()["Store"], (bytes as u64, Some(bytes as u64)));
        fs::write(&source, b"another").unwrap();
        assert!(conflict(store.store(name, &source, &silent()).await), "{name}");
        assert!(conflict(store.write(name, b"another").await), "{name}");
        let target = dir.join(format!("fetched-{name}"));
        assert_eq!(store.fetch(name, &target, bytes as u64, &silent()).await.unwrap(), Some(bytes as u64));
        assert!(fs::read(&target).unwrap() == content, "{name}");
        let again = store.fetch(name, &target, bytes as u64, &silent()).await;
        assert!(again.is_err(), "a file that is there is not overwritten");
        assert!(fs::read(&target).unwrap() == content, "{name}");
        if let Some(file) = store.file(name) {
            assert!(fs::read(file).unwrap() == content);
        }
    }
    let mut listed = store.list().await.unwrap();
    listed.sort();
    let object = |name: &str, bytes| StoredObject { name: name.to_owned(), bytes };
    let large = (17 << 20) + 5;
    assert_eq!(listed, [object("a.json", 5), object("empty", 0), object("large", large), object("small", 3)]);

    for name in ["", "../up", "a/b", ".hidden", "-x", "UPPER", "ü", &"x".repeat(101)] {
        assert!(matches!(store.write(name, b"x").await, Err(StoreError::Invalid { .. })), "{name:?}");
        assert!(matches!(store.read(name, 1).await, Err(StoreError::Invalid { .. })), "{name:?}");
        assert!(matches!(store.delete(name).await, Err(StoreError::Invalid { .. })), "{name:?}");
        assert_eq!(store.file(name), None);
    }

    // of many at once one wins, and what it wrote is whole
    let writers = (0..8_u8).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { (number, store.write("race", &[number; 1000]).await) })
    });
    let mut winners = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            (number, Ok(())) => winners.push(number),
            (_, Err(StoreError::Conflict { .. })) => {}
            (_, Err(error)) => panic!("{error}"),
        }
    }
    let written = store.read("race", 1000).await.unwrap().unwrap();
    assert!(winners.contains(&written[0]) && written.iter().all(|byte| *byte == written[0]));
    assert_eq!(winners.len(), 1, "{winners:?}");

    for name in ["race", "race", "a.json", "small", "empty", "large"] {
        store.delete(name).await.unwrap();
    }
    assert_eq!(store.list().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_a_byte_store() {
    let dir = TempDir::new().unwrap();
    let store = Directory::new(dir.path().join("store"));
    fulfils_the_contract(Arc::new(store), dir.path()).await;
    assert_eq!(fs::read_dir(dir.path().join("store")).unwrap().count(), 0, "no attempt is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn object_storage_is_a_byte_store() {
    let (server, dir) = (S3Server::start(), TempDir::new().unwrap());
    let store = |prefix| Arc::new(S3Store::new(&server.options(prefix)).unwrap());
    store("other").write("kept", b"x").await.unwrap();
    fulfils_the_contract(store("some/prefix"), dir.path()).await;
    assert_eq!(store("other").list().await.unwrap().len(), 1, "prefixes are apart");
    assert_eq!(store("").list().await.unwrap(), [], "what is below a prefix is not in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_in_its_middle_leaves_nothing() {
    let (server, dir) = (S3Server::start(), TempDir::new().unwrap());
    let store = S3Store::new(&server.options("p")).unwrap();
    let source = dir.path().join("source");
    fs::write(&source, vec![7; 20 << 20]).unwrap();
    server.refuse_parts(true);
    let error = store.store("large", &source, &silent()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Denied { what, .. } if what == "s3://copies/p/large"), "{error:?}");
    assert_eq!(store.list().await.unwrap(), []);
    server.refuse_parts(false);
    store.store("large", &source, &silent()).await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_or_refuses_is_named_and_no_secret_with_it() {
    let server = S3Server::start();
    let mut wrong = server.options("p");
    wrong.variables.insert("AWS_SECRET_ACCESS_KEY".to_owned(), format!("wrong-{CANARY}"));
    let mut nowhere = server.options("p");
    nowhere.endpoint = Some("http://127.0.0.1:9".to_owned());
    let mut no_bucket = server.options("p");
    no_bucket.url = "s3://no-such-bucket/p".to_owned();
    for (options, kind) in [(wrong, "denied"), (nowhere, "unreachable"), (no_bucket, "missing")] {
        let store = S3Store::new(&options).unwrap();
        for error in [store.list().await.unwrap_err(), store.read("x", 1).await.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.to_string().contains(&options.url), "{error}");
            assert!(!format!("{error:?} {error} {options:?}").contains(CANARY), "{error:?}");
        }
    }
    for url in ["copies", "https://copies/p", "s3://", "s3:///p", "s3://UPPER/p", "s3://a/../b"] {
        let refused = S3Store::new(&S3Options { url: url.to_owned(), ..S3Options::default() });
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{url}");
    }
    let endpoint = Some("http://storage.example".to_owned());
    let plain = S3Store::new(&S3Options { endpoint: endpoint.clone(), ..server.options("p") });
    let Err(StoreError::Invalid { reason, .. }) = plain else { panic!("secrets over a line that anybody can read") };
    assert!(reason.contains("AWS_ALLOW_HTTP"), "{reason}");
    let mut spelled_out = S3Options { endpoint, ..server.options("p") };
    spelled_out.variables.insert("AWS_ALLOW_HTTP".to_owned(), "true".to_owned());
    assert!(S3Store::new(&spelled_out).is_ok());
}
