//! Which files are meant, and what is in them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::ImportError;
use super::input::Input;
use super::report::Diagnostic;
use super::{Assumed, Format, Found, Parser, Place, Record};

/// How much of a file is looked at to tell its format.
const HEAD: u64 = 8 * 1024;

/// A file and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    /// Its size in bytes.
    pub(super) bytes: u64,
}

/// What a search for files needs to know.
pub(super) struct Search {
    /// Do not detect, it is this.
    pub(super) forced: Option<Format>,
    /// What is of unknown format is a table.
    pub(super) is_table: bool,
    /// A file of unknown format is an error also inside a folder.
    pub(super) strict: bool,
    /// Largest file in bytes.
    pub(super) max_bytes: u64,
}

impl Search {
    /// The files under the given paths; those in folders in order of their names. What is in a
    /// folder and of unknown format is told and left out.
    pub(super) fn run(&self, paths: &[PathBuf]) -> Result<(Vec<Source>, Vec<Diagnostic>), ImportError> {
        let mut sources = Vec::new();
        let mut unknown = Vec::new();
        for path in paths {
            if path.is_dir() {
                self.folder(path, &mut sources, &mut unknown)?;
            } else {
                sources.push(self.file(path)?);
            }
        }
        Ok((sources, unknown))
    }

    fn folder(
        &self,
        folder: &Path,
        sources: &mut Vec<Source>,
        unknown: &mut Vec<Diagnostic>,
    ) -> Result<(), ImportError> {
        let failed = |source| ImportError::Io { path: folder.to_owned(), source };
        let entries = std::fs::read_dir(folder).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        let mut paths: Vec<PathBuf> =
            entries.iter().map(std::fs::DirEntry::path).filter(|path| !is_aside(path)).collect();
        paths.sort_unstable();
        for path in paths {
            if path.is_dir() {
                // a link to a folder may lead back here
                if !path.is_symlink() {
                    self.folder(&path, sources, unknown)?;
                }
                continue;
            }
            match self.file(&path) {
                Ok(source) => sources.push(source),
                Err(error @ ImportError::UnknownFormat { .. }) if !self.strict => {
                    let file = path.display().to_string();
                    unknown.push(Diagnostic::of_file(file, "unknown_format", error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> Result<Source, ImportError> {
        let failed = |source| ImportError::Io { path: path.to_owned(), source };
        // asked first: opening a pipe would wait for its writer
        let about = std::fs::metadata(path).map_err(failed)?;
        if !about.is_file() {
            return Err(failed(io::Error::other("it is neither a file nor a folder")));
        }
        if about.len() > self.max_bytes {
            return Err(ImportError::TooLarge { path: path.to_owned(), bytes: about.len(), max: self.max_bytes });
        }
        let mut head = Vec::new();
        File::open(path).map_err(failed)?.take(HEAD).read_to_end(&mut head).map_err(failed)?;
        let by_name = || self.table(&head).or_else(|| Format::by_name(path));
        match self.forced.or_else(|| Format::detect(&head)).or_else(by_name) {
            Some(format) => Ok(Source { path: path.to_owned(), format, bytes: about.len() }),
            None => Err(ImportError::UnknownFormat { path: path.to_owned() }),
        }
    }

    /// The kind of table, when the caller says what its columns are.
    fn table(&self, head: &[u8]) -> Option<Format> {
        self.is_table.then(|| if head.contains(&b'\t') { Format::Tsv } else { Format::Csv })
    }
}

/// Hidden files and what lies next to data to describe it.
fn is_aside(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split(['.', '-']).next().unwrap_or_default();
    name.starts_with('.') || ["LICENSE", "SOURCE", "README"].contains(&stem)
}

/// The records of a file.
pub(super) struct Records {
    source: usize,
    file: Arc<str>,
    path: PathBuf,
    input: Input,
    parser: Box<dyn Parser>,
    /// How many there were.
    count: u64,
    /// Line of the last one.
    line: u64,
}

impl Source {
    /// Begins to read the source with this number.
    pub(super) fn open(&self, number: usize, assumed: &Assumed) -> Result<Records, ImportError> {
        let input = File::open(&self.path).and_then(Input::new);
        Ok(Records {
            source: number,
            file: self.path.display().to_string().into(),
            path: self.path.clone(),
            input: input.map_err(|source| ImportError::Io { path: self.path.clone(), source })?,
            parser: self.format.parser(&self.path, assumed),
            count: 0,
            line: 0,
        })
    }
}

impl Records {
    /// How many bytes were read.
    pub(super) const fn bytes(&self) -> u64 {
        self.input.bytes()
    }
}

impl Iterator for Records {
    type Item = Result<Record, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.parser.next(&mut self.input) {
            Ok(Some(Found { line, text, parsed })) => {
                self.count += 1;
                let number = (line == self.line).then_some(self.count);
                self.line = line;
                let place = Place { source: self.source, file: Arc::clone(&self.file), line, number, text };
                Some(Ok(Record { place, parsed }))
            }
            Ok(None) => None,
            Err(source) => Some(Err(ImportError::Io { path: self.path.clone(), source })),
        }
    }
}
