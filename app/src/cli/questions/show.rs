//! `questions show`: a question as it is and as it was.

use serde::Serialize;
use trivia_domain::model::{Question, QuestionBody, QuestionContent, QuestionId};
use trivia_domain::ports::{QuestionRepository, Repositories};

use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, printable};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its id
    id: QuestionId,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    question: Question,
    /// What earlier versions said, oldest first.
    earlier: Vec<QuestionContent>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let report = app.with_database(async |database| load(database.questions(), args.id).await).await?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(questions: &dyn QuestionRepository, id: QuestionId) -> Result<Report, Failure> {
    let question = questions.get(id).await?;
    let mut earlier = Vec::new();
    for version in 1..question.version {
        earlier.push(questions.version(id, version).await?);
    }
    Ok(Report { question, earlier })
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    let Report { question, earlier } = report;
    let content = &question.content;
    writeln!(output, "{}", style.strong(printable(content.text())))?;
    if let QuestionBody::MultipleChoice { options, .. } = content.body() {
        for option in options {
            writeln!(output, "  - {}", printable(option))?;
        }
    }
    writeln!(output, "Right: {}", printable(content.answer()))?;
    if let QuestionBody::FillBlank { variations, .. } = content.body()
        && !variations.is_empty()
    {
        writeln!(output, "Also right: {}", printable(&variations.join(", ")))?;
    }
    if let Some(explanation) = content.explanation() {
        writeln!(output, "{}", style.faint(printable(explanation)))?;
    }
    writeln!(
        output,
        "{}, {}, {}, {}, {} points",
        printable(content.category().as_str()),
        content.difficulty(),
        content.kind(),
        content.language(),
        content.base_points()
    )?;
    writeln!(
        output,
        "Version {} of {}, answered {} times, {} right ({})",
        question.version,
        question.created_at.format("%Y-%m-%d"),
        question.times_asked,
        question.times_correct,
        question.success_rate()
    )?;
    if let Some(at) = question.retired_at {
        writeln!(output, "{} since {}", style.bad("Retired"), at.format("%Y-%m-%d %H:%M UTC"))?;
    }
    for (version, content) in (1..).zip(earlier) {
        let (text, answer) = (printable(content.text()), printable(content.answer()));
        writeln!(output, "Version {version} was: {text} Right: {answer}")?;
    }
    Ok(())
}
