//! Packing a copy for its place: compression, then encryption, both as streams and in the formats of the stock tools.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile, Recipient, x25519};
use sha2::{Digest, Sha256};
use trivia_domain::model::{Compression, Encryption, Packed};
use trivia_domain::ports::{Phase, Progress};
use trivia_domain::{StoreError, StoreResult};

use super::files::{corrupt, create_new, failed, hex, open_regular};

/// How much is moved at a time, in bytes.
const BUFFER: usize = 1 << 17;

/// Longest head of an encrypted file, in bytes: some hundred recipients.
const HEAD_LIMIT: usize = 1 << 16;

/// How copies are packed and opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Codec {
    /// Level of zstd; `None` compresses nothing.
    pub(super) level: Option<i32>,
    /// Who can open what is encrypted; nobody means that nothing is.
    pub(super) recipients: Vec<BackupRecipient>,
    /// The file with the keys that open.
    pub(super) identity_file: Option<PathBuf>,
}

/// Somebody who can open encrypted backups: the public half of a key, `age1...` as `age-keygen` prints it.
#[derive(Clone)]
pub struct BackupRecipient(x25519::Recipient);

impl FromStr for BackupRecipient {
    type Err = StoreError;

    fn from_str(text: &str) -> StoreResult<Self> {
        // the text is not repeated: somebody may have taken the secret half
        text.trim().parse().map(Self).map_err(|reason: &str| {
            StoreError::invalid("recipient of backups", format!("it is no age1... of `age-keygen`: {reason}"))
        })
    }
}

impl fmt::Debug for BackupRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Length and SHA-256 of some bytes.
pub(super) type Measured = (u64, String);

impl Codec {
    /// Whether copies are stored as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.level.is_none() && self.recipients.is_empty()
    }

    /// Packs a file of ours into a new one, which is on the disk then.
    pub(super) fn pack(&self, source: &Path, target: &Path, progress: &dyn Progress) -> StoreResult<Packed> {
        let file = File::open(source).map_err(failed(source))?;
        let total = file.metadata().map_err(failed(source))?.len();
        let mut input = Watched { file, done: 0, phase: Phase::Pack, total, progress };
        let mut output = Measuring::new(BufWriter::with_capacity(BUFFER, create_new(target)?));
        self.write(&mut input, &mut output).map_err(|error| error.of(source, target))?;
        let (bytes, sha256) = put_down(output, target)?;
        Ok(Packed {
            compression: self.level.map(|_| Compression::Zstd),
            encryption: (!self.recipients.is_empty()).then_some(Encryption::Age),
            bytes,
            sha256,
        })
    }

    fn write(&self, input: &mut dyn Read, output: &mut dyn Write) -> Result<(), Stopped> {
        if self.recipients.is_empty() {
            return self.compress(input, output);
        }
        let recipients = self.recipients.iter().map(|recipient| &recipient.0 as &dyn Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(|error| Stopped::Write(io::Error::other(error)));
        let mut encrypted = encryptor?.wrap_output(output).map_err(Stopped::Write)?;
        self.compress(input, &mut encrypted)?;
        encrypted.finish().map(drop).map_err(Stopped::Write)
    }

    fn compress(&self, input: &mut dyn Read, output: &mut dyn Write) -> Result<(), Stopped> {
        let Some(level) = self.level else { return pump(input, output) };
        let mut encoder = zstd::Encoder::new(output, level).map_err(Stopped::Write)?;
        // so that `zstd -t` finds damage, too
        encoder.include_checksum(true).map_err(Stopped::Write)?;
        pump(input, &mut encoder)?;
        encoder.finish().map(drop).map_err(Stopped::Write)
    }

    /// Unpacks what was packed and measures it. It goes into a new file, or nowhere to see whether it can be read.
    /// More than `limit` bytes are refused.
    pub(super) fn unpack(
        &self,
        source: &Path,
        packed: &Packed,
        target: Option<&Path>,
        limit: u64,
        progress: &dyn Progress,
    ) -> StoreResult<Measured> {
        let Some(mut file) = open_regular(source)? else { return Err(corrupt(source, "it is missing")) };
        if packed.encryption.is_some() {
            refuse_endless_head(&mut file, source)?;
        }
        let watched = Watched { file, done: 0, phase: Phase::Unpack, total: packed.bytes, progress };
        let mut input: Box<dyn Read + '_> = Box::new(watched);
        if packed.encryption.is_some() {
            let identities = self.identities(source)?;
            let identities = identities.iter().map(|identity| identity.as_ref() as &dyn Identity);
            let opened = Decryptor::new_buffered(BufReader::with_capacity(BUFFER, input));
            let opened = opened.and_then(|encrypted| encrypted.decrypt(identities));
            input = Box::new(opened.map_err(|error| self.unopened(source, error))?);
        }
        if packed.compression.is_some() {
            let decoder = zstd::Decoder::new(input).map_err(failed(source))?;
            input = Box::new(decoder);
        }
        let mut input = input.take(limit.saturating_add(1));
        let (bytes, sha256) = match target {
            Some(target) => {
                let mut output = Measuring::new(BufWriter::with_capacity(BUFFER, create_new(target)?));
                pump(&mut input, &mut output).map_err(|error| error.of(source, target))?;
                put_down(output, target)?
            }
            None => {
                let mut output = Measuring::new(io::sink());
                pump(&mut input, &mut output).map_err(|error| error.of(source, source))?;
                output.end().1
            }
        };
        if bytes > limit {
            return Err(corrupt(source, &format!("more comes out of it than the {limit} bytes of its manifest")));
        }
        Ok((bytes, sha256))
    }

    /// The keys that open.
    fn identities(&self, source: &Path) -> StoreResult<Vec<Box<dyn Identity + Send + Sync>>> {
        let no_key = |reason: String| StoreError::NoKey { what: source.display().to_string(), reason };
        let Some(path) = &self.identity_file else {
            return Err(no_key("it is encrypted, and no identity file is set".to_owned()));
        };
        let unread = |reason: String| no_key(format!("the identity file {} cannot be used: {reason}", path.display()));
        let file = File::open(path).and_then(|file| IdentityFile::from_buffer(BufReader::new(file)));
        let identities = file.map_err(|error| unread(error.to_string()))?.into_identities();
        identities.map_err(|error| unread(error.to_string()))
    }

    /// Why something encrypted is not opened.
    fn unopened(&self, source: &Path, error: DecryptError) -> StoreError {
        match error {
            DecryptError::NoMatchingKeys => {
                let file = self.identity_file.as_deref().unwrap_or(Path::new("")).display();
                let reason = format!("no identity in {file} is one of those that it was encrypted to");
                StoreError::NoKey { what: source.display().to_string(), reason }
            }
            DecryptError::Io(error) => Stopped::Read(error).of(source, source),
            other => corrupt(source, &other.to_string()),
        }
    }
}

