//! Bytes of a file with their place, read in bounded pieces.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// Mark at the start of some UTF-8 files.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// A file that is being read.
pub(super) struct Input {
    reader: BufReader<Box<dyn Read + Send>>,
    line: u64,
    bytes: u64,
}

/// A line without its end.
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    /// What it holds, up to the limit.
    pub(super) bytes: Vec<u8>,
    /// Whether there was more.
    pub(super) cut: bool,
}

impl Input {
    pub(super) fn new(reader: impl Read + Send + 'static) -> io::Result<Self> {
        let mut input = Self { reader: BufReader::with_capacity(64 * 1024, Box::new(reader)), line: 1, bytes: 0 };
        if input.buffer()?.starts_with(BOM) {
            input.take(BOM.len());
        }
        Ok(input)
    }

    /// Line of the next byte.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// How much was read.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next byte, which stays.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.buffer()?.first().copied())
    }

    /// The next byte.
    pub(super) fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.take(1);
            self.line += u64::from(byte == b'\n');
        }
        Ok(byte)
    }

    /// The next line, of which at most `limit` bytes are kept.
    pub(super) fn next_line(&mut self, limit: usize) -> io::Result<Option<Line>> {
        let mut line = Line { number: self.line, bytes: Vec::new(), cut: false };
        let start = self.bytes;
        loop {
            let buffer = self.buffer()?;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let kept = piece.len().min(limit - line.bytes.len());
            line.bytes.extend_from_slice(&piece[..kept]);
            line.cut |= kept < piece.len();
            let length = piece.len();
            if end.is_some() {
                self.take(length + 1);
                self.line += 1;
                break;
            }
            if length == 0 {
                if self.bytes == start {
                    return Ok(None);
                }
                break;
            }
            self.take(length);
        }
        if line.bytes.last() == Some(&b'\r') {
            line.bytes.pop();
        }
        Ok(Some(line))
    }

    /// Hands over what is ahead, which is empty only at the end, and goes on by as many bytes as are taken.
    pub(super) fn take_from<T>(&mut self, take: impl FnOnce(&[u8]) -> (usize, T)) -> io::Result<T> {
        let ahead = self.buffer()?;
        let (taken, result) = take(ahead);
        let lines = ahead[..taken].iter().filter(|byte| **byte == b'\n').count();
        self.take(taken);
        self.line += lines as u64;
        Ok(result)
    }

    fn take(&mut self, count: usize) {
        self.reader.consume(count);
        self.bytes += count as u64;
    }

    /// What is ahead; empty only at the end.
    fn buffer(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.reader.buffer())
    }
}
