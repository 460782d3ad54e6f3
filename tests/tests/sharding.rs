//! The rules that let the schema be spread over several hosts, by the catalog of PostgreSQL and by the script that
//! spreads it. Functions of the tests' own stand for those of Citus: they note what they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, FromQueryResult, Statement};
use trivia_tests::postgres::{ScratchDatabase, Server};

/// Tables that stay on the coordinator.
const LOCAL: [&str; 4] = ["commit_count", "maintenance_runs", "quarantine", "schema_version"];

/// What the script asks of Citus, and what it looks at.
const STAND_IN: &str = "
    CREATE SCHEMA citus_stand_in;
    CREATE TABLE citus_stand_in.pg_dist_partition (
        logicalrelid REGCLASS PRIMARY KEY, shard_key TEXT, beside TEXT, calls SERIAL);
    CREATE FUNCTION citus_stand_in.create_reference_table(table_name REGCLASS) RETURNS VOID LANGUAGE sql AS
        'INSERT INTO citus_stand_in.pg_dist_partition VALUES (table_name)';
    CREATE FUNCTION citus_stand_in.create_distributed_table(
        table_name REGCLASS, distribution_column TEXT, distribution_type TEXT DEFAULT ''hash'',
        colocate_with TEXT DEFAULT ''default'') RETURNS VOID LANGUAGE sql AS
        'INSERT INTO citus_stand_in.pg_dist_partition VALUES (table_name, distribution_column, colocate_with)';
    ALTER ROLE CURRENT_USER IN DATABASE {database} SET search_path TO public, citus_stand_in;
";

/// Where a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Coordinator,
    Everywhere,
    By { column: String, group: String },
}

#[derive(Debug, FromQueryResult)]
struct Key {
    name: String,
    /// Its columns, in their order.
    columns: Vec<String>,
}

#[derive(Debug, FromQueryResult)]
struct ForeignKey {
    name: String,
    columns: Vec<String>,
    target: String,
    target_columns: Vec<String>,
}

async fn rows<T: FromQueryResult>(db: &DatabaseConnection, sql: &str) -> Vec<T> {
    T::find_by_statement(Statement::from_string(DbBackend::Postgres, sql)).all(db).await.unwrap()
}

async fn texts(db: &DatabaseConnection, sql: &str) -> BTreeSet<String> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn references(db: &DatabaseConnection) -> BTreeSet<String> {
    let sql = "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
               WHERE contype = 'f' AND connamespace = 'public'::regnamespace";
    texts(db, sql).await
}

/// A database whose schema the script has spread.
async fn spread(server: &'static Server) -> (ScratchDatabase, DatabaseConnection) {
    let scratch = server.database().await;
    let db = scratch.connect().await;
    db.execute_unprepared(&STAND_IN.replace("{database}", scratch.name()).replace("''", "'")).await.unwrap();
    let before = references(&db).await;
    run_script(&scratch);
    assert_eq!(references(&db).await, before, "foreign keys come back as they were");
    (scratch, db)
}

