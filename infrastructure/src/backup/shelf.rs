//! What backups of every engine share: making drafts, packing, publishing, opening, checking, keeping.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use trivia_domain::model::{
    BackupId, BackupInfo, BackupKind, BackupManifest, Calendar, Drill, DumpOrigin, Packed, Period, RetentionPolicy,
    Verification,
};
use trivia_domain::ports::{Clock, Phase, Progress};
use trivia_domain::{StoreError, StoreResult};
use trivia_migration::{Migrator, MigratorTrait};

use super::BackupOptions;
use super::catalog::{Catalog, Entry, FORMAT, FORMAT_OF_DUMPS, copy_of, name};
use super::codec::Codec;
use super::content::{Contents, differences};
use super::files::{Scratch, blocking, corrupt, failed, measure, open_regular, seal};
use super::progress::{Shown, Silent};
use super::staging::{Draft, Staging};

/// Longest reason for a backup, so that a manifest stays small.
const LONGEST_REASON: usize = 1000;
/// How long to wait for another process that makes the backup of the same day or week.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether others are done.
const PAUSE: Duration = Duration::from_millis(50);
/// How often another name is tried when somebody elsewhere had the same idea in the same second.
const MOST_NAMES: u32 = 10;
/// The copy of a backup as it was stored and as it is opened, in a place of their own.
const PACKED: &str = "packed";
pub(super) const COPY: &str = "trivia.db";

/// Backups, whatever makes them.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(super) catalog: Catalog,
    pub(super) staging: Staging,
    codec: Codec,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What an engine knows about its copies.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    /// Why it cannot read a copy of this kind at all; `None` when it can.
    fn foreign(&self, manifest: &BackupManifest) -> Option<String>;

    /// Looks at everything in a copy where it is.
    async fn examine(&self, opened: &Opened) -> StoreResult<Contents>;

    /// Restores a copy in a place of its own, and says what is wrong with it.
    async fn rehearse(&self, opened: Opened) -> StoreResult<Vec<String>>;
}

/// A finished copy that is no backup yet.
pub(super) struct Made {
    pub(super) kind: BackupKind,
    pub(super) reason: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) contents: Contents,
    pub(super) dump: Option<DumpOrigin>,
}

/// Length and SHA-256 of a copy, and what is stored of it.
pub(super) type Sealed = ((u64, String), Packed);

/// What looking at a backup found.
pub(super) enum Found {
    /// It passes every check.
    Good(Box<Opened>),
    /// What is stored is what was stored, but nobody here can look inside.
    Sealed {
        /// Why not.
        reason: String,
    },
    /// What is stored is what was stored, and is for another engine.
    Foreign {
        /// Which one.
        reason: String,
    },
    /// What is wrong with it.
    Bad(Vec<String>),
}

/// A backup as a file that can be read, as long as this is held.
pub(super) struct Opened {
    pub(super) manifest: BackupManifest,
    /// The file. Nobody may write to it unless it has a place of its own.
    pub(super) file: PathBuf,
    /// Where it was opened; `None` when it is read where it is stored.
    pub(super) place: Option<Scratch>,
}

