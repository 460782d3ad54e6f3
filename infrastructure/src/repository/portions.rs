//! Rows in portions whose sizes repeat: SQLite then prepares a statement once, and not for each number of rows. A
//! server gets as many as it takes: one statement locks its rows in their order, and two do not.

use sea_orm::DbBackend;

/// Most rows of a statement: at most 25 values each stay below SQLite's limit of 32,766.
const MOST: usize = 512;
/// The same on PostgreSQL, whose limit is 65,535.
const MOST_OF_A_SERVER: usize = 2_048;
/// Fewer rows are one portion, whatever their number.
const FEW: usize = 8;

/// The same rows in their order: the largest power of two that is not too many, again and again, and what is
/// left over.
pub(crate) fn portions<T>(rows: impl IntoIterator<Item = T>, backend: DbBackend) -> impl Iterator<Item = Vec<T>> {
    let mut rows: Vec<T> = rows.into_iter().collect();
    std::iter::from_fn(move || {
        let number = match rows.len() {
            0 => return None,
            all if backend != DbBackend::Sqlite => all.min(MOST_OF_A_SERVER),
            few @ 1..FEW => few,
            many => (1 << many.ilog2()).min(MOST),
        };
        let rest = rows.split_off(number);
        Some(std::mem::replace(&mut rows, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_keep_every_row_and_have_few_sizes() {
        let sizes = |rows: usize| portions(0..rows, DbBackend::Sqlite).map(|portion| portion.len()).collect::<Vec<_>>();
        assert!(sizes(0).is_empty());
        assert_eq!(sizes(7), [7]);
        assert_eq!(sizes(200), [128, 64, 8]);
        assert_eq!(sizes(1_100), [512, 512, 64, 8, 4]);
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            assert!(portions(0..7_777, backend).flatten().eq(0..7_777));
        }
        assert_eq!(portions(0..777, DbBackend::Postgres).count(), 1);
    }
}
