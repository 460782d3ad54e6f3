//! `achievements define`: adds or replaces achievements.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use trivia_domain::StoreError;
use trivia_domain::model::{AchievementDefinition, AchievementId};
use trivia_domain::ports::Store;

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count, printable};
use crate::wiring::App;

/// Largest file in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
const HINT: &str = "`trivia-db achievements list --json` shows the form; nothing was changed";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A JSON file with one definition or a list of them
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Report {
    defined: Vec<Defined>,
}

#[derive(Serialize)]
struct Defined {
    id: AchievementId,
    players_changed: u64,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let definitions = read(&args.file)?;
    let (defined, failed) = app.with_database(async |database| Ok(define(database, definitions).await)).await?;
    for Defined { id, players_changed } in &defined {
        let players = count(usize::try_from(*players_changed).unwrap_or(usize::MAX), "player");
        writeln!(output, "Defined {id}; {players} changed.")?;
    }
    output.report(&Report { defined })?;
    failed.map_or(Ok(Verdict::Good), Err)
}

/// Stores one after the other, up to the first one that cannot be stored.
async fn define(store: &dyn Store, definitions: Vec<AchievementDefinition>) -> (Vec<Defined>, Option<Failure>) {
    let mut defined = Vec::new();
    for definition in definitions {
        let id = definition.id.clone();
        match store.rules().define_achievement(definition).await {
            Ok(players_changed) => defined.push(Defined { id, players_changed }),
            Err(error) => {
                let message = format!("{id} cannot be defined; {} of this file were", defined.len());
                let hint = error.hint();
                return (defined, Some(Failure::because(message, hint, error)));
            }
        }
    }
    (defined, None)
}

/// All definitions of a file, each checked.
fn read(path: &Path) -> Result<Vec<AchievementDefinition>, Failure> {
    let bytes = contents(path).map_err(|error| {
        let message = format!("cannot read {}", path.display());
        Failure::because(message, "check the path, the permissions and the size; nothing was changed", error)
    })?;
    let is_list = bytes.trim_ascii_start().first() == Some(&b'[');
    let parsed =
        if is_list { serde_json::from_slice(&bytes) } else { serde_json::from_slice(&bytes).map(|one| vec![one]) };
    let definitions: Vec<AchievementDefinition> = parsed.map_err(|error| {
        let found = printable(&error.to_string());
        Failure::new(format!("{} has no definition of an achievement: {found}", path.display()), HINT)
    })?;
    if definitions.is_empty() {
        return Err(Failure::new(format!("{} has no definition of an achievement", path.display()), HINT));
    }
    let mut seen = BTreeSet::new();
    for definition in &definitions {
        let sound = if seen.insert(&definition.id) {
            definition.clone().checked().map(drop)
        } else {
            Err(StoreError::invalid("achievement id", "it is there twice"))
        };
        sound.map_err(|error| {
            let message = format!("{}: {} cannot be defined", path.display(), definition.id);
            Failure::because(message, HINT, error)
        })?;
    }
    Ok(definitions)
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    // asked first: opening a pipe would wait for its writer
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}