/// The head of an encrypted file is read as a whole, so that its end must come soon.
fn refuse_endless_head(file: &mut File, path: &Path) -> StoreResult<()> {
    let mut head = Vec::new();
    let read = file.take(HEAD_LIMIT as u64).read_to_end(&mut head).and_then(|_| file.rewind());
    read.map_err(failed(path))?;
    if head.windows(5).any(|bytes| bytes == b"\n--- ") {
        return Ok(());
    }
    Err(corrupt(path, "it does not begin as an encrypted file does"))
}

/// Where the way from a reader to a writer ended.
enum Stopped {
    Read(io::Error),
    Write(io::Error),
}

impl Stopped {
    /// Names the file. What is no complaint of the system is one about the bytes.
    fn of(self, source: &Path, target: &Path) -> StoreError {
        match self {
            Self::Read(error) if error.raw_os_error().is_none() => corrupt(source, &error.to_string()),
            Self::Read(error) => failed(source)(error),
            Self::Write(error) => failed(target)(error),
        }
    }
}

fn pump(input: &mut dyn Read, output: &mut dyn Write) -> Result<(), Stopped> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => output.write_all(&buffer[..read]).map_err(Stopped::Write)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Stopped::Read(error)),
        }
    }
}

/// Puts a file on the disk.
fn put_down(output: Measuring<BufWriter<File>>, target: &Path) -> StoreResult<Measured> {
    let (writer, measured) = output.end();
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error);
    file.and_then(|file| file.sync_all()).map_err(failed(target))?;
    Ok(measured)
}

/// Tells how far a file is read.
struct Watched<'a> {
    file: File,
    done: u64,
    phase: Phase,
    total: u64,
    progress: &'a dyn Progress,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.done += read as u64;
        self.progress.at(self.phase, self.done, Some(self.total));
        Ok(read)
    }
}

/// Measures what passes.
struct Measuring<W> {
    inner: W,
    bytes: u64,
    digest: Sha256,
}

impl<W> Measuring<W> {
    fn new(inner: W) -> Self {
        Self { inner, bytes: 0, digest: Sha256::new() }
    }

    fn end(self) -> (W, Measured) {
        (self.inner, (self.bytes, hex(&self.digest.finalize())))
    }
}

impl<W: Write> Write for Measuring<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
