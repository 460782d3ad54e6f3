//! `questions list`: what there is, with tags and packs.

use serde::Serialize;
use trivia_domain::model::{Labels, Page, Question, QuestionId};
use trivia_domain::ports::{QuestionRepository, Repositories};

use super::filter::Filter;
use super::show::{comma_separated, short};
use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output, count, printable};
use crate::wiring::App;

/// Longest text in the table, in characters.
const WIDTH: usize = 60;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Show no more than so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Begin after this one
    #[arg(long, value_name = "ID")]
    after: Option<QuestionId>,
}

#[derive(Serialize)]
struct Report {
    questions: Vec<Listed>,
    /// What comes next: the value for `--after`.
    next: Option<QuestionId>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    question: Question,
    #[serde(flatten)]
    labels: Labels,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let report = app.with_database(async |database| load(database, args).await).await?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(store: &dyn Repositories, args: &Args) -> Result<Report, Failure> {
    let filter = args.filter.checked(store).await?;
    let questions: &dyn QuestionRepository = store.questions();
    // one more tells whether there is more
    let page = Page { after: args.after.map(QuestionId::get), limit: args.limit + 1 };
    let mut found = questions.list(&filter, page).await?;
    let more = found.len() > args.limit as usize;
    found.truncate(args.limit as usize);
    let ids: Vec<_> = found.iter().map(|question| question.id).collect();
    let mut labels = questions.labels(&ids).await?;
    let listed = |question: Question| Listed { labels: labels.remove(&question.id).unwrap_or_default(), question };
    let next = ids.last().copied().filter(|_| more);
    Ok(Report { questions: found.into_iter().map(listed).collect(), next })
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    if report.questions.is_empty() {
        return writeln!(output, "There are no such questions.");
    }
    let columns = ["question", "language", "category", "difficulty", "kind", "tags", "packs"].map(Column::left);
    let columns: Vec<_> = [Column::right("id")].into_iter().chain(columns).collect();
    let row = |Listed { question, labels }: &Listed| {
        let content = &question.content;
        let retired = if question.retired_at.is_some() { " (retired)" } else { "" };
        vec![
            question.id.to_string(),
            format!("{}{retired}", short(content.text(), WIDTH)),
            content.language().to_string(),
            printable(content.category().as_str()),
            content.difficulty().to_string(),
            content.kind().to_string(),
            comma_separated(&labels.tags),
            comma_separated(&labels.packs),
        ]
    };
    output.table(&columns, report.questions.iter().map(row).collect())?;
    match report.next {
        Some(next) => writeln!(output, "There are more; see --after {next} and --limit"),
        None => writeln!(output, "{}.", count(report.questions.len(), "question")),
    }
}
