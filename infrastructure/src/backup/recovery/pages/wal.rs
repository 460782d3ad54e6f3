//! The write-ahead log.

use std::collections::HashMap;
use std::io::{self, Read, Seek};

use super::format::{is_page_size, number};
use super::{Wal, read_at};

const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// A log up to its last trusted commit.
#[derive(Debug)]
pub(super) struct Log<R> {
    file: R,
    /// Where the newest form of a page is.
    frames: HashMap<u32, u64>,
    /// Pages of commits behind a broken frame, and where they are, in the order of the log.
    pub(super) behind: Vec<(u32, u64)>,
    /// Page size and pages of the database after the commit.
    pub(super) committed: Option<(usize, u32)>,
    pub(super) wal: Wal,
}

impl<R: Read + Seek> Log<R> {
    /// Checks every frame. SQLite trusts none behind a broken one.
    pub(super) fn read(mut file: R) -> io::Result<Self> {
        let header = read_at(&mut file, 0, HEADER)?;
        let mut log = Self { file, frames: HashMap::new(), behind: Vec::new(), committed: None, wal: Wal::default() };
        let field = |at| number(&header, at, 4).unwrap_or_default();
        let page_size = field(8) as usize;
        let big = field(0) == 0x377f_0683;
        let mut sums = checksum(header.get(..24).unwrap_or_default(), big, (0, 0));
        log.wal.header =
            field(0) & !1 == 0x377f_0682 && is_page_size(page_size) && sums == (field(24) as u32, field(28) as u32);
        if !log.wal.header {
            return Ok(log);
        }
        let (mut pending, mut trusted) = (Vec::new(), true);
        for frame in 0.. {
            let at = HEADER + frame * (FRAME_HEADER + page_size as u64);
            let head = read_at(&mut log.file, at, FRAME_HEADER)?;
            if head.len() < FRAME_HEADER as usize {
                break;
            }
            let field = |at| number(&head, at, 4).unwrap_or_default() as u32;
            if head.get(8..16) != header.get(16..24) {
                (log.wal.stale, trusted) = (log.wal.stale + 1, false);
                continue;
            }
            log.wal.unused += 1;
            let body = read_at(&mut log.file, at + FRAME_HEADER, page_size as u64)?;
            sums = checksum(&body, big, checksum(head.get(..8).unwrap_or_default(), big, sums));
            let stored = (field(16), field(20));
            let is_whole = body.len() == page_size && field(0) != 0 && sums == stored;
            trusted &= is_whole;
            // a broken frame says nothing against the next one, which was summed up from what this one has as its sum
            sums = stored;
            if !is_whole {
                continue;
            }
            pending.push((field(0), at + FRAME_HEADER));
            match field(4) {
                0 => {}
                _ if !trusted => log.behind.append(&mut pending),
                pages => {
                    log.frames.extend(pending.drain(..));
                    log.wal.used += std::mem::take(&mut log.wal.unused);
                    log.committed = Some((page_size, pages));
                }
            }
        }
        Ok(log)
    }

    /// The newest form of a page, or the first bytes of it; none if only the file has it.
    pub(super) fn page(&mut self, number: u32, length: u64) -> Option<io::Result<Vec<u8>>> {
        let at = *self.frames.get(&number)?;
        Some(self.at(at, length))
    }

    /// The bytes at a place.
    pub(super) fn at(&mut self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        read_at(&mut self.file, at, length)
    }

    /// The highest page that is in the log, or 0.
    pub(super) fn last_page(&self) -> u32 {
        self.frames.keys().copied().max().unwrap_or(0)
    }
}

/// The running checksum of a log.
fn checksum(bytes: &[u8], big: bool, seed: (u32, u32)) -> (u32, u32) {
    let word = |bytes: &[u8]| {
        let word = number(bytes, 0, 4).unwrap_or_default() as u32;
        if big { word } else { word.swap_bytes() }
    };
    bytes.chunks_exact(8).fold(seed, |(first, second), pair| {
        let (left, right) = pair.split_at(4);
        let first = first.wrapping_add(word(left)).wrapping_add(second);
        (first, second.wrapping_add(word(right)).wrapping_add(first))
    })
}
