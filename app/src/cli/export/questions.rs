//! `export questions`: questions for another store.

use std::path::PathBuf;

use serde::Serialize;
use trivia_domain::model::Page;
use trivia_domain::ports::{QuestionFilter, QuestionRepository, Repositories};

use super::Target;
use super::file::NewFile;
use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count};
use crate::wiring::App;

/// Questions that are read at once.
const PAGE: u32 = 500;

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    questions: usize,
}

pub(super) async fn run(app: &App, target: &Target, output: &mut Output) -> CommandResult {
    match &target.output {
        Some(path) => {
            let file = NewFile::create(path, target.force, app.random.next_u64())?;
            let questions = app
                .with_database(async |database| {
                    let mut file = file;
                    let mut write = |line: &str| file.write(format!("{line}\n").as_bytes());
                    let questions = each(database.questions(), &mut write).await?;
                    file.publish()?;
                    Ok(questions)
                })
                .await?;
            writeln!(output, "Wrote {} to {}.", count(questions, "question"), path.display())?;
            output.report(&Report { file: path.clone(), questions })?;
        }
        None => app.with_database(async |database| print(database.questions(), output).await).await?,
    }
    Ok(Verdict::Good)
}

/// To stdout: lines, or with `--json` one array.
async fn print(questions: &dyn QuestionRepository, output: &mut Output) -> Result<(), Failure> {
    let json = output.is_json();
    let mut before = if json { "[\n" } else { "" };
    each(questions, &mut |line| {
        output.raw(before.as_bytes())?;
        output.raw(line.as_bytes())?;
        before = if json { ",\n" } else { "\n" };
        Ok(())
    })
    .await?;
    match (json, before) {
        (true, "[\n") => output.raw(b"[]\n"),
        (true, _) => output.raw(b"\n]\n"),
        (false, "") => Ok(()),
        (false, _) => output.raw(b"\n"),
    }
}

/// Hands over each question as a line of JSON, and says how many there were.
async fn each(
    questions: &dyn QuestionRepository,
    take: &mut dyn FnMut(&str) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let mut exported = 0;
    let mut page = Page::first(PAGE);
    loop {
        let batch = questions.list(&QuestionFilter::default(), page).await?;
        for question in batch.iter().filter(|question| question.retired_at.is_none()) {
            let line = serde_json::to_string(&question.content).map_err(|error| {
                Failure::because("cannot write a question as JSON", "report this as a defect", error)
            })?;
            take(&line)?;
            exported += 1;
        }
        match batch.last() {
            Some(last) => page = Page::after(last.id.get(), PAGE),
            None => return Ok(exported),
        }
    }
}
