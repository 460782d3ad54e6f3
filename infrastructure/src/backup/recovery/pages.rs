//! Rescues rows from the pages of a damaged SQLite file, without SQLite.
//!
//! [`Pages`] reads a *copy* of the file, and of its write-ahead log if there is one; never the live
//! file, whose locks a second descriptor would drop. It goes two ways. First down the trees that the
//! schema names: [`Origin::Tree`]. Then through all pages that no tree reached: what they hold is told
//! from the shape of their rows, by the tables that the caller describes: [`Origin::Orphan`]. Pages of
//! the freelist come last, and marked, because they hold what was deleted: [`Origin::Free`].
//!
//! A row comes out only if it is whole: its parts add up to its length, its values have the types of
//! its columns, its text is text. That does not make it right: a flipped bit in a number stays unseen.
//!
//! Any bytes may come in. Nothing here panics, and time and memory are bounded: a few bytes
//! for each page, an entry for each page in the log, and one row.

mod format;
#[cfg(test)]
mod tests;
mod wal;

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::{self, Read, Seek, SeekFrom};

use format::{Cell, HEADER, Header, Page, Role, USUAL_PAGE_SIZE, number, schema, size, value};
use wal::Log;

/// Longest row that is read; a longer one counts as damaged.
pub(crate) const MOST_BYTES: u64 = 64 << 20;
/// Pages that are looked at for a guess.
const SAMPLES: u64 = 4_096;

/// Takes the rows that come out.
type Take<'a, E> = &'a mut dyn FnMut(Row) -> Result<(), E>;

/// A table that rows may belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its name in the schema.
    pub(crate) name: String,
    /// Its columns in the order of its definition.
    pub(crate) columns: Vec<Column>,
    /// How its rows are stored.
    pub(crate) key: Key,
    /// Columns that the oldest rows have: those behind were added to the table later. Usually all.
    pub(crate) fewest: usize,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name, for the caller.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether it is never empty.
    pub(crate) not_null: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole numbers, and booleans.
    Integer,
    /// Numbers; SQLite stores whole ones as integers.
    Real,
    /// Text.
    Text,
    /// Bytes.
    Blob,
    /// Anything.
    Any,
}

/// How the rows of a table are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// Under a number that is not a column.
    Rowid,
    /// Under the column of this position, the `INTEGER PRIMARY KEY`.
    Column(usize),
    /// `WITHOUT ROWID`: the positions of all columns in stored order, those of the primary key first.
    Without(Vec<usize>),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// How a row was found, the most trustworthy way first; rows come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    /// Down from the root of its table.
    Tree,
    /// On a page that no tree reached. While the freelist is not whole, it may have been deleted.
    Orphan,
    /// On a free page: it was deleted, or moved elsewhere.
    Free,
}

/// A row that is whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Position of its table among those of the caller.
    pub(crate) table: usize,
    /// The number that it is stored under; none for `WITHOUT ROWID`.
    pub(crate) rowid: Option<i64>,
    /// In the order of the columns. Columns that were added after the row was written are missing at
    /// the end: their defaults apply.
    pub(crate) values: Vec<Value>,
    /// The page that it was found on; pages count from 1.
    pub(crate) page: u32,
    /// How it was found.
    pub(crate) origin: Origin,
}

/// What was found of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// Pages with its rows, free ones aside.
    pub(crate) pages: u32,
    /// Rows, those on free pages aside.
    pub(crate) rows: u64,
    /// Cells of those pages that hold no whole row.
    pub(crate) damaged: u64,
    /// Rows on free pages.
    pub(crate) free_rows: u64,
}

/// A page whose rows fit several tables; [`Pages::read_as`] reads it as one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    /// The page.
    pub(crate) page: u32,
    /// Positions of the tables among those of the caller.
    pub(crate) tables: Vec<usize>,
    /// How its rows would be found.
    pub(crate) origin: Origin,
}

/// What the write-ahead log gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wal {
    /// Whether its own header is whole; without it nothing can be trusted.
    pub(crate) header: bool,
    /// Frames up to the last trusted commit.
    pub(crate) used: u64,
    /// Frames after that: of a commit that was not finished, or behind a broken frame.
    pub(crate) unused: u64,
    /// Frames that an earlier, finished log left behind.
    pub(crate) stale: u64,
}

