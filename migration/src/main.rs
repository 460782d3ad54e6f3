//! Runs the migrations: this is what `sea-orm-cli migrate -d migration` starts.

use std::error::Error;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use sea_orm_cli::MigrateSubcommands;
use sea_orm_migration::cli::run_migrate;
use sea_orm_migration::sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sea_orm_migration::sea_orm::{ConnectOptions, Database, DatabaseConnection};
use trivia_migration::{Migrator, original};

/// Migrates a database of trivia-store.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Database, such as sqlite://data/trivia.db
    #[arg(short = 'u', long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Show debug messages
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<MigrateSubcommands>,
}

#[tokio::main]
async fn main() -> ExitCode {
    // a missing `.env` is no error
    dotenvy::dotenv().ok();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { database_url, verbose, command } = arguments;
    if let Some(MigrateSubcommands::Init | MigrateSubcommands::Generate { .. }) = command {
        return run_migrate(Migrator, &DatabaseConnection::default(), command, verbose).await;
    }
    let url = database_url.ok_or(
        "DATABASE_URL is not set\nhint: give --database-url sqlite://data/trivia.db, or set it in the environment or in .env",
    )?;
    let db = connect(url).await?;
    if original::is_original(&db).await? {
        return Err("this is a database of the original system\nhint: nothing was changed; `trivia-db adopt FILE --in-place` takes it over".into());
    }
    run_migrate(Migrator, &db, command, verbose).await?;
    db.close().await?;
    Ok(())
}

/// One connection only: `fresh` switches foreign keys off on one and on again on any.
async fn connect(url: String) -> Result<DatabaseConnection, Box<dyn Error>> {
    let is_in_memory = url.contains(":memory:") || url.contains("mode=memory");
    if url.starts_with("sqlite:") && !is_in_memory {
        let options: SqliteConnectOptions = url.parse()?;
        let file = options.get_filename();
        create_private(file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .map_sqlx_sqlite_opts(|sqlite| sqlite.foreign_keys(true).journal_mode(SqliteJournalMode::Wal));
    Ok(Database::connect(options).await?)
}

/// Creates the file and its directory if they are missing, for nobody else to read: SQLite gives its
/// other files the same mode.
fn create_private(file: &Path) -> io::Result<()> {
    let mut directory = DirBuilder::new();
    directory.recursive(true);
    let mut new_file = OpenOptions::new();
    new_file.write(true).create_new(true);
    #[cfg(unix)]
    {
        directory.mode(0o700);
        new_file.mode(0o600);
    }
    if let Some(parent) = file.parent() {
        directory.create(parent)?;
    }
    match new_file.open(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
