//! The settings: flag before environment before file before default.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{Config, ConfigBuilder, Environment, File, FileFormat};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use trivia_domain::StoreError;
use trivia_domain::model::BackupKind;

use crate::error::Failure;

/// Read from the working directory when `--config` names no other.
const DEFAULT_FILE: &str = "trivia.toml";
/// Variables that belong to the project's tests.
const TESTS_ONLY: &str = "TRIVIA_TEST_";

/// Beginning of the variables that every program for object storage reads.
const STORAGE: &str = "AWS_";
/// Variables of those that may be in a file, whose name is in the variable with `_FILE` behind it.
const STORAGE_SECRETS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// Longest secret in a file, in bytes.
const SECRET_LIMIT: u64 = 1 << 14;

/// What can be set. A key that is not here is an error, so that a typo does not go unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the database is.
    pub(crate) database_url: String,
    /// Replicas for reads that may be a moment old.
    pub(crate) read_url: Option<String>,
    /// Where backups are made, and where they stay without another place; `backups` beside the database when it is
    /// not set.
    pub(crate) backup_dir: Option<PathBuf>,
    /// Another place for backups: `s3://bucket/prefix`.
    pub(crate) backup_url: Option<String>,
    /// The server of that place; that of AWS when it is not set.
    pub(crate) backup_endpoint: Option<String>,
    /// The region of that place.
    pub(crate) backup_region: Option<String>,
    /// Level of zstd for backups, 1 to 19; 0 compresses nothing.
    pub(crate) backup_compression: u8,
    /// Who can open backups; nobody means that they are not encrypted.
    #[serde(deserialize_with = "list")]
    pub(crate) backup_encrypt_to: Vec<String>,
    /// The file with the keys that open backups.
    pub(crate) backup_identity_file: Option<PathBuf>,
    /// Connections that read.
    pub(crate) readers: u32,
    /// How long to wait for another process that writes.
    pub(crate) busy_timeout_ms: u64,
    /// What an acknowledged write survives.
    pub(crate) durability: DurabilitySetting,
    /// How long what follows from an answer may be in the ledger and in memory only.
    pub(crate) projection_delay_ms: u64,
    /// From when on an operation is logged as slow.
    pub(crate) slow_ms: u64,
    /// Backups that are kept of all kinds without a rule of their own.
    pub(crate) keep_backups: usize,
    /// Backups that are kept of a kind, counted apart from the others.
    #[serde(deserialize_with = "by_kind")]
    pub(crate) keep_backups_by_kind: BTreeMap<BackupKind, usize>,
    /// Days for which `serve` keeps sessions after their end; 0 keeps them for ever.
    pub(crate) keep_sessions_days: u32,
    /// Whether `serve` recovers a damaged database by itself.
    pub(crate) auto_recover: bool,
    /// Where `serve` answers.
    pub(crate) listen: SocketAddr,
    /// Form of the logs.
    pub(crate) log_format: LogFormat,
    /// The variables of object storage, which no file with settings holds.
    #[serde(skip)]
    pub(crate) storage: Storage,
}

/// Variables whose values nobody shall see.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Storage(pub(crate) HashMap<String, String>);

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.0.keys().collect();
        names.sort();
        f.debug_tuple("Storage").field(&names).finish()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database_url: "sqlite://data/trivia.db".to_owned(),
            read_url: None,
            backup_dir: None,
            backup_url: None,
            backup_endpoint: None,
            backup_region: None,
            backup_compression: 0,
            backup_encrypt_to: Vec::new(),
            backup_identity_file: None,
            readers: 4,
            busy_timeout_ms: 5_000,
            durability: DurabilitySetting::Full,
            projection_delay_ms: 30_000,
            slow_ms: 5_000,
            keep_backups: 30,
            keep_backups_by_kind: BTreeMap::new(),
            keep_sessions_days: 90,
            auto_recover: false,
            // nobody else should see it without being asked
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            log_format: LogFormat::Text,
            storage: Storage::default(),
        }
    }
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilitySetting {
    /// The loss of power.
    Full,
    /// The crash of the process.
    Normal,
}

