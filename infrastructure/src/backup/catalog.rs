//! What backups a place has: names, manifests, publishing, reading. It knows objects and no database.
//!
//! A backup is three objects: `<id>.sha256` with the digests of both others, the copy, whose name says how it is
//! packed, and `<id>.json`, the manifest. The checksums come first and claim the name; the manifest comes last and goes
//! first: without it there is no backup. After a drill there is a fourth, `<id>.drill`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, BackupManifest, Drill};
use trivia_domain::ports::{ByteStore, Progress};
use trivia_domain::{StoreError, StoreResult};

use super::files::sha256;

/// Version of the form of a manifest; the earlier ones are read as well.
pub(super) const FORMAT: u32 = 3;
/// The one of dumps, which programs that know no dumps do not read.
pub(super) const FORMAT_OF_DUMPS: u32 = 4;
/// The first version that says what is stored.
const PACKED_FORMAT: u32 = 3;
const PREFIX: &str = "trivia_";
const CHECKSUMS: &str = "sha256";
const MANIFEST: &str = "json";
const DRILL: &str = "drill";
/// Every way in which the name of a copy can end.
const COPIES: [&str; 8] = ["db", "db.zst", "db.age", "db.zst.age", "dump", "dump.zst", "dump.age", "dump.zst.age"];
/// Longest manifest that is read.
const MANIFEST_LIMIT: u64 = 1 << 20;
/// Longest file of checksums that is read.
const CHECKSUMS_LIMIT: u64 = 1 << 12;
/// Longest note of a drill that is read.
const DRILL_LIMIT: u64 = 1 << 12;
/// Backups that are looked at at the same time: object storage takes its time for each.
const AT_ONCE: usize = 8;

/// The backups of a place.
#[derive(Clone)]
pub(super) struct Catalog {
    store: Arc<dyn ByteStore>,
}

/// A manifest as it was read, and what contradicts it.
pub(super) struct Entry {
    pub(super) manifest: BackupManifest,
    pub(super) problems: Vec<String>,
}

impl Catalog {
    pub(super) fn new(store: Arc<dyn ByteStore>) -> Self {
        Self { store }
    }

    pub(super) fn store(&self) -> &dyn ByteStore {
        &*self.store
    }

    /// The highest sequence of what was ever begun to be published; 0 when there is none.
    pub(super) async fn highest_sequence(&self) -> StoreResult<u64> {
        let objects = self.store.list().await?;
        Ok(objects.iter().filter_map(|object| sequence_of(&object.name)).max().unwrap_or(0))
    }

    /// Makes a packed file a backup. A failure leaves nothing that is listed, and nothing of it where it can be removed.
    ///
    /// Returns `Conflict` when another backup has the name.
    pub(super) async fn publish(
        &self,
        manifest: &BackupManifest,
        file: &Path,
        progress: &Arc<dyn Progress>,
    ) -> StoreResult<()> {
        let json =
            serde_json::to_vec_pretty(manifest).map_err(|error| StoreError::backend("writing a manifest", error))?;
        let id = &manifest.id;
        let [first, copy, last] = [object(id, CHECKSUMS), copy_of(manifest), object(id, MANIFEST)];
        let mut ours = Vec::new();
        let published = async {
            for name in [&first, &copy, &last] {
                let stored = match name {
                    name if *name == copy => self.store.store(name, file, progress).await,
                    name if *name == first => self.store.write(name, checksums(manifest, &json).as_bytes()).await,
                    name => self.store.write(name, &json).await,
                };
                match stored {
                    // what is there belongs to somebody else
                    Err(StoreError::Conflict { .. }) => return Err(StoreError::conflict("backup", id)),
                    stored => {
                        ours.push(name);
                        stored?;
                    }
                }
            }
            Ok(())
        };
        let published = published.await;
        if published.is_err() {
            for name in ours.into_iter().rev() {
                if let Err(error) = self.store.delete(name).await {
                    tracing::warn!(object = self.store.place(name), %error, "a failed attempt could not be removed");
                }
            }
        }
        published
    }

