//! The directory of the backups: names, claims, publishing, reading. It knows files and no database,
//! so that other places can be added beside it.
//!
//! A backup is three files: `<id>.db`, `<id>.sha256` with the digests of both others, and
//! `<id>.json`, the manifest. The manifest comes last and goes first: without it there is no backup.
//! After a drill there is a fourth, `<id>.drill`.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use trivia_domain::model::{BackupId, BackupInfo, BackupKind, BackupManifest, Drill};
use trivia_domain::{StoreError, StoreResult};

use super::files::{
    Scratch, corrupt, create_dir, create_new, failed, measure, open_regular, read_limited, sha256, sync_dir, write_new,
};

/// Version of the form of a manifest; the first one is read as well.
pub(super) const FORMAT: u32 = 2;
const PREFIX: &str = "trivia_";
const DRAFT: &str = ".tmp-";
const LOCK: &str = ".lock";
const COPY: &str = "db";
const CHECKSUMS: &str = "sha256";
const MANIFEST: &str = "json";
const DRILL: &str = "drill";
/// Where a drill takes place.
const DRILL_PLACE: &str = ".drill-";
/// Longest manifest that is read.
const MANIFEST_LIMIT: u64 = 1 << 20;
/// Longest file of checksums that is read.
const CHECKSUMS_LIMIT: u64 = 1 << 12;
/// Longest note of a drill that is read.
const DRILL_LIMIT: u64 = 1 << 12;

/// Where the backups are.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    path: PathBuf,
}

/// A backup in the making. Dropping it leaves nothing.
#[derive(Debug)]
pub(super) struct Draft {
    scratch: Scratch,
    pub(super) sequence: u64,
}

impl Draft {
    /// The empty file that takes the copy.
    pub(super) fn copy(&self) -> PathBuf {
        self.scratch.file(COPY)
    }
}

impl Directory {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The copy of a backup.
    pub(super) fn copy(&self, id: &BackupId) -> PathBuf {
        self.file(id, COPY)
    }

    fn file(&self, id: &BackupId, extension: &str) -> PathBuf {
        self.path.join(format!("{id}.{extension}"))
    }

