//! How SQLite puts rows into pages.

use std::collections::HashSet;

use super::{Column, Key, Kind, MOST_BYTES, Table, Value};

/// Where the page size is unknown, most databases have this one.
pub(super) const USUAL_PAGE_SIZE: usize = 4_096;
/// Bytes before the first page's own content.
pub(super) const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// How two bytes make a unit of UTF-16.
pub(super) type Wide = fn([u8; 2]) -> u16;

/// What the header of a database says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) page_size: usize,
    pub(super) reserved: usize,
    /// None for UTF-8.
    pub(super) wide: Option<Wide>,
    pub(super) first_trunk: u32,
    pub(super) free_pages: u32,
}

/// What a page is to its tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Role {
    TableInterior,
    TableLeaf,
    IndexInterior,
    IndexLeaf,
}

/// A page of a tree.
pub(super) struct Page {
    pub(super) number: u32,
    /// Without the reserved end; shorter where the file is cut.
    pub(super) bytes: Vec<u8>,
    pub(super) role: Role,
    /// Where its own header is: behind that of the database on page 1.
    pub(super) start: usize,
}

/// A cell that may hold a row: what its own header says.
pub(super) struct Cell {
    pub(super) rowid: Option<i64>,
    /// Bytes of the whole row.
    pub(super) length: u64,
    /// Types of its values.
    pub(super) types: Vec<u64>,
    /// Where the row begins on its page, its first value, and what comes behind.
    pub(super) start: usize,
    pub(super) body: usize,
    pub(super) end: usize,
}

impl Header {
    pub(super) const GUESS: Self =
        Self { page_size: USUAL_PAGE_SIZE, reserved: 0, wide: None, first_trunk: 0, free_pages: 0 };

    /// The header, if it is whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let page_size = match number(bytes, 16, 2)? {
            1 => 65_536,
            size => size as usize,
        };
        let reserved = number(bytes, 20, 1)? as usize;
        let is_ours = bytes.starts_with(MAGIC) && bytes.get(21..24)? == [64, 32, 32];
        let wide: Option<Wide> = match number(bytes, 56, 4)? {
            // not set before the first table
            0 | 1 => None,
            2 => Some(u16::from_le_bytes),
            3 => Some(u16::from_be_bytes),
            _ => return None,
        };
        let (first_trunk, free_pages) = (number(bytes, 32, 4)? as u32, number(bytes, 36, 4)? as u32);
        (is_ours && is_page_size(page_size) && page_size - reserved >= 480).then_some(Self {
            page_size,
            reserved,
            wide,
            first_trunk,
            free_pages,
        })
    }

    /// At least 480 bytes, as SQLite demands: what is computed from it stays above zero.
    pub(super) const fn usable(&self) -> usize {
        self.page_size - self.reserved
    }
}

impl Table {
    /// Whether a row with values of these types can be one of the table.
    pub(super) fn fits(&self, types: &[u64]) -> bool {
        let fits = |(position, kind): (usize, &u64)| {
            let column = self.column(position);
            if matches!(self.key, Key::Column(key) if Some(key) == column) {
                return *kind == 0;
            }
            column.and_then(|column| self.columns.get(column)).is_some_and(|column| column.fits(*kind))
        };
        (self.fewest.min(self.columns.len())..=self.columns.len()).contains(&types.len())
            && types.iter().enumerate().all(fits)
    }

    /// The column that is stored at a position.
    pub(super) fn column(&self, position: usize) -> Option<usize> {
        if let Key::Without(stored) = &self.key { stored.get(position).copied() } else { Some(position) }
    }

    pub(super) fn is_stored_in(&self, role: Role) -> bool {
        role.is_table() != matches!(self.key, Key::Without(_))
    }
}

impl Column {
    fn fits(&self, kind: u64) -> bool {
        match (kind, self.kind) {
            (0, _) => !self.not_null,
            (_, Kind::Any) | (1..=6 | 8 | 9, Kind::Integer | Kind::Real) | (7, Kind::Real) => true,
            (_, Kind::Text) => kind >= 13 && !kind.is_multiple_of(2),
            (_, Kind::Blob) => kind >= 12 && kind.is_multiple_of(2),
            _ => false,
        }
    }
}

impl Role {
    pub(super) const fn is_table(self) -> bool {
        matches!(self, Self::TableInterior | Self::TableLeaf)
    }

    /// Trees of tables hold rows in leaves only.
    pub(super) const fn has_rows(self) -> bool {
        !matches!(self, Self::TableInterior)
    }

    const fn is_interior(self) -> bool {
        matches!(self, Self::TableInterior | Self::IndexInterior)
    }
}

impl Page {
    pub(super) fn new(number: u32, bytes: Vec<u8>) -> Option<Self> {
        let start = if number == 1 { HEADER } else { 0 };
        let role = match bytes.get(start)? {
            0x02 => Role::IndexInterior,
            0x05 => Role::TableInterior,
            0x0a => Role::IndexLeaf,
            0x0d => Role::TableLeaf,
            _ => return None,
        };
        Some(Self { number, bytes, role, start })
    }