    /// All backups, newest first. What cannot be read is left out, and left alone.
    pub(super) async fn list(&self) -> StoreResult<Vec<BackupInfo>> {
        let objects = self.objects().await?;
        let infos = manifests(&objects).into_iter().map(|id| self.readable_info(id, &objects));
        let infos: Vec<Option<BackupInfo>> = stream::iter(infos).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut backups: Vec<BackupInfo> = infos.into_iter().flatten().collect();
        backups.sort_by(|a, b| {
            let key = |backup: &BackupInfo| (backup.manifest.sequence, backup.manifest.id.clone());
            key(b).cmp(&key(a))
        });
        Ok(backups)
    }

    /// The newest backup that passed all checks when it was made and is still complete.
    pub(super) async fn newest_verified(&self) -> StoreResult<Option<BackupInfo>> {
        let objects = self.objects().await?;
        let mut ids = manifests(&objects);
        ids.sort_by_key(|id| std::cmp::Reverse(sequence_of(id.as_str())));
        for id in ids {
            if let Some(info) = self.readable_info(id, &objects).await?.filter(|info| info.verified) {
                return Ok(Some(info));
            }
        }
        Ok(None)
    }

    /// What is known of a backup without looking into it.
    pub(super) async fn info(&self, id: &BackupId) -> StoreResult<BackupInfo> {
        self.info_among(id, &self.objects().await?).await
    }

    async fn objects(&self) -> StoreResult<BTreeMap<String, u64>> {
        Ok(self.store.list().await?.into_iter().map(|object| (object.name, object.bytes)).collect())
    }

    async fn readable_info(&self, id: BackupId, objects: &BTreeMap<String, u64>) -> StoreResult<Option<BackupInfo>> {
        match self.info_among(&id, objects).await {
            Ok(info) => Ok(Some(info)),
            // deleted since it was listed
            Err(StoreError::Missing { entity: "backup", .. }) => Ok(None),
            // the place as a whole is not at hand: nothing is known of any
            Err(error @ (StoreError::Denied { .. } | StoreError::Unreachable { .. })) => Err(error),
            Err(error) => {
                tracing::warn!(backup = %id, %error, "it cannot be read and is not listed");
                Ok(None)
            }
        }
    }

    async fn info_among(&self, id: &BackupId, objects: &BTreeMap<String, u64>) -> StoreResult<BackupInfo> {
        let (manifest, json) = self.manifest(id).await?;
        let stored = manifest.stored();
        let name = copy_of(&manifest);
        let whole = objects.get(&name) == Some(&stored.bytes);
        let verified = whole && self.checksum_problem(&manifest, &json).await?.is_none();
        let drill = if objects.contains_key(&object(id, DRILL)) { self.last_drill(id).await? } else { None };
        Ok(BackupInfo { manifest, path: self.store.place(&name), verified, drill })
    }

    /// The last drill of a backup. A note that cannot be read is none: it can be made again.
    async fn last_drill(&self, id: &BackupId) -> StoreResult<Option<Drill>> {
        let note = self.store.read(&object(id, DRILL), DRILL_LIMIT).await?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
    }

    /// Notes what a drill found, in place of the one before.
    pub(super) async fn note_drill(&self, id: &BackupId, drill: Drill) -> StoreResult<()> {
        let note = serde_json::to_vec(&drill).map_err(|error| StoreError::backend("noting a drill", error))?;
        let name = object(id, DRILL);
        self.store.delete(&name).await?;
        match self.store.write(&name, &note).await {
            // somebody else has made one at the same time
            Err(StoreError::Conflict { .. }) => Ok(()),
            noted => noted,
        }
    }

