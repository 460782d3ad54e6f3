//! `questions retire` and `questions restore`: whether questions are asked.

use async_trait::async_trait;
use serde::Serialize;
use trivia_domain::StoreResult;
use trivia_domain::model::QuestionId;
use trivia_domain::ports::{UnitOfWork, Work, execute};

use crate::cli::{CommandResult, Verdict};
use crate::output::{Output, count};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Their ids; all of them or none
    #[arg(required = true, value_name = "ID")]
    ids: Vec<QuestionId>,
}

/// What is to become of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Retire,
    Restore,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Report<'a> {
    Retired(&'a [QuestionId]),
    Restored(&'a [QuestionId]),
}

/// All or none of them.
struct Changing<'a> {
    ids: &'a [QuestionId],
    change: Change,
}

#[async_trait]
impl Work for Changing<'_> {
    type Output = ();

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()> {
        for id in self.ids {
            match self.change {
                Change::Retire => uow.questions().retire(*id).await?,
                Change::Restore => uow.questions().restore(*id).await?,
            }
        }
        Ok(())
    }
}

pub(super) async fn run(app: &App, args: &Args, change: Change, output: &mut Output) -> CommandResult {
    let changing = Changing { ids: &args.ids, change };
    app.with_database(async |database| Ok(execute(database, &changing).await?)).await?;
    let number = count(args.ids.len(), "question");
    let report = match change {
        Change::Retire => {
            writeln!(output, "Retired {number}; `trivia-db questions restore` puts them back.")?;
            Report::Retired(&args.ids)
        }
        Change::Restore => {
            writeln!(output, "Restored {number}.")?;
            Report::Restored(&args.ids)
        }
    };
    output.report(&report)?;
    Ok(Verdict::Good)
}