fn run_script(scratch: &ScratchDatabase) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/citus-distribute.sql");
    let mut psql = Command::new(scratch.program("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction", "--file", script]);
    let output = psql.arg(scratch.url()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Where the script has put each table.
async fn places(db: &DatabaseConnection) -> BTreeMap<String, Place> {
    let sql = "SELECT tablename::text, shard_key, beside FROM pg_tables \
               LEFT JOIN citus_stand_in.pg_dist_partition ON logicalrelid = tablename::regclass \
               WHERE schemaname = 'public'";
    let placed = "SELECT logicalrelid::text FROM citus_stand_in.pg_dist_partition";
    let placed = texts(db, placed).await;
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    let place = |row: &sea_orm::QueryResult| {
        let name: String = row.try_get_by_index(0).unwrap();
        let column: Option<String> = row.try_get_by_index(1).unwrap();
        let beside: Option<String> = row.try_get_by_index(2).unwrap();
        let place = match column {
            Some(column) => {
                let group = beside.filter(|beside| beside != "none").unwrap_or_else(|| name.clone());
                Place::By { column, group }
            }
            None if placed.contains(&name) => Place::Everywhere,
            None => Place::Coordinator,
        };
        (name, place)
    };
    rows.iter().map(place).collect()
}

#[tokio::test]
async fn every_table_has_its_place() {
    let Some(server) = Server::shared() else { return };
    let (_scratch, db) = spread(server).await;
    let places = places(&db).await;
    let local: Vec<_> =
        places.iter().filter(|(_, place)| **place == Place::Coordinator).map(|(name, _)| name).collect();
    assert_eq!(local, LOCAL, "a new table belongs into deploy/citus-distribute.sql");
    for (table, place) in &places {
        if let Place::By { group, .. } = place {
            assert!(matches!(&places[group], Place::By { group: own, .. } if own == group), "{table} beside {group}");
        }
    }
}

#[tokio::test]
async fn keys_hold_the_column_by_which_their_table_is_distributed() {
    let Some(server) = Server::shared() else { return };
    let (_scratch, db) = spread(server).await;
    let places = places(&db).await;
    let sql = "SELECT indrelid::regclass::text AS name, ARRAY(SELECT attname::text FROM unnest(indkey) \
               WITH ORDINALITY AS k (number, at) JOIN pg_attribute ON attrelid = indrelid AND attnum = number \
               ORDER BY at) AS columns FROM pg_index JOIN pg_class ON pg_class.oid = indrelid \
               WHERE indisunique AND relnamespace = 'public'::regnamespace";
    let keys: Vec<Key> = rows(&db, sql).await;
    assert!(keys.len() > 30, "{keys:?}");
    for Key { name, columns } in keys {
        if let Place::By { column, .. } = &places[&name] {
            assert!(columns.contains(column), "a key of {name} is unique across hosts: {columns:?}");
        }
    }
}

#[tokio::test]
async fn foreign_keys_stay_on_one_host() {
    let Some(server) = Server::shared() else { return };
    let (_scratch, db) = spread(server).await;
    let places = places(&db).await;
    let columns = |of: &str, table: &str| {
        format!(
            "ARRAY(SELECT attname::text FROM unnest({of}) WITH ORDINALITY AS k (number, at) \
             JOIN pg_attribute ON attrelid = {table} AND attnum = number ORDER BY at)"
        )
    };
    let sql = format!(
        "SELECT conrelid::regclass::text AS name, confrelid::regclass::text AS target, {} AS columns, \
         {} AS target_columns FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
        columns("conkey", "conrelid"),
        columns("confkey", "confrelid")
    );
    let keys: Vec<ForeignKey> = rows(&db, &sql).await;
    assert!(keys.len() > 15, "{keys:?}");
    for ForeignKey { name, columns, target, target_columns } in keys {
        let is_fine = match (&places[&name], &places[&target]) {
            (Place::By { .. } | Place::Everywhere, Place::Everywhere) | (Place::Coordinator, Place::Coordinator) => {
                true
            }
            (Place::By { column, group }, Place::By { column: other, group: beside }) => {
                group == beside && columns.iter().zip(&target_columns).any(|pair| pair == (column, other))
            }
            _ => false,
        };
        assert!(is_fine, "{name} {columns:?} refers to {target} {target_columns:?}");
    }
}

#[tokio::test]
async fn no_trigger_and_no_small_number_is_in_the_way() {
    let Some(server) = Server::shared() else { return };
    let (_scratch, db) = spread(server).await;
    let triggers = "SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(texts(&db, triggers).await, BTreeSet::new(), "distributed tables have none");
    let small = "SELECT table_name || '.' || column_name FROM information_schema.columns \
                 WHERE table_schema = 'public' AND data_type IN ('smallint', 'integer') \
                 AND (column_name = 'id' OR column_name LIKE '%\\_id' OR is_identity = 'YES')";
    let small = texts(&db, small).await;
    let ones = BTreeSet::from(["commit_count.id".to_owned(), "rule_book.id".to_owned()]);
    assert!(small.is_subset(&ones), "only tables of one row have them: {small:?}");
}

#[tokio::test]
async fn the_script_can_be_run_again() {
    let Some(server) = Server::shared() else { return };
    let (scratch, db) = spread(server).await;
    let calls = "SELECT logicalrelid || ' ' || calls FROM citus_stand_in.pg_dist_partition";
    let (before, keys) = (texts(&db, calls).await, references(&db).await);
    run_script(&scratch);
    assert_eq!(texts(&db, calls).await, before);
    // a table that came later is distributed, and nothing else is
    db.execute_unprepared("DELETE FROM citus_stand_in.pg_dist_partition WHERE logicalrelid = 'picks'::regclass")
        .await
        .unwrap();
    run_script(&scratch);
    let after = texts(&db, calls).await;
    assert_eq!(after.difference(&before).count(), 1);
    assert_eq!(references(&db).await, keys);
}
