//! Changes that may be made twice: a step that uses them does no harm to a database in which
//! somebody made the change by hand.
//!
//! ```
//! use sea_orm_migration::prelude::*;
//! use trivia_migration::helpers::add_column_if_missing;
//!
//! # async fn step(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
//! add_column_if_missing(manager, "users", "timezone", ColumnDef::new("timezone").text()).await
//! # }
//! ```

use sea_orm_migration::prelude::*;

/// Adds a column unless the table has one of that name.
///
/// The new column must be nullable or have a constant default: SQLite refuses anything else as soon
/// as the table has rows.
///
/// # Errors
/// What the database reports.
pub async fn add_column_if_missing(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &str,
    definition: impl IntoColumnDef,
) -> Result<(), DbErr> {
    if manager.has_column(table, column).await? {
        return Ok(());
    }
    manager.alter_table(Table::alter().table(table).add_column(definition).take()).await
}

/// Drops a column if the table has it.
///
/// # Errors
/// What the database reports; SQLite refuses a column that an index or a constraint uses.
pub async fn drop_column_if_present(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbErr> {
    if !manager.has_column(table, column).await? {
        return Ok(());
    }
    manager.alter_table(Table::alter().table(table).drop_column(column).take()).await
}

/// Creates an index unless there is one of that name.
///
/// # Errors
/// What the database reports, such as a duplicate for a unique index.
pub async fn create_index_if_missing(
    manager: &SchemaManager<'_>,
    mut index: IndexCreateStatement,
) -> Result<(), DbErr> {
    manager.create_index(index.if_not_exists().take()).await
}

/// Drops an index if there is one of that name.
///
/// # Errors
/// What the database reports.
pub async fn drop_index_if_present(manager: &SchemaManager<'_>, name: &'static str) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name(name).if_exists().to_owned()).await
}

#[cfg(test)]
mod tests {
    use sea_orm_migration::sea_orm::{Database, DatabaseConnection};

    use super::*;

    async fn filled_table() -> DatabaseConnection {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        db.execute_unprepared("CREATE TABLE pets (name TEXT); INSERT INTO pets VALUES ('Rex')").await.unwrap();
        db
    }

    #[tokio::test]
    async fn columns_come_and_go_once() {
        let db = filled_table().await;
        let manager = SchemaManager::new(&db);
        for _ in 0..2 {
            let legs = ColumnDef::new("legs").big_integer().not_null().default(4).take();
            add_column_if_missing(&manager, "pets", "legs", legs).await.unwrap();
            assert!(manager.has_column("pets", "legs").await.unwrap());
        }
        for _ in 0..2 {
            drop_column_if_present(&manager, "pets", "legs").await.unwrap();
            assert!(!manager.has_column("pets", "legs").await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_column_without_a_value_for_old_rows_is_refused() {
        let db = filled_table().await;
        let manager = SchemaManager::new(&db);
        let legs = ColumnDef::new("legs").big_integer().not_null().take();
        assert!(add_column_if_missing(&manager, "pets", "legs", legs).await.is_err());
    }

    #[tokio::test]
    async fn indexes_come_and_go_once() {
        let db = filled_table().await;
        let manager = SchemaManager::new(&db);
        for _ in 0..2 {
            let index = Index::create().name("idx_pets_name").table("pets").col("name").take();
            create_index_if_missing(&manager, index).await.unwrap();
            assert!(manager.has_index("pets", "idx_pets_name").await.unwrap());
        }
        for _ in 0..2 {
            drop_index_if_present(&manager, "idx_pets_name").await.unwrap();
            assert!(!manager.has_index("pets", "idx_pets_name").await.unwrap());
        }
    }
}