/// Form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings that have a flag, and the flag that names the file.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct SettingFlags {
    /// Where the database is [default: sqlite://data/trivia.db; variable: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Where backups are [default: `backups` beside the database; variable: TRIVIA_BACKUP_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) backup_dir: Option<PathBuf>,
    /// File with settings [default: trivia.toml in the working directory, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Settings {
    /// Reads all sources.
    pub(crate) fn load(flags: &SettingFlags) -> Result<Self, Failure> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_string()))
        });
        let mut environment = HashMap::new();
        for (name, value) in variables.filter(|(name, _)| is_ours(name)) {
            let value = value.map_err(|_| {
                Failure::new(format!("the variable {name} is not UTF-8"), "correct or unset the variable")
            })?;
            environment.insert(name, value);
        }
        for (name, value) in dotenv()? {
            if is_ours(&name) {
                environment.entry(name).or_insert(value);
            }
        }
        Self::from_sources(flags, environment)
    }

    fn from_sources(flags: &SettingFlags, mut environment: HashMap<String, String>) -> Result<Self, Failure> {
        environment.retain(|_, value| !value.is_empty());
        let storage = storage(&mut environment)?;
        if let Some(url) = environment.remove("DATABASE_URL") {
            // the name with the prefix is the more specific one
            environment.entry("TRIVIA_DATABASE_URL".to_owned()).or_insert(url);
        }
        let path = flags.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let file = File::from(path).format(FileFormat::Toml).required(flags.config.is_some());
        let environment =
            Environment::with_prefix("TRIVIA").prefix_separator("_").separator("__").source(Some(environment));
        let read = |sources: ConfigBuilder<DefaultState>, place: String| {
            sources.build().and_then(Config::try_deserialize).map_err(|error| {
                let message = format!("the settings in {place} cannot be used");
                Failure::because(message, "correct the key or its value, or remove it", error)
            })
        };
        // each alone first, so that an error says where the key is
        read(Config::builder().add_source(file.clone()), path.display().to_string())?;
        let _: Self = read(Config::builder().add_source(environment.clone()), "the environment".to_owned())?;
        let both = Config::builder().add_source(file).add_source(environment);
        let mut settings: Self = read(both, "file and environment".to_owned())?;
        settings.storage = storage;
        if let Some(url) = &flags.database_url {
            settings.database_url.clone_from(url);
        }
        if flags.backup_dir.is_some() {
            settings.backup_dir.clone_from(&flags.backup_dir);
        }
        Ok(settings)
    }
}

/// Takes the variables of object storage out, with those secrets that are in files.
fn storage(environment: &mut HashMap<String, String>) -> Result<Storage, Failure> {
    let names: Vec<String> = environment.keys().filter(|name| name.starts_with(STORAGE)).cloned().collect();
    let mut taken: HashMap<_, _> = names.into_iter().filter_map(|name| environment.remove_entry(&name)).collect();
    for name in STORAGE_SECRETS {
        let Some(path) = taken.remove(&format!("{name}_FILE")) else { continue };
        if taken.contains_key(name) {
            let message = format!("both {name} and {name}_FILE are set");
            return Err(Failure::new(message, "unset one of them"));
        }
        let mut secret = String::new();
        let read = fs::File::open(&path).and_then(|file| file.take(SECRET_LIMIT).read_to_string(&mut secret));
        read.map_err(|error| {
            let message = format!("the file {path} of {name}_FILE cannot be read");
            Failure::because(message, "correct the variable or the permissions of the file", error)
        })?;
        taken.insert(name.to_owned(), secret.trim().to_owned());
    }
    Ok(Storage(taken))
}

