//! S3-compatible object storage as a [`ByteStore`].

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    WriteMultipart,
};
use tokio::io::AsyncWriteExt;
use trivia_domain::ports::{ByteStore, Phase, Progress, StoredObject, check_object_name};
use trivia_domain::{StoreError, StoreResult};

use super::files::{blocking, create_new, failed};

/// What is not larger goes in one request, and the parts of the rest are not smaller, in bytes. Two parts are in memory
/// and on their way at a time.
const PART: u64 = 8 << 20;
/// More parts than the protocol allows are never made.
const MOST_PARTS: u64 = 9_000;
/// Parts that are sent at the same time.
const AT_ONCE: usize = 2;
/// How long a server may take until it is there, and how long it may be silent.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(120);
/// For how long a request is tried again that the server could not answer.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 },
    max_retries: 4,
    retry_timeout: Duration::from_secs(60),
};

/// Where a bucket is and who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// Where the server is, such as `https://storage.example`; that of AWS for the region when it is not set.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// The usual variables, such as `AWS_ACCESS_KEY_ID`; the two fields above win.
    pub variables: HashMap<String, String>,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the variables hold secrets
        let Self { url, endpoint, region, variables } = self;
        let mut names: Vec<_> = variables.keys().collect();
        names.sort();
        f.debug_struct("S3Options")
            .field("url", url)
            .field("endpoint", endpoint)
            .field("region", region)
            .field("variables", &names)
            .finish()
    }
}

/// A prefix of a bucket.
pub struct S3Store {
    client: AmazonS3,
    bucket: String,
    prefix: Key,
}

impl S3Store {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when an option is wrong.
    pub fn new(options: &S3Options) -> StoreResult<Self> {
        let invalid = |reason: String| StoreError::invalid("place of backups", reason);
        let (bucket, prefix) = parse(&options.url)?;
        // somebody else in this process may have chosen before
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http =
            ClientOptions::new().with_connect_timeout(CONNECT).with_timeout_disabled().with_read_timeout(SILENCE);
        let mut builder = AmazonS3Builder::new().with_client_options(http).with_retry(RETRIES);
        for (name, value) in &options.variables {
            // others of the same beginning are for other programs
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(region) = &options.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).unwrap_or_default();
        let spelled_out = ["AWS_ALLOW_HTTP", "aws_allow_http"].iter().filter_map(|name| options.variables.get(*name));
        let plaintext = is_loopback(&endpoint) || spelled_out.into_iter().any(|value| value == "true");
        if endpoint.starts_with("http://") && !plaintext {
            let reason = format!("{endpoint} is not encrypted; use https, or set AWS_ALLOW_HTTP=true");
            return Err(invalid(reason));
        }
        let client = builder.with_bucket_name(&bucket).with_allow_http(plaintext).build();
        let client = client.map_err(|error| invalid(error.to_string()))?;
        Ok(Self { client, bucket, prefix })
    }

    fn key(&self, name: &str) -> StoreResult<Key> {
        check_object_name(name)?;
        Ok(self.prefix.clone().join(name))
    }

    /// Translates the errors of the library, which hold no secret.
    fn failed(&self, name: &str) -> impl Fn(object_store::Error) -> StoreError {
        let (what, name) = (self.place(name), name.to_owned());
        move |error| {
            let what = what.clone();
            match error {
                object_store::Error::NotFound { .. } if name.is_empty() => StoreError::missing("bucket of", &what),
                object_store::Error::NotFound { .. } => StoreError::missing("object", &what),
                object_store::Error::AlreadyExists { .. } => StoreError::conflict("object", &name),
                object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                    StoreError::Denied { what, reason: reason(&error) }
                }
                other => match reason(&other) {
                    // listing has no other way to say it
                    reason if reason.contains("status code: 401") || reason.contains("status code: 403") => {
                        StoreError::Denied { what, reason }
                    }
                    reason if reason.contains("NoSuchBucket") => StoreError::missing("bucket of", &what),
                    reason => StoreError::Unreachable { what, reason },
                },
            }
        }
    }

    /// An object, unless there is none or it is longer than `limit` bytes.
    async fn get(&self, name: &str, limit: u64) -> StoreResult<Option<GetResult>> {
        match self.client.get(&self.key(name)?).await {
            Ok(found) if found.meta.size > limit => Err(self.too_long(name, limit)),
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => self.is_there().await.map(|()| None),
            Err(error) => Err(self.failed(name)(error)),
        }
    }

    /// Tells an object that is not there from a bucket that is not there.
    async fn is_there(&self) -> StoreResult<()> {
        let mut objects = self.client.list_with_offset(Some(&self.prefix), &self.prefix);
        objects.try_next().await.map(drop).map_err(self.failed(""))
    }

    fn too_long(&self, name: &str, limit: u64) -> StoreError {
        StoreError::Corrupt { what: self.place(name), reason: format!("it is longer than {limit} bytes") }
    }

    /// Sends a file in parts.
    async fn send(&self, key: &Key, source: File, bytes: u64, progress: &Arc<dyn Progress>) -> Sent {
        let part = PART.max(bytes.div_ceil(MOST_PARTS));
        let upload = self.client.put_multipart(key).await.map_err(Stopped::Server)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, usize::try_from(part).unwrap_or(usize::MAX));
        let (mut source, mut sent) = (Some(source), 0);
        let ended = async {
            while let Some(mut file) = source.take() {
                upload.wait_for_capacity(AT_ONCE).await.map_err(Stopped::Server)?;
                let read = blocking(move || {
                    let mut chunk = Vec::new();
                    let read = file.by_ref().take(part).read_to_end(&mut chunk);
                    Ok(read.map(|_| (file, chunk)))
                });
                let (file, chunk) = read.await.map_err(Stopped::Here)?.map_err(Stopped::File)?;
                if chunk.is_empty() {
                    break;
                }
                sent += chunk.len() as u64;
                upload.put(chunk.into());
                progress.at(Phase::Store, sent, Some(bytes));
                source = Some(file);
            }
            Ok(())
        };
        let ended: Sent = ended.await;
        match ended {
            Ok(()) => upload.finish().await.map(drop).map_err(Stopped::Server),
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "the parts of an upload that failed could not be removed");
                }
                Err(error)
            }
        }
    }
}

