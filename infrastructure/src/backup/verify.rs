//! Checking a published backup: what its objects say, then what is in the copy.

use std::path::PathBuf;

use trivia_domain::model::{BackupId, BackupManifest};
use trivia_domain::ports::Phase;
use trivia_domain::{StoreError, StoreResult};

use super::SqliteBackups;
use super::catalog::{Entry, copy_of};
use super::content::{Contents, examine};
use super::files::{Scratch, blocking, corrupt, measure, open_regular};

/// The copy of a backup as it was stored and as it is opened, in a place of their own.
const PACKED: &str = "packed";
pub(super) const COPY: &str = "trivia.db";

/// What looking at a backup found.
pub(super) enum Found {
    /// It passes every check.
    Good(Box<Opened>),
    /// What is stored is what was stored, but nobody here can look inside.
    Sealed {
        /// Why not.
        reason: String,
    },
    /// What is wrong with it.
    Bad(Vec<String>),
}

/// A backup as a database file, as long as this is held.
pub(super) struct Opened {
    pub(super) manifest: BackupManifest,
    /// The file. Nobody may write to it unless it has a place of its own.
    pub(super) file: PathBuf,
    /// Where it was opened; `None` when it is read where it is stored.
    pub(super) place: Option<Scratch>,
}

impl SqliteBackups {
    /// Looks at everything in a backup.
    pub(super) async fn inspect(&self, id: &BackupId) -> StoreResult<Found> {
        let manifest = match self.catalog.entry(id).await {
            Ok(Entry { manifest, problems }) if problems.is_empty() => manifest,
            Ok(Entry { problems, .. }) => return Ok(Found::Bad(problems)),
            Err(error) => return finding(error).map(|problem| Found::Bad(vec![problem])),
        };
        let name = self.catalog.store().place(&copy_of(id, &manifest.stored()));
        // a file that is not the one that was made is not opened
        let opened = match self.open(manifest).await {
            Ok(opened) => opened,
            Err(StoreError::NoKey { reason, .. }) => return Ok(Found::Sealed { reason }),
            Err(error) => return finding(error).map(|problem| Found::Bad(vec![problem])),
        };
        self.progress.at(Phase::Check, 0, None);
        let problems = match examine(&opened.file).await {
            Ok(contents) => differences(contents, &opened.manifest),
            Err(error) => vec![finding(about(error, &name))?],
        };
        Ok(if problems.is_empty() { Found::Good(Box::new(opened)) } else { Found::Bad(problems) })
    }

    /// Gets the copy of a backup, proves that it is the one that was made, and unpacks it if need be.
    ///
    /// Returns `Corrupt` when it is another one, `NoKey` when it was proved and cannot be unpacked.
    pub(super) async fn open(&self, manifest: BackupManifest) -> StoreResult<Opened> {
        let stored = manifest.stored();
        let name = copy_of(&manifest.id, &stored);
        let called = self.catalog.store().place(&name);
        let damaged = |reason: String| StoreError::Corrupt { what: called.clone(), reason };
        let mut place = None;
        let file = match self.catalog.store().file(&name) {
            Some(file) => file,
            None => {
                let staging = self.staging.clone();
                let scratch = place.insert(blocking(move || staging.drill_place()).await?);
                let target = scratch.file(PACKED);
                let fetched = self.catalog.store().fetch(&name, &target, stored.bytes, &self.progress);
                fetched.await?.ok_or_else(|| damaged("it is missing".to_owned()))?;
                target
            }
        };
        self.progress.at(Phase::Check, 0, None);
        let path = file.clone();
        let measured = blocking(move || {
            let Some(file) = open_regular(&path)? else { return Err(corrupt(&path, "it is missing")) };
            measure(&path, file)
        });
        let (bytes, digest) = measured.await.map_err(|error| about(error, &called))?;
        if bytes != stored.bytes {
            return Err(damaged(format!("it has {bytes} bytes, the manifest says {}", stored.bytes)));
        }
        if digest != stored.sha256 {
            return Err(damaged(format!("its SHA-256 is {digest}, the manifest says {}", stored.sha256)));
        }
        if stored.is_plain() {
            return Ok(Opened { manifest, file, place });
        }
        let place = match place {
            Some(place) => place,
            None => {
                let staging = self.staging.clone();
                blocking(move || staging.drill_place()).await?
            }
        };
        let (codec, progress, copy, limit) =
            (self.codec.clone(), self.progress.clone(), place.file(COPY), manifest.bytes);
        let target = copy.clone();
        let unpacked = blocking(move || codec.unpack(&file, &stored, Some(&target), limit, &*progress));
        let (bytes, digest) = unpacked.await.map_err(|error| about(error, &called))?;
        if (bytes, &digest) != (manifest.bytes, &manifest.sha256) {
            let reason = format!("{bytes} bytes with the SHA-256 {digest} come out of it, the manifest says otherwise");
            return Err(damaged(reason));
        }
        let packed = place.file(PACKED);
        blocking(move || {
            // it may be large, and there may be none
            let _ = std::fs::remove_file(packed);
            Ok(())
        })
        .await?;
        Ok(Opened { manifest, file: copy, place: Some(place) })
    }
}

/// Gives an error about a passing file the name that lasts.
fn about(error: StoreError, name: &str) -> StoreError {
    match error {
        StoreError::Corrupt { reason, .. } => StoreError::Corrupt { what: name.to_owned(), reason },
        StoreError::NoKey { reason, .. } => StoreError::NoKey { what: name.to_owned(), reason },
        other => other,
    }
}
/// Damage is a result of a check; that it could not be made is an error.
fn finding(error: StoreError) -> StoreResult<String> {
    match error {
        StoreError::Corrupt { what, reason } => Ok(format!("{what}: {reason}")),
        other => Err(other),
    }
}

/// What is in a copy against what its manifest says.
pub(super) fn differences(contents: Contents, manifest: &BackupManifest) -> Vec<String> {
    let Contents { schema_version, rows, content, ledger, mut problems } = contents;
    if schema_version != manifest.schema_version {
        problems.push(format!("its schema is at {schema_version:?}, the manifest says {:?}", manifest.schema_version));
    }
    for (table, expected) in &manifest.rows {
        match rows.get(table) {
            None => problems.push(format!("table {table} is missing")),
            Some(found) if found != expected => {
                problems.push(format!("table {table} has {found} rows, the manifest says {expected}"));
            }
            Some(_) => {}
        }
    }
    for (table, expected) in &manifest.content {
        if content.get(table).is_some_and(|found| found != expected) {
            problems.push(format!("table {table} has other rows than the manifest says"));
        }
    }
    if manifest.ledger.is_some() && manifest.ledger != ledger {
        problems.push("the ledger ends elsewhere than the manifest says".to_owned());
    }
    for table in rows.keys().filter(|table| !manifest.rows.contains_key(*table)) {
        problems.push(format!("table {table} is not in the manifest"));
    }
    problems
}