impl Shelf {
    pub(crate) fn new(backups: BackupOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            catalog: Catalog::new(backups.store()),
            staging: Staging::new(backups.dir),
            codec: Codec {
                level: backups.compression,
                recipients: backups.encrypt_to,
                identity_file: backups.identity_file,
            },
            progress: Arc::new(Silent),
            clock,
        }
    }

    /// The same, telling somebody how far it is.
    pub(super) fn showing(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// Tells at the end of an operation that it is over.
    pub(super) fn shown(&self) -> Shown {
        Shown(Arc::clone(&self.progress))
    }

    /// Whether copies are made smaller before they are stored.
    #[cfg(feature = "postgres")]
    pub(super) const fn compresses(&self) -> bool {
        self.codec.level.is_some()
    }

    /// The newest backup that passed all checks when it was made and is still complete.
    pub(crate) async fn newest_verified(&self) -> StoreResult<Option<BackupInfo>> {
        self.catalog.newest_verified().await
    }

    /// Refuses a reason that would make a manifest too large.
    pub(super) fn require_short(reason: &str) -> StoreResult<()> {
        if reason.len() > LONGEST_REASON {
            return Err(StoreError::invalid("reason", format!("it is longer than {LONGEST_REASON} bytes")));
        }
        Ok(())
    }

    /// Makes a copy a backup, after a proof that what is stored of it can be opened.
    pub(super) async fn publish(&self, mut draft: Draft, made: Made, sealed: Sealed) -> StoreResult<BackupInfo> {
        let Made { kind, reason, created_at, contents, dump } = made;
        let ((bytes, sha256), packed) = sealed;
        self.prove(&draft, &packed, (bytes, &sha256)).await?;
        let file = if packed.is_plain() { draft.copy() } else { draft.packed() };
        let mut manifest = BackupManifest {
            format: if dump.is_some() { FORMAT_OF_DUMPS } else { FORMAT },
            id: name(kind, created_at, draft.sequence)?,
            kind,
            reason,
            sequence: draft.sequence,
            created_at,
            tool: concat!("trivia-store ", env!("CARGO_PKG_VERSION")).to_owned(),
            schema_version: contents.schema_version,
            dump,
            bytes,
            sha256,
            packed: Some(packed),
            rows: contents.rows,
            content: contents.content,
            ledger: contents.ledger,
        };
        let mut names = 1;
        while let Err(error) = self.catalog.publish(&manifest, &file, &self.progress).await {
            if !matches!(error, StoreError::Conflict { .. }) || names == MOST_NAMES {
                return Err(error);
            }
            names += 1;
            draft.sequence = self.catalog.highest_sequence().await?.max(draft.sequence) + 1;
            (manifest.sequence, manifest.id) = (draft.sequence, name(kind, created_at, draft.sequence)?);
        }
        let path = self.catalog.store().place(&copy_of(&manifest));
        tracing::info!(backup = %manifest.id, bytes = manifest.stored().bytes, "backup made");
        blocking(move || {
            drop(draft);
            Ok(())
        })
        .await?;
        Ok(BackupInfo { manifest, path, verified: true, drill: None })
    }

    /// Starts a backup with a sequence that no other has.
    pub(super) async fn begin(&self) -> StoreResult<Draft> {
        loop {
            let (staging, published) = (self.staging.clone(), self.catalog.highest_sequence().await?);
            let Some(draft) = blocking(move || staging.begin(published)).await? else { continue };
            // between the look and the claim another process may have published it
            if self.catalog.highest_sequence().await? < draft.sequence {
                return Ok(draft);
            }
        }
    }

    /// Measures a copy and makes what is stored of it.
    pub(super) async fn pack(&self, draft: &Draft) -> StoreResult<Sealed> {
        let (copy, target, codec, progress) =
            (draft.copy(), draft.packed(), self.codec.clone(), Arc::clone(&self.progress));
        blocking(move || {
            let (bytes, sha256) = seal(&copy)?;
            let packed = if codec.is_plain() {
                Packed { compression: None, encryption: None, bytes, sha256: sha256.clone() }
            } else {
                codec.pack(&copy, &target, &*progress)?
            };
            Ok(((bytes, sha256), packed))
        })
        .await
    }

    /// Proves that what was packed can be unpacked, where there is a key for it.
    async fn prove(&self, draft: &Draft, packed: &Packed, copy: (u64, &str)) -> StoreResult<()> {
        if packed.is_plain() {
            return Ok(());
        }
        let (file, form, codec, progress) =
            (draft.packed(), packed.clone(), self.codec.clone(), Arc::clone(&self.progress));
        let limit = copy.0;
        match blocking(move || codec.unpack(&file, &form, None, limit, &*progress)).await {
            Ok((bytes, sha256)) if (bytes, sha256.as_str()) == copy => Ok(()),
            Ok(_) => Err(corrupt(&draft.packed(), "what was packed is not what comes out again")),
            Err(StoreError::NoKey { reason, .. }) => {
                tracing::info!(reason, "whether the backup can be opened was not tried");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a backup unless this day or week has its own.
    pub(super) async fn once(
        &self,
        kind: BackupKind,
        copy: impl Future<Output = StoreResult<BackupInfo>>,
    ) -> StoreResult<BackupInfo> {
        // held to the end; the system lets it go when the process dies
        let _turn = self.turn().await?;
        let now = self.clock.now();
        let backups = self.catalog.list().await?;
        let existing = backups.into_iter().find(|backup| {
            let BackupManifest { kind: found, created_at, .. } = backup.manifest;
            backup.verified && found == kind && same_period(kind, created_at, now)
        });
        match existing {
            Some(existing) => Ok(existing),
            None => copy.await,
        }
    }

    /// Waits until no other process makes a backup of the same day or week.
    async fn turn(&self) -> StoreResult<File> {
        let staging = self.staging.clone();
        let lock = blocking(move || staging.lock_file()).await?;
        let wait = async {
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(failed(self.staging.path())(error)),
                }
            }
        };
        let busy = StoreError::Busy { what: self.staging.path().display().to_string() };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or(Err(busy))?;
        Ok(lock)
    }

    /// See [`BackupService::verify`](trivia_domain::ports::BackupService::verify).
    pub(super) async fn verify(&self, engine: &dyn Engine, id: &BackupId) -> StoreResult<Verification> {
        let (problems, unopened) = match self.inspect(engine, id).await? {
            Found::Good(_) => (Vec::new(), None),
            Found::Sealed { reason } | Found::Foreign { reason } => (Vec::new(), Some(reason)),
            Found::Bad(problems) => (problems, None),
        };
        Ok(Verification { id: id.clone(), ok: problems.is_empty(), problems, unopened })
    }

    /// See [`BackupService::drill`](trivia_domain::ports::BackupService::drill).
    pub(super) async fn drill(&self, engine: &dyn Engine, id: &BackupId) -> StoreResult<Verification> {
        let problems = match self.inspect(engine, id).await? {
            Found::Good(opened) => match engine.rehearse(*opened).await {
                Ok(problems) => problems,
                Err(StoreError::Corrupt { what, reason } | StoreError::Incompatible { what, reason }) => {
                    vec![format!("{what}: {reason}")]
                }
                // that it could not be tried says nothing about the backup
                Err(error) => return Err(error),
            },
            Found::Sealed { reason } => return Err(StoreError::NoKey { what: format!("backup {id}"), reason }),
            Found::Foreign { reason } => return Err(StoreError::Incompatible { what: format!("backup {id}"), reason }),
            Found::Bad(problems) => problems,
        };
        let drill = Drill { at: self.clock.now(), ok: problems.is_empty() };
        self.catalog.note_drill(id, drill).await?;
        tracing::info!(backup = %id, ok = drill.ok, "drill made");
        Ok(Verification { id: id.clone(), ok: drill.ok, problems, unopened: None })
    }

    /// A backup that is whole and not newer than this program.
    pub(super) async fn restorable(&self, engine: &dyn Engine, id: &BackupId) -> StoreResult<Opened> {
        let what = format!("backup {id}");
        let opened = match self.inspect(engine, id).await? {
            Found::Good(opened) => *opened,
            Found::Sealed { reason } => return Err(StoreError::NoKey { what, reason }),
            Found::Foreign { reason } => return Err(StoreError::Incompatible { what, reason }),
            Found::Bad(problems) => {
                return Err(StoreError::Corrupt { what, reason: problems.into_iter().next().unwrap_or_default() });
            }
        };
        let version = &opened.manifest.schema_version;
        // the original system counted its versions; those are older than any of ours
        let is_original = version.bytes().all(|byte| byte.is_ascii_digit());
        if !is_original && !Migrator::migrations().iter().any(|known| known.name() == version) {
            let reason = format!("its schema has {version}, which this program does not know");
            return Err(StoreError::Incompatible { what, reason });
        }
        Ok(opened)
    }

    /// See [`BackupService::prune`](trivia_domain::ports::BackupService::prune).
    pub(super) async fn prune(&self, engine: &dyn Engine, policy: &RetentionPolicy) -> StoreResult<Vec<BackupId>> {
        let mut backups = self.catalog.list().await?;
        if policy.expired(&backups).is_empty() {
            return Ok(Vec::new());
        }
        // the one that must stay is one that is good today, not only when it was made
        for backup in &mut backups {
            let is_bad = matches!(self.inspect(engine, &backup.manifest.id).await?, Found::Bad(_));
            backup.verified = backup.verified && !is_bad;
            if backup.verified {
                break;
            }
            tracing::warn!(backup = %backup.manifest.id, "a backup is damaged");
        }
        let expired = policy.expired(&backups);
        self.catalog.remove(&expired).await?;
        tracing::info!(backups = expired.len(), "expired backups deleted");
        Ok(expired)
    }

    /// Looks at everything in a backup.
    async fn inspect(&self, engine: &dyn Engine, id: &BackupId) -> StoreResult<Found> {
        let manifest = match self.catalog.entry(id).await {
            Ok(Entry { manifest, problems }) if problems.is_empty() => manifest,
            Ok(Entry { problems, .. }) => return Ok(Found::Bad(problems)),
            Err(error) => return finding(error).map(|problem| Found::Bad(vec![problem])),
        };
        let name = self.catalog.store().place(&copy_of(&manifest));
        // a file that is not the one that was made is not opened
        let opened = match self.open(manifest).await {
            Ok(opened) => opened,
            Err(StoreError::NoKey { reason, .. }) => return Ok(Found::Sealed { reason }),
            Err(error) => return finding(error).map(|problem| Found::Bad(vec![problem])),
        };
        if let Some(reason) = engine.foreign(&opened.manifest) {
            return Ok(Found::Foreign { reason });
        }
        self.progress.at(Phase::Check, 0, None);
        let problems = match engine.examine(&opened).await {
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
        let name = copy_of(&manifest);
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

/// Whether two instants share the one backup of a kind.
fn same_period(kind: BackupKind, a: DateTime<Utc>, b: DateTime<Utc>) -> bool {
    // weeks of backups start on Monday in UTC, whatever the boards do
    let calendar = Calendar::default();
    let same = |period| calendar.start_at(period, a) == calendar.start_at(period, b);
    match kind {
        BackupKind::Daily => same(Period::Day),
        BackupKind::Weekly => same(Period::Week),
        _ => false,
    }
}