/// How sending a file ended.
type Sent = Result<(), Stopped>;

enum Stopped {
    Server(object_store::Error),
    File(std::io::Error),
    Here(StoreError),
}

#[async_trait]
impl ByteStore for S3Store {
    fn place(&self, name: &str) -> String {
        let key = if name.is_empty() { self.prefix.clone() } else { self.prefix.clone().join(name) };
        format!("s3://{}/{key}", self.bucket)
    }

    fn file(&self, _name: &str) -> Option<PathBuf> {
        None
    }

    async fn list(&self) -> StoreResult<Vec<StoredObject>> {
        let listed = self.client.list_with_delimiter(Some(&self.prefix)).await.map_err(self.failed(""))?;
        let object = |meta: object_store::ObjectMeta| {
            let name = meta.location.filename()?;
            check_object_name(name).ok()?;
            Some(StoredObject { name: name.to_owned(), bytes: meta.size })
        };
        Ok(listed.objects.into_iter().filter_map(object).collect())
    }

    async fn read(&self, name: &str, limit: u64) -> StoreResult<Option<Vec<u8>>> {
        let Some(found) = self.get(name, limit).await? else { return Ok(None) };
        let (mut chunks, mut content) = (found.into_stream(), Vec::new());
        while let Some(chunk) = chunks.try_next().await.map_err(self.failed(name))? {
            content.extend_from_slice(&chunk);
            if content.len() as u64 > limit {
                return Err(self.too_long(name, limit));
            }
        }
        Ok(Some(content))
    }

    async fn fetch(
        &self,
        name: &str,
        target: &Path,
        limit: u64,
        progress: &Arc<dyn Progress>,
    ) -> StoreResult<Option<u64>> {
        let Some(found) = self.get(name, limit).await? else { return Ok(None) };
        let (path, total) = (target.to_owned(), found.meta.size);
        let file = blocking(move || create_new(&path)).await?;
        let mut file = tokio::io::BufWriter::with_capacity(1 << 20, tokio::fs::File::from_std(file));
        let (mut chunks, mut bytes) = (found.into_stream(), 0);
        while let Some(chunk) = chunks.try_next().await.map_err(self.failed(name))? {
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(self.too_long(name, limit));
            }
            file.write_all(&chunk).await.map_err(failed(target))?;
            progress.at(Phase::Fetch, bytes, Some(total));
        }
        file.flush().await.map_err(failed(target))?;
        file.get_ref().sync_all().await.map_err(failed(target))?;
        Ok(Some(bytes))
    }

    async fn store(&self, name: &str, source: &Path, progress: &Arc<dyn Progress>) -> StoreResult<()> {
        let (key, path) = (self.key(name)?, source.to_owned());
        let (file, bytes) = blocking(move || {
            let file = File::open(&path).map_err(failed(&path))?;
            let bytes = file.metadata().map_err(failed(&path))?.len();
            Ok((file, bytes))
        })
        .await?;
        if bytes <= PART {
            let path = source.to_owned();
            let content = blocking(move || {
                let mut content = Vec::new();
                file.take(PART).read_to_end(&mut content).map_err(failed(&path))?;
                Ok(content)
            });
            self.write(name, &content.await?).await?;
            progress.at(Phase::Store, bytes, Some(bytes));
            return Ok(());
        }
        // the protocol has no other way for a file in parts
        match self.client.head(&key).await {
            Ok(_) => return Err(StoreError::conflict("object", name)),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(self.failed(name)(error)),
        }
        self.send(&key, file, bytes, progress).await.map_err(|stopped| match stopped {
            Stopped::Server(error) => self.failed(name)(error),
            Stopped::File(error) => failed(source)(error),
            Stopped::Here(error) => error,
        })
    }

    async fn write(&self, name: &str, content: &[u8]) -> StoreResult<()> {
        let payload = PutPayload::from(content.to_owned());
        let options = PutOptions::from(PutMode::Create);
        self.client.put_opts(&self.key(name)?, payload, options).await.map(drop).map_err(self.failed(name))
    }

    async fn delete(&self, name: &str) -> StoreResult<()> {
        match self.client.delete(&self.key(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(name)(error)),
        }
    }
}

/// Bucket and prefix of `s3://bucket/prefix`.
fn parse(url: &str) -> StoreResult<(String, Key)> {
    let invalid = |reason: &str| StoreError::invalid("place of backups", format!("{url:?} {reason}"));
    let rest = url.strip_prefix("s3://").ok_or_else(|| invalid("is not of the form s3://bucket/prefix"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if bucket.is_empty() || !bucket.chars().all(valid) {
        return Err(invalid("names no bucket: that is a-z, 0-9, - and ."));
    }
    let prefix = Key::parse(prefix.trim_end_matches('/')).map_err(|_| invalid("has a prefix that is no path"))?;
    Ok((bucket.to_owned(), prefix))
}

/// Whether nobody else can listen on the way to an address.
fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The deepest cause, which is the one that says something, on one line.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