/// What a walk found, rows aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// Size of a page.
    pub(crate) page_size: usize,
    /// Whether the header of the database is whole; else the page size is a guess.
    pub(crate) header: bool,
    /// Pages of the database.
    pub(crate) pages: u32,
    /// What was found of each table of the caller.
    pub(crate) tables: Vec<Found>,
    /// Pages whose rows were not handed out because several tables fit.
    pub(crate) ambiguous: Vec<Ambiguous>,
    /// Leaf pages of tables that fit none of the caller's.
    pub(crate) foreign: Vec<u32>,
    /// Pages that nothing explains: overwritten, or cut off, or the rest of a row that is gone.
    pub(crate) unreadable: Vec<u32>,
    /// Whether the freelist is whole; else some orphans may be deleted rows.
    pub(crate) freelist: bool,
    /// What the log gave, if there is one.
    pub(crate) wal: Option<Wal>,
}

/// The pages of a database, as they are after the last trusted commit of its log.
#[derive(Debug)]
pub(crate) struct Pages<R> {
    file: R,
    log: Option<Log<R>>,
    /// Those of the caller, and the schema as the last one.
    tables: Vec<Table>,
    header: Header,
    whole_header: bool,
    count: u32,
    marks: Vec<Mark>,
    /// Overflow pages that may still be read: the chains of a hostile file must not keep us busy for ever.
    budget: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// Something explains the page.
    seen: bool,
    /// The freelist has it.
    free: bool,
}

