//! All rows of a table, one after the other in the order of their key, a page at a time in memory.

use std::collections::VecDeque;

use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, DbErr, Statement};
use sha2::{Digest, Sha256};
use trivia_domain::{StoreError, StoreResult};

use super::report::Content;
use super::row::Row;
use super::tables::Table;
use crate::backup::hex;
use crate::error::{is_undecodable, translate};

/// Rows that are read at a time.
const PAGE: usize = 1_000;

/// The rows of a table that are still to be read.
pub(super) struct Rows<'a> {
    connection: DatabaseExecutor<'a>,
    table: &'a Table,
    /// The database, for messages.
    place: &'a str,
    page: VecDeque<Row>,
    last: Option<Row>,
    state: State,
    rows: u64,
    bytes: u64,
    hash: Sha256,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Untouched,
    Reading,
    Over,
}

impl<'a> Rows<'a> {
    /// From the first on. On a server this is part of a transaction.
    pub(super) fn new(connection: DatabaseExecutor<'a>, table: &'a Table, place: &'a str) -> Self {
        let (page, hash, state) = (VecDeque::new(), Sha256::new(), State::Untouched);
        Self { connection, table, place, page, last: None, state, rows: 0, bytes: 0, hash }
    }

    /// The next row, which stays the next one.
    pub(super) async fn peek(&mut self) -> StoreResult<Option<&Row>> {
        if self.page.is_empty() && self.state != State::Over {
            let read = self.read().await;
            self.page = read.map_err(|error| self.failed(error))?;
        }
        Ok(self.page.front())
    }

    /// The next row.
    pub(super) async fn next(&mut self) -> StoreResult<Option<Row>> {
        self.peek().await?;
        Ok(self.take())
    }

    /// The row that was peeked at.
    pub(super) fn take(&mut self) -> Option<Row> {
        let row = self.page.pop_front()?;
        self.rows += 1;
        self.bytes += row.form.len() as u64;
        self.hash.update(&row.form);
        Some(row)
    }

    async fn read(&mut self) -> Result<VecDeque<Row>, DbErr> {
        let backend = self.connection.get_database_backend();
        let statement = if backend == DbBackend::Sqlite {
            self.table.page(self.last.as_ref(), PAGE)
        } else {
            if self.state == State::Untouched {
                self.connection.execute_unprepared(&self.table.open_cursor()).await?;
            }
            Statement::from_string(backend, self.table.fetch(PAGE))
        };
        self.state = State::Reading;
        let rows = self.connection.query_all_raw(statement).await?;
        if rows.len() < PAGE {
            self.state = State::Over;
            if backend != DbBackend::Sqlite {
                self.connection.execute_unprepared(&self.table.close_cursor()).await?;
            }
        }
        let rows = rows.iter().map(|row| self.table.row(row)).collect::<Result<VecDeque<_>, _>>()?;
        self.last = rows.back().cloned();
        Ok(rows)
    }

    fn failed(&self, error: DbErr) -> StoreError {
        let what = format!("table {} of {}", self.table.name, self.place);
        if is_undecodable(&error) {
            return StoreError::Corrupt { what, reason: error.to_string() };
        }
        translate(error, &what)
    }

    /// Bytes of the rows that were taken.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many rows were taken, and their digest.
    pub(super) fn content(self) -> Content {
        Content { rows: self.rows, sha256: hex(&self.hash.finalize()) }
    }
}
