//! `questions tag`: what a question is found by.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Serialize;
use trivia_domain::StoreResult;
use trivia_domain::model::{QuestionId, Tag};
use trivia_domain::ports::{UnitOfWork, Work, execute};

use super::show::comma_separated;
use crate::cli::{CommandResult, Verdict};
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The question
    id: QuestionId,
    /// Tags; one of several words stands in quotes
    #[arg(required = true, value_name = "TAG")]
    tags: Vec<Tag>,
    /// Remove them
    #[arg(long)]
    remove: bool,
}

#[derive(Serialize)]
struct Report {
    id: QuestionId,
    tags: BTreeSet<Tag>,
}

/// Adds or removes tags, and says which there are then.
struct Tagging<'a>(&'a Args);

#[async_trait]
impl Work for Tagging<'_> {
    type Output = BTreeSet<Tag>;

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<BTreeSet<Tag>> {
        let Args { id, tags, remove } = self.0;
        let mut present = uow.questions().labels(&[*id]).await?.remove(id).unwrap_or_default().tags;
        if *remove {
            present.retain(|tag| !tags.contains(tag));
        } else {
            present.extend(tags.iter().cloned());
        }
        uow.questions().set_tags(*id, present.clone()).await?;
        Ok(present)
    }
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let tags = app.with_database(async |database| Ok(execute(database, &Tagging(args)).await?)).await?;
    match tags.is_empty() {
        true => writeln!(output, "Question {} has no tags.", args.id)?,
        false => writeln!(output, "Question {} has the tags: {}", args.id, comma_separated(&tags))?,
    }
    output.report(&Report { id: args.id, tags })?;
    Ok(Verdict::Good)
}
