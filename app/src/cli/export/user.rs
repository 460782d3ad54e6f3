//! `export user`: everything about a person, for that person.

use std::path::PathBuf;

use serde::Serialize;
use trivia_domain::model::{PersonalRecord, UserId};
use trivia_domain::ports::Store;

use super::Target;
use super::file::NewFile;
use crate::cli::{CommandResult, Verdict};
use crate::output::{Output, count, document};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The player's id
    id: UserId,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    user_id: UserId,
    facts: usize,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let record: PersonalRecord = app
        .with_database(async |database| {
            let store: &dyn Store = database;
            Ok(store.people().export(args.id).await?)
        })
        .await?;
    let document = document(&record)?;
    match &args.target.output {
        Some(path) => {
            let mut file = NewFile::create(path, args.target.force, app.random.next_u64())?;
            file.write(&document)?;
            file.publish()?;
            let facts = record.facts.len();
            writeln!(output, "Wrote player {} with {} to {}.", args.id, count(facts, "fact"), path.display())?;
            output.report(&Report { file: path.clone(), user_id: args.id, facts })?;
        }
        // with and without `--json` it is one document
        None => output.raw(&document)?,
    }
    Ok(Verdict::Good)
}