impl<R: Read + Seek> Pages<R> {
    /// Looks at the header and through the log, if there is one.
    ///
    /// # Errors
    /// When the log or the length of the file cannot be read. Damage is no error.
    pub(crate) fn open(mut file: R, log: Option<R>, tables: &[Table]) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut log = log.map(Log::read).transpose()?;
        let logged = log.as_mut().and_then(|log| log.page(1, HEADER as u64)).transpose()?;
        let first = logged.unwrap_or_else(|| read_at(&mut file, 0, HEADER as u64).unwrap_or_default());
        let whole = Header::read(&first);
        let mut header = whole.unwrap_or(Header::GUESS);
        let committed = log.as_ref().and_then(|log| log.committed);
        match committed {
            // checksums vouch for the log, nothing vouches for the header
            Some((page_size, _)) => header.page_size = page_size,
            None if whole.is_none() => header.page_size = guess_page_size(&mut file, length),
            None => {}
        }
        let in_file = length.div_ceil(header.page_size as u64);
        let known = in_file.max(log.as_ref().map_or(0, |log| log.last_page().into()));
        let count = committed.map_or(in_file, |(_, count)| known.min(count.into()));
        let mut pages = Self {
            file,
            log,
            tables: tables.iter().cloned().chain([schema()]).collect(),
            header,
            whole_header: whole.is_some(),
            count: u32::try_from(count).unwrap_or(u32::MAX - 1),
            marks: Vec::new(),
            budget: 0,
        };
        pages.check_header();
        Ok(pages)
    }

    /// Hands out every row that is whole, and tells what was found.
    ///
    /// The same row may come twice, from pages of different age: the first one counts.
    ///
    /// # Errors
    /// What `take` returns.
    pub(crate) fn walk<E>(&mut self, mut take: impl FnMut(Row) -> Result<(), E>) -> Result<Report, E> {
        self.marks = vec![Mark::default(); self.count as usize + 1];
        self.budget = 4 * u64::from(self.count) + 64;
        let schema = self.schema();
        let freelist = self.read_freelist();
        let mut report = Report {
            page_size: self.header.page_size,
            header: self.whole_header,
            pages: self.count,
            tables: vec![Found::default(); self.tables.len()],
            freelist,
            wal: self.log.as_ref().map(|log| log.wal),
            ..Report::default()
        };
        let mut rows = Vec::new();
        let Ok(()) = self.tree(1, Some(schema), &mut report, &mut |row: Row| {
            rows.push(row.values);
            Ok::<_, Infallible>(())
        });
        let mut roots: Vec<_> = rows.iter().filter_map(|values| self.root(values)).collect();
        // a damaged root of an index must not take the pages of a table
        roots.sort_by_key(|(table, _)| table.is_none());
        for (table, page) in roots {
            self.tree(page, table, &mut report, &mut take)?;
        }
        for origin in [Origin::Orphan, Origin::Free] {
            for number in 1..=self.count {
                let mark = self.mark(number);
                if !mark.seen && mark.free == (origin == Origin::Free) {
                    self.stray(number, origin, &mut report, &mut take)?;
                }
            }
        }
        report.tables.truncate(schema);
        report.unreadable = (1..=self.count).filter(|&number| self.is_unexplained(number)).collect();
        Ok(report)
    }

    /// Hands out the rows of a page as those of the table at a position among those of the caller.
    ///
    /// # Errors
    /// What `take` returns.
    pub(crate) fn read_as<E>(
        &mut self,
        page: u32,
        table: usize,
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<Found, E> {
        self.budget = 4 * u64::from(self.count) + 64;
        let origin = if self.mark(page).free { Origin::Free } else { Origin::Orphan };
        match self.page(page) {
            Some(page) => self.rows(&page, table, origin, &mut take),
            None => Ok(Found::default()),
        }
    }

    /// Hands out the rows of commits that are in the log behind a broken frame, those of the newest first. They may be
    /// older than what [`walk`](Self::walk) found, or were never finished, so they count only where there is nothing else.
    ///
    /// # Errors
    /// What `take` returns.
    pub(crate) fn behind<E>(&mut self, mut take: impl FnMut(Row) -> Result<(), E>) -> Result<(), E> {
        let size = self.header.page_size as u64;
        let behind = self.log.as_mut().map(|log| std::mem::take(&mut log.behind)).unwrap_or_default();
        self.budget = 4 * behind.len() as u64 + 64;
        for (number, at) in behind.into_iter().rev() {
            let Some(Ok(mut bytes)) = self.log.as_mut().map(|log| log.at(at, size)) else { continue };
            bytes.truncate(self.header.usable());
            let Some(page) = Page::new(number, bytes) else { continue };
            if let [table] = *self.fitting(&page)
                && table != self.schema()
            {
                self.rows(&page, table, Origin::Orphan, &mut take)?;
            }
        }
        Ok(())
    }

    /// The root page of a row of the schema and its table; no table if it is an index. A name that is
    /// not ours may be a damaged one of ours: its pages are left to tell themselves.
    fn root(&self, values: &[Value]) -> Option<(Option<usize>, u32)> {
        let [Value::Text(kind), Value::Text(name), _, Value::Integer(page), _] = values else { return None };
        let ours = self.tables.iter().take(self.schema()).position(|table| table.name == *name);
        let is_root = kind == "index" || kind == "table" && ours.is_some();
        u32::try_from(*page).ok().filter(|_| is_root).map(|page| (ours.filter(|_| kind == "table"), page))
    }

    /// Position of the table that SQLite keeps of all others.
    fn schema(&self) -> usize {
        self.tables.len().saturating_sub(1)
    }

    /// Goes down a tree. `None` is an index: its pages are known then, and hold no rows of ours.
    fn tree<E>(&mut self, root: u32, table: Option<usize>, report: &mut Report, take: Take<'_, E>) -> Result<(), E> {
        let mut stack = Vec::new();
        self.visit(root, &mut stack);
        while let Some(number) = stack.pop() {
            let page = self.page(number).filter(|page| match table {
                Some(table) => self.is_of(page, table),
                None => !page.role.is_table(),
            });
            let Some(page) = page else {
                // a pointer that leads astray must not hide the page from its own table
                self.explain(number, false);
                continue;
            };
            for child in page.children() {
                self.visit(child, &mut stack);
            }
            if let Some(table) = table.filter(|_| page.role.has_rows()) {
                let found = self.rows(&page, table, Origin::Tree, take)?;
                add(report, table, found);
            }
        }
        Ok(())
    }

    /// Puts a page on the stack, once.
    fn visit(&mut self, number: u32, stack: &mut Vec<u32>) {
        if (1..=self.count).contains(&number) && !self.mark(number).seen {
            self.explain(number, true);
            stack.push(number);
        }
    }

    /// Whether a page that the tree of a table leads to can be a part of it.
    fn is_of(&self, page: &Page, table: usize) -> bool {
        if !self.tables.get(table).is_some_and(|table| table.is_stored_in(page.role)) {
            return false;
        }
        let fitting = self.fitting(page);
        fitting.is_empty() || fitting.contains(&table)
    }

    /// Reads a page that no tree leads to.
    fn stray<E>(&mut self, number: u32, origin: Origin, report: &mut Report, take: Take<'_, E>) -> Result<(), E> {
        let Some(page) = self.page(number) else { return Ok(()) };
        self.explain(number, true);
        let schema = self.schema();
        match *self.fitting(&page) {
            [table] if table == schema => {}
            [table] => {
                let found = self.rows(&page, table, origin, take)?;
                add(report, table, found);
            }
            [] if page.role != Role::TableLeaf || page.pointers().is_empty() => {}
            [] => report.foreign.push(number),
            ref several => {
                let tables = several.iter().copied().filter(|&table| table != schema).collect();
                report.ambiguous.push(Ambiguous { page: number, tables, origin });
            }
        }
        Ok(())
    }

    /// The tables that fit most rows of a page. A single row may be damaged such that it fits another.
    fn fitting(&self, page: &Page) -> Vec<usize> {
        let mut counts = vec![0_u32; self.tables.len()];
        if page.role.has_rows() {
            for cell in self.cells(page).into_iter().flatten() {
                for (count, table) in counts.iter_mut().zip(&self.tables) {
                    *count += u32::from(table.is_stored_in(page.role) && table.fits(&cell.types));
                }
            }
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        (0..).zip(counts).filter(|(_, count)| *count == most).map(|(table, _)| table).collect()
    }

    /// Hands out the rows of a page.
    fn rows<E>(&mut self, page: &Page, table: usize, origin: Origin, take: Take<'_, E>) -> Result<Found, E> {
        let mut found = Found { pages: u32::from(origin != Origin::Free), ..Found::default() };
        for cell in self.cells(page) {
            let values = cell.as_ref().and_then(|cell| self.values(page, cell, table));
            match (values, origin) {
                (Some(values), _) => {
                    let rowid = cell.and_then(|cell| cell.rowid);
                    take(Row { table, rowid, values, page: page.number, origin })?;
                    *if origin == Origin::Free { &mut found.free_rows } else { &mut found.rows } += 1;
                }
                (None, Origin::Free) => {}
                (None, _) => found.damaged += 1,
            }
        }
        Ok(found)
    }

    /// The cells of a page; `None` for a pointer that leads to none.
    fn cells(&self, page: &Page) -> Vec<Option<Cell>> {
        // cells that overlap could make a small page say the same very often
        let mut room = page.bytes.len();
        let (usable, columns) = (self.header.usable(), self.tables.iter().map(|table| table.columns.len()).max());
        let cells = page.pointers().into_iter().map(|at| {
            let cell = page.cell(at, usable, columns?)?;
            room = room.checked_sub(cell.end - cell.start)?;
            Some(cell)
        });
        cells.collect()
    }

    /// The values of a cell, if it is a whole row of the table.
    fn values(&mut self, page: &Page, cell: &Cell, table: usize) -> Option<Vec<Value>> {
        self.tables.get(table).filter(|table| table.fits(&cell.types))?;
        let (payload, chain) = self.payload(page, cell)?;
        let table = self.tables.get(table)?;
        let mut values = vec![Value::Null; table.columns.len()];
        let mut at = cell.body - cell.start;
        for (position, &kind) in cell.types.iter().enumerate() {
            let end = at + usize::try_from(size(kind)?).ok()?;
            let column = table.column(position)?;
            let value = value(kind, payload.get(at..end)?, self.header.wide)?;
            *values.get_mut(column)? = match (value, table.columns.get(column)?.kind) {
                (Value::Integer(whole), Kind::Real) => Value::Real(whole as f64),
                (value, _) => value,
            };
            at = end;
        }
        if let (Key::Column(column), Some(rowid)) = (&table.key, cell.rowid) {
            *values.get_mut(*column)? = Value::Integer(rowid);
        }
        values.truncate(cell.types.len());
        for number in chain {
            self.explain(number, true);
        }
        Some(values)
    }

    /// The whole of a row, and the overflow pages that it goes on to.
    fn payload(&mut self, page: &Page, cell: &Cell) -> Option<(Vec<u8>, HashSet<u32>)> {
        let mut payload = page.bytes.get(cell.start..cell.end)?.to_vec();
        let length = usize::try_from(cell.length).ok()?;
        let mut next = if payload.len() < length { number(&page.bytes, cell.end, 4)? as u32 } else { 0 };
        let mut chain = HashSet::new();
        while payload.len() < length {
            self.budget = self.budget.checked_sub(1)?;
            if !(2..=self.count).contains(&next) || !chain.insert(next) {
                return None;
            }
            let bytes = self.bytes(next)?;
            let rest = (length - payload.len()).min(self.header.usable() - 4);
            payload.extend_from_slice(bytes.get(4..4 + rest)?);
            next = number(&bytes, 0, 4)? as u32;
        }
        // a chain that goes on is not that of this row
        (next == 0).then_some((payload, chain))
    }

    /// A page, if it is one of a tree.
    fn page(&mut self, number: u32) -> Option<Page> {
        Page::new(number, self.bytes(number)?)
    }

    /// The usable bytes of a page in their newest form, fewer where the file is cut.
    fn bytes(&mut self, number: u32) -> Option<Vec<u8>> {
        let size = self.header.page_size as u64;
        let at = u64::from(number.checked_sub(1)?) * size;
        let logged = self.log.as_mut().and_then(|log| log.page(number, size));
        let read = logged.unwrap_or_else(|| read_at(&mut self.file, at, size));
        let mut bytes = read.ok()?;
        bytes.truncate(self.header.usable());
        Some(bytes)
    }

    fn mark(&self, number: u32) -> Mark {
        self.marks.get(number as usize).copied().unwrap_or_default()
    }

    fn explain(&mut self, number: u32, seen: bool) {
        if let Some(mark) = self.marks.get_mut(number as usize) {
            mark.seen = seen;
        }
    }

    fn is_unexplained(&self, number: u32) -> bool {
        // SQLite locks bytes there, and never uses the page
        let locks = (1 << 30) / self.header.page_size as u64 + 1;
        let mark = self.mark(number);
        !mark.seen && !mark.free && u64::from(number) != locks
    }

    /// Marks the free pages. Whether the list is whole; otherwise also pages that look like parts of it count.
    fn read_freelist(&mut self) -> bool {
        let (mut next, mut pages) = (self.header.first_trunk, 0);
        let mut trunks = HashSet::new();
        while next != 0 && trunks.insert(next) {
            let Some((following, leaves)) = self.trunk(next) else { break };
            pages += 1 + leaves.len();
            self.free(next, leaves);
            next = following;
        }
        let is_whole = self.whole_header && next == 0 && pages == self.header.free_pages as usize;
        if !is_whole {
            for number in 2..=self.count {
                if let Some((_, leaves)) = self.trunk(number).filter(|(_, leaves)| !leaves.is_empty()) {
                    self.free(number, leaves);
                }
            }
        }
        is_whole
    }

    /// The trunk of the freelist that follows a page, and its free pages, if it is a trunk.
    fn trunk(&mut self, page: u32) -> Option<(u32, HashSet<u32>)> {
        let bytes = self.bytes(page).filter(|_| (2..=self.count).contains(&page))?;
        let next = u32::try_from(number(&bytes, 0, 4)?).ok().filter(|next| *next <= self.count)?;
        let count = usize::try_from(number(&bytes, 4, 4)?).ok().filter(|count| *count <= bytes.len() / 4)?;
        let leaf =
            |at| u32::try_from(number(&bytes, 8 + 4 * at, 4)?).ok().filter(|leaf| (2..=self.count).contains(leaf));
        let leaves: HashSet<_> = (0..count).map(leaf).collect::<Option<_>>()?;
        (leaves.len() == count).then_some((next, leaves))
    }

    fn free(&mut self, trunk: u32, leaves: HashSet<u32>) {
        for number in leaves.into_iter().chain([trunk]) {
            if let Some(mark) = self.marks.get_mut(number as usize) {
                mark.free = true;
            }
        }
    }

    /// Takes the usual settings if more rows are whole with them: nothing else tells that a bit of the header flipped.
    fn check_header(&mut self) {
        let read = self.header;
        let usual = Header { reserved: 0, wide: None, ..read };
        if read.reserved == 0 && read.wide.is_none() {
            return;
        }
        let mut whole = |header| {
            self.header = header;
            self.budget = SAMPLES;
            let step = (self.count / SAMPLES as u32).max(1) as usize;
            let mut rows = 0;
            for number in (1..=self.count).step_by(step) {
                let Some(page) = self.page(number) else { continue };
                if let [table] = *self.fitting(&page) {
                    let Ok(found) = self.rows(&page, table, Origin::Orphan, &mut |_| Ok::<_, Infallible>(()));
                    rows += found.rows;
                }
            }
            rows
        };
        let is_usual = whole(usual) > whole(read);
        self.header = if is_usual { usual } else { read };
    }
}

/// The page size that most pages of a file look right with.
fn guess_page_size<R: Read + Seek>(file: &mut R, length: u64) -> usize {
    let mut best = (0, USUAL_PAGE_SIZE);
    for size in (9..=16).map(|bits| 1_usize << bits) {
        let pages = length.div_ceil(size as u64);
        let sample = (0..pages).step_by(usize::try_from(pages / SAMPLES).unwrap_or(usize::MAX).max(1));
        let looks_right = |page: &u64| {
            let bytes = read_at(file, page * size as u64, size as u64).unwrap_or_default();
            let page = Page::new(if *page == 0 { 1 } else { 2 }, bytes);
            page.is_some_and(|page| page.looks_like(size))
        };
        best = best.max((sample.filter(looks_right).count(), size));
    }
    best.1
}

fn add(report: &mut Report, table: usize, found: Found) {
    if let Some(sum) = report.tables.get_mut(table) {
        sum.pages += found.pages;
        sum.rows += found.rows;
        sum.damaged += found.damaged;
        sum.free_rows += found.free_rows;
    }
}

/// Up to `length` bytes from a place, fewer at the end.
fn read_at<R: Read + Seek>(file: &mut R, at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