    /// The cell at a place, if its parts add up and it has at most so many columns.
    pub(super) fn cell(&self, mut at: usize, usable: usize, columns: usize) -> Option<Cell> {
        let usable = usable as u64;
        at += if self.role == Role::IndexInterior { 4 } else { 0 };
        let length = varint(&self.bytes, &mut at)?;
        let rowid = if self.role == Role::TableLeaf { Some(varint(&self.bytes, &mut at)?.cast_signed()) } else { None };
        let most = if rowid.is_some() { usable - 35 } else { (usable - 12) * 64 / 255 - 23 };
        let least = (usable - 12) * 32 / 255 - 23;
        let local = match length {
            _ if length <= most => length,
            _ => Some(least + (length - least) % (usable - 4)).filter(|local| *local <= most).unwrap_or(least),
        };
        let (start, end) = (at, at + local as usize);
        let payload = self.bytes.get(..end)?;
        let header = varint(payload, &mut at)?;
        let (mut types, mut total) = (Vec::new(), header);
        while ((at - start) as u64) < header && types.len() < columns {
            let kind = varint(payload, &mut at)?;
            total = total.checked_add(size(kind)?)?;
            types.push(kind);
        }
        let is_whole = (at - start) as u64 == header && total == length && length <= MOST_BYTES;
        is_whole.then_some(Cell { rowid, length, types, start, body: at, end })
    }

    /// Where its cells are: each once, though a damaged page may say so twice.
    pub(super) fn pointers(&self) -> Vec<usize> {
        let count = number(&self.bytes, self.start + 3, 2).unwrap_or_default() as usize;
        let first = self.start + if self.role.is_interior() { 12 } else { 8 };
        let mut seen = HashSet::new();
        let pointers = (0..count).map_while(|cell| number(&self.bytes, first + 2 * cell, 2));
        pointers.map(|at| at as usize).filter(|at| *at >= first && seen.insert(*at)).collect()
    }

    /// The pages below it, the last one first: a stack turns them around.
    pub(super) fn children(&self) -> Vec<u32> {
        if !self.role.is_interior() {
            return Vec::new();
        }
        let last = [self.start + 8].into_iter();
        let places = last.chain(self.pointers().into_iter().rev());
        places.filter_map(|at| u32::try_from(number(&self.bytes, at, 4)?).ok()).collect()
    }

    /// Whether the page is of this size: cells fill a page from its end.
    pub(super) fn looks_like(&self, size: usize) -> bool {
        let pointers = self.pointers();
        let first = self.start + 8 + 2 * pointers.len();
        pointers.iter().all(|at| (first..size).contains(at)) && pointers.iter().any(|at| *at >= size / 2)
    }
}

/// The table that SQLite keeps of all others.
pub(super) fn schema() -> Table {
    let column = |name: &str, kind, not_null| Column { name: name.to_owned(), kind, not_null };
    let columns = vec![
        column("type", Kind::Text, true),
        column("name", Kind::Text, true),
        column("tbl_name", Kind::Text, true),
        column("rootpage", Kind::Integer, true),
        column("sql", Kind::Text, false),
    ];
    Table { name: "sqlite_schema".to_owned(), columns, key: Key::Rowid, fewest: 5 }
}

/// Bytes of a value of a type.
pub(super) const fn size(kind: u64) -> Option<u64> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => Some(kind),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => Some((kind - 12) / 2),
    }
}

pub(super) fn value(kind: u64, bytes: &[u8], wide: Option<Wide>) -> Option<Value> {
    let bits = || number(bytes, 0, bytes.len());
    Some(match kind {
        0 => Value::Null,
        1..=6 => {
            let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
            Value::Integer((bits()? << unused).cast_signed() >> unused)
        }
        // SQLite stores no NaN
        7 => Value::Real(Some(f64::from_bits(bits()?)).filter(|real| !real.is_nan())?),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        _ if kind.is_multiple_of(2) => Value::Blob(bytes.to_vec()),
        _ => Value::Text(text(bytes, wide)?),
    })
}

fn text(bytes: &[u8], wide: Option<Wide>) -> Option<String> {
    let text = match wide {
        None => String::from_utf8(bytes.to_vec()).ok(),
        Some(unit) => {
            let units = bytes.chunks(2).map(|bytes| bytes.try_into().ok().map(unit));
            String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
        }
    };
    // a sector of zeros is no text
    text.filter(|text| !text.contains('\0'))
}

/// A number of one to nine bytes, seven bits each; a ninth byte counts whole.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if place == 8 {
            return Some(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

/// A number of up to eight bytes, the highest first.
pub(super) fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    Some(bytes.get(at..at.checked_add(size)?)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

pub(super) fn is_page_size(size: usize) -> bool {
    (512..=65_536).contains(&size) && size.is_power_of_two()
}