/// Several values: an array, or one text with commas between them, as variables have it.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Array(Vec<String>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Text(text) => parts(&text).map(str::to_owned).collect(),
        Form::Array(values) => values,
    })
}

/// Numbers by kind: a table, or a text such as `daily=30,weekly=12`, as variables have it.
fn by_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<BackupKind, usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Table(BTreeMap<String, usize>),
    }
    let pairs: Result<_, String> = match Form::deserialize(deserializer)? {
        Form::Text(text) => parts(&text).map(kind_and_number).collect(),
        Form::Table(table) => table.into_iter().map(|(kind, number)| Ok((parse_kind(&kind)?, number))).collect(),
    };
    pairs.map_err(D::Error::custom)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Reads `daily=7`.
pub(crate) fn kind_and_number(text: &str) -> Result<(BackupKind, usize), String> {
    let (kind, number) = text.split_once('=').ok_or_else(|| format!("{text:?} is not of the form KIND=N"))?;
    Ok((parse_kind(kind)?, number.parse().map_err(|_| format!("{number:?} is not a number"))?))
}

fn parse_kind(kind: &str) -> Result<BackupKind, String> {
    kind.parse().map_err(|error: StoreError| error.to_string())
}

fn is_ours(name: &str) -> bool {
    name == "DATABASE_URL"
        || name.starts_with(STORAGE)
        || (name.starts_with("TRIVIA_") && !name.starts_with(TESTS_ONLY))
}

/// The variables of a `.env` file in the working directory or above.
fn dotenv() -> Result<Vec<(String, String)>, Failure> {
    let failed = |error| Failure::because("the .env file cannot be read", "correct it or remove it", error);
    match dotenvy::dotenv_iter() {
        Ok(variables) => variables.collect::<Result<_, _>>().map_err(failed),
        Err(error) if error.not_found() => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Result<Settings, Failure> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::from_sources(&SettingFlags::default(), environment)
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        assert_eq!(settings(&[]).unwrap(), Settings::default());
    }

    #[test]
    fn variables_are_read_with_their_types() {
        let read = settings(&[("TRIVIA_READERS", "9"), ("TRIVIA_DURABILITY", "normal"), ("TRIVIA_LOG_FORMAT", "")]);
        let expected = Settings { readers: 9, durability: DurabilitySetting::Normal, ..Settings::default() };
        assert_eq!(read.unwrap(), expected);
    }

    #[test]
    fn an_address_to_listen_at_is_read() {
        assert!(Settings::default().listen.ip().is_loopback());
        assert_eq!(settings(&[("TRIVIA_LISTEN", "[::1]:0")]).unwrap().listen, "[::1]:0".parse().unwrap());
        let error = settings(&[("TRIVIA_LISTEN", "here")]).unwrap_err().text();
        assert!(error.contains("listen"), "{error}");
    }

    #[test]
    fn the_variable_with_the_prefix_wins() {
        let read = settings(&[("DATABASE_URL", "sqlite://a.db"), ("TRIVIA_DATABASE_URL", "sqlite://b.db")]).unwrap();
        assert_eq!(read.database_url, "sqlite://b.db");
    }

    #[test]
    fn a_typo_is_an_error_that_names_the_key() {
        let error = settings(&[("TRIVIA_DATABSE_URL", "x")]).unwrap_err().text();
        assert!(error.contains("environment") && error.contains("databse_url"), "{error}");
        let error = settings(&[("TRIVIA_LOG__FORMAT", "json")]).unwrap_err().text();
        assert!(error.contains("log"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_an_error_that_names_the_key() {
        let error = settings(&[("TRIVIA_READERS", "many")]).unwrap_err().text();
        assert!(error.contains("readers"), "{error}");
    }

    #[test]
    fn variables_of_the_tests_are_not_settings() {
        assert!(!is_ours("TRIVIA_TEST_REQUIRE_ALL"));
        assert!(is_ours("TRIVIA_READERS"));
        assert!(!is_ours("PATH"));
    }
}