    /// What is known of a backup, and the bytes that say it.
    async fn manifest(&self, id: &BackupId) -> StoreResult<(BackupManifest, Vec<u8>)> {
        let name = object(id, MANIFEST);
        let json = self.store.read(&name, MANIFEST_LIMIT).await?.ok_or_else(|| StoreError::missing("backup", id))?;
        let corrupt = |reason: String| StoreError::Corrupt { what: self.store.place(&name), reason };
        let manifest: BackupManifest =
            serde_json::from_slice(&json).map_err(|error| corrupt(format!("it is no manifest: {error}")))?;
        if !(1..=FORMAT_OF_DUMPS).contains(&manifest.format) {
            return Err(corrupt(format!("it has format {}, this program reads {FORMAT_OF_DUMPS}", manifest.format)));
        }
        if manifest.id != *id || sequence_of(id.as_str()) != Some(manifest.sequence) {
            return Err(corrupt("it belongs to another backup".to_owned()));
        }
        let says_what = manifest.packed.is_some() == (manifest.format >= PACKED_FORMAT)
            && manifest.dump.is_some() == (manifest.format == FORMAT_OF_DUMPS);
        if !says_what {
            return Err(corrupt("it does not say what is stored".to_owned()));
        }
        let stored = manifest.stored();
        if stored.is_plain() && (stored.bytes, &stored.sha256) != (manifest.bytes, &manifest.sha256) {
            return Err(corrupt("what is stored is not the copy that it is".to_owned()));
        }
        Ok((manifest, json))
    }

    async fn checksum_problem(&self, manifest: &BackupManifest, json: &[u8]) -> StoreResult<Option<String>> {
        let name = object(&manifest.id, CHECKSUMS);
        let problem = match self.store.read(&name, CHECKSUMS_LIMIT).await? {
            None => "it is missing",
            Some(found) if found != checksums(manifest, json).as_bytes() => {
                "its digests are not those of the manifest and of what the manifest says about the copy"
            }
            Some(_) => return Ok(None),
        };
        Ok(Some(format!("{}: {problem}", self.store.place(&name))))
    }

    /// The manifest of a backup and what contradicts it, without looking at the copy.
    pub(super) async fn entry(&self, id: &BackupId) -> StoreResult<Entry> {
        let (manifest, json) = self.manifest(id).await?;
        let problems = self.checksum_problem(&manifest, &json).await?.into_iter().collect();
        Ok(Entry { manifest, problems })
    }

    /// Deletes backups, manifests first: one that is only half gone is not listed.
    pub(super) async fn remove(&self, ids: &[BackupId]) -> StoreResult<()> {
        let there = self.objects().await?;
        for extensions in [&[MANIFEST][..], &COPIES, &[CHECKSUMS, DRILL]] {
            for id in ids {
                for name in extensions.iter().map(|extension| object(id, extension)) {
                    if there.contains_key(&name) {
                        self.store.delete(&name).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The name of an object of a backup.
pub(super) fn object(id: &BackupId, extension: &str) -> String {
    format!("{id}.{extension}")
}

/// The name of the copy of a backup.
pub(super) fn copy_of(manifest: &BackupManifest) -> String {
    object(&manifest.id, manifest.extension())
}

/// The name of a backup.
pub(super) fn name(kind: BackupKind, at: DateTime<Utc>, sequence: u64) -> StoreResult<BackupId> {
    BackupId::new(&format!("{PREFIX}{kind}_{}_{sequence:06}", at.format("%Y%m%dt%H%M%Sz")))
}

/// The backups that have a manifest.
fn manifests(objects: &BTreeMap<String, u64>) -> Vec<BackupId> {
    let stems = objects.keys().filter_map(|name| name.strip_suffix(".json"));
    stems.filter(|stem| sequence_of(stem).is_some()).filter_map(|stem| BackupId::new(stem).ok()).collect()
}

/// The sequence in the name of a backup or of one of its objects.
fn sequence_of(name: &str) -> Option<u64> {
    plausible(name.strip_prefix(PREFIX)?.split('.').next()?.rsplit('_').next()?)
}

/// A sequence that was made by counting: a longer number would leave no room to count on.
pub(super) fn plausible(digits: &str) -> Option<u64> {
    let counted = (6..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if counted { digits.parse().ok() } else { None }
}

/// What `sha256sum -c` reads.
fn checksums(manifest: &BackupManifest, json: &[u8]) -> String {
    let (copy, last) = (copy_of(manifest), object(&manifest.id, MANIFEST));
    format!("{}  {copy}\n{}  {last}\n", manifest.stored().sha256, sha256(json))
}