    /// A file to lock while no other process may make a backup of the same day or week.
    pub(super) fn lock_file(&self) -> StoreResult<File> {
        create_dir(&self.path)?;
        let path = self.path.join(LOCK);
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed(&path))
    }

    /// Starts a backup with the next sequence.
    pub(super) fn begin(&self) -> StoreResult<Draft> {
        create_dir(&self.path)?;
        loop {
            let sequence = self.highest_sequence(|_| true)? + 1;
            let Some(scratch) = Scratch::claim(self.path.join(format!("{DRAFT}{sequence:06}")))? else { continue };
            // between the look and the claim another process may have published it
            if self.highest_sequence(|name| name.starts_with(PREFIX))? >= sequence {
                continue;
            }
            if let Err(error) = scratch.sweep(|name| name.starts_with(DRAFT) && sequence_of(name).is_some()) {
                tracing::warn!(path = %self.path.display(), %error, "interrupted attempts could not be removed");
            }
            create_new(&scratch.file(COPY))?;
            return Ok(Draft { scratch, sequence });
        }
    }

    /// The highest sequence in names that look like ours, finished or not; 0 when there is none.
    fn highest_sequence(&self, counts: impl Fn(&str) -> bool) -> StoreResult<u64> {
        let names = self.names()?;
        Ok(names.iter().filter(|name| counts(name)).filter_map(|name| sequence_of(name)).max().unwrap_or(0))
    }

    /// All names; none when there is no directory.
    fn names(&self) -> StoreResult<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&self.path)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed(&self.path))?;
            // names of ours are plain ASCII
            names.extend(entry.file_name().into_string());
        }
        Ok(names)
    }

    /// Makes a draft a backup.
    pub(super) fn publish(&self, draft: Draft, manifest: &BackupManifest) -> StoreResult<()> {
        let id = &manifest.id;
        let json =
            serde_json::to_vec_pretty(manifest).map_err(|error| StoreError::backend("writing a manifest", error))?;
        write_new(&draft.scratch.file(CHECKSUMS), checksums(manifest, &json).as_bytes())?;
        write_new(&draft.scratch.file(MANIFEST), &json)?;
        let publish = |extension| {
            let path = self.file(id, extension);
            fs::rename(draft.scratch.file(extension), &path).map_err(failed(&path))
        };
        let published = publish(COPY)
            .and_then(|()| publish(CHECKSUMS))
            .and_then(|()| sync_dir(&self.path))
            .and_then(|()| publish(MANIFEST))
            .and_then(|()| sync_dir(&self.path));
        if published.is_err() {
            for extension in [MANIFEST, CHECKSUMS, COPY] {
                // the name was claimed, so the files are ours; some are not there yet
                let _ = fs::remove_file(self.file(id, extension));
            }
        }
        published
    }

    /// All backups, newest first. What cannot be read is left out, and left alone.
    pub(super) fn list(&self) -> StoreResult<Vec<BackupInfo>> {
        let mut backups = Vec::new();
        for name in self.names()? {
            let id = name.strip_suffix(".json").filter(|stem| sequence_of(stem).is_some()).map(BackupId::new);
            let Some(Ok(id)) = id else { continue };
            match self.info(&id) {
                Ok(info) => backups.push(info),
                // deleted since its name was read
                Err(StoreError::Missing { .. }) => {}
                Err(error) => tracing::warn!(backup = %id, %error, "a backup is left out of the list"),
            }
        }
        backups.sort_by(|a, b| (b.manifest.sequence, &b.manifest.id).cmp(&(a.manifest.sequence, &a.manifest.id)));
        Ok(backups)
    }

    /// What is known of a backup without looking into it.
    pub(super) fn info(&self, id: &BackupId) -> StoreResult<BackupInfo> {
        let (manifest, json) = self.manifest(id)?;
        let path = self.copy(id);
        let whole = fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.len() == manifest.bytes);
        let verified = whole && self.checksum_problem(&manifest, &json)?.is_none();
        Ok(BackupInfo { manifest, path: path.display().to_string(), verified, drill: self.last_drill(id)? })
    }

    /// The last drill of a backup. A note that cannot be read is none: it can be made again.
    fn last_drill(&self, id: &BackupId) -> StoreResult<Option<Drill>> {
        let note = read_limited(&self.file(id, DRILL), DRILL_LIMIT)?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
    }

    /// Notes what a drill found, in place of the one before.
    pub(super) fn note_drill(&self, id: &BackupId, drill: Drill) -> StoreResult<()> {
        let note = serde_json::to_vec(&drill).map_err(|error| StoreError::backend("noting a drill", error))?;
        let place = self.drill_place()?;
        write_new(&place.file(DRILL), &note)?;
        let path = self.file(id, DRILL);
        fs::rename(place.file(DRILL), &path).map_err(failed(&path))?;
        sync_dir(&self.path)
    }

    /// A directory for a drill.
    pub(super) fn drill_place(&self) -> StoreResult<Scratch> {
        create_dir(&self.path)?;
        let mut number = 1_u32;
        let place = loop {
            match Scratch::claim(self.path.join(format!("{DRILL_PLACE}{number}")))? {
                Some(place) => break place,
                None => number += 1,
            }
        };
        if let Err(error) = place.sweep(|name| name.starts_with(DRILL_PLACE)) {
            tracing::warn!(path = %self.path.display(), %error, "interrupted drills could not be removed");
        }
        Ok(place)
    }

    /// What is known of a backup, and the bytes that say it.
    fn manifest(&self, id: &BackupId) -> StoreResult<(BackupManifest, Vec<u8>)> {
        let path = self.file(id, MANIFEST);
        let json = read_limited(&path, MANIFEST_LIMIT)?.ok_or_else(|| StoreError::missing("backup", id))?;
        let manifest: BackupManifest =
            serde_json::from_slice(&json).map_err(|error| corrupt(&path, &format!("it is no manifest: {error}")))?;
        if !(1..=FORMAT).contains(&manifest.format) {
            return Err(corrupt(&path, &format!("it has format {}, this program reads {FORMAT}", manifest.format)));
        }
        if manifest.id != *id || sequence_of(id.as_str()) != Some(manifest.sequence) {
            return Err(corrupt(&path, "it belongs to another backup"));
        }
        Ok((manifest, json))
    }

    fn checksum_problem(&self, manifest: &BackupManifest, json: &[u8]) -> StoreResult<Option<String>> {
        let path = self.file(&manifest.id, CHECKSUMS);
        let problem = match read_limited(&path, CHECKSUMS_LIMIT)? {
            None => "it is missing",
            Some(found) if found != checksums(manifest, json).as_bytes() => {
                "its digests are not those of the manifest and of what the manifest says about the copy"
            }
            Some(_) => return Ok(None),
        };
        Ok(Some(format!("{}: {problem}", path.display())))
    }

    /// The manifest of a backup and what contradicts it, without looking into the copy.
    pub(super) fn check(&self, id: &BackupId) -> StoreResult<(BackupManifest, Vec<String>)> {
        let (manifest, json) = self.manifest(id)?;
        let mut problems: Vec<String> = self.checksum_problem(&manifest, &json)?.into_iter().collect();
        let path = self.copy(id);
        let mut problem = |text: String| problems.push(format!("{}: {text}", path.display()));
        match open_regular(&path)? {
            None => problem("it is missing".to_owned()),
            Some(file) => {
                let (bytes, digest) = measure(&path, file)?;
                if bytes != manifest.bytes {
                    problem(format!("it has {bytes} bytes, the manifest says {}", manifest.bytes));
                }
                if digest != manifest.sha256 {
                    problem(format!("its SHA-256 is {digest}, the manifest says {}", manifest.sha256));
                }
            }
        }
        Ok((manifest, problems))
    }

    /// Deletes backups, manifests first: one that is only half gone is not listed.
    pub(super) fn remove(&self, ids: &[BackupId]) -> StoreResult<()> {
        for extensions in [&[MANIFEST][..], &[CHECKSUMS, COPY, DRILL]] {
            for path in ids.iter().flat_map(|id| extensions.iter().map(|extension| self.file(id, extension))) {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path)(error)),
                    _ => {}
                }
            }
            sync_dir(&self.path)?;
        }
        Ok(())
    }
}

/// The name of a backup.
pub(super) fn name(kind: BackupKind, at: DateTime<Utc>, sequence: u64) -> StoreResult<BackupId> {
    BackupId::new(&format!("{PREFIX}{kind}_{}_{sequence:06}", at.format("%Y%m%dt%H%M%Sz")))
}

/// The sequence in the name of a draft or of a file of a backup.
fn sequence_of(name: &str) -> Option<u64> {
    let digits = match name.strip_prefix(DRAFT) {
        Some(digits) => digits,
        None => name.strip_prefix(PREFIX)?.split('.').next()?.rsplit('_').next()?,
    };
    // a longer number was not made by counting, and would leave no room to count on
    let plausible = (6..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plausible { digits.parse().ok() } else { None }
}

/// What `sha256sum -c` reads.
fn checksums(manifest: &BackupManifest, json: &[u8]) -> String {
    let (id, copy) = (&manifest.id, &manifest.sha256);
    format!("{copy}  {id}.{COPY}\n{}  {id}.{MANIFEST}\n", sha256(json))
}
