//! `export`: data for other programs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use trivia_domain::model::Page;
use trivia_domain::ports::{QuestionFilter, QuestionRepository, Repositories};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count};
use crate::wiring::App;

/// Questions that are read at once.
const PAGE: u32 = 500;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// All questions that are not retired, one JSON object a line: `import` reads them back
    Questions(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write to this file [default: the terminal]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    force: bool,
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    questions: usize,
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    let Command::Questions(args) = command;
    match &args.output {
        Some(path) => {
            let file = NewFile::create(path, args.force, app.random.next_u64())?;
            let questions = app
                .with_database(async |database| {
                    let mut file = file;
                    let questions = each(database.questions(), &mut |line| file.write_line(line)).await?;
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

/// A file that appears under its name when it is complete, for this user alone.
struct NewFile {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    replace: bool,
}

impl NewFile {
    fn create(path: &Path, replace: bool, tag: u64) -> Result<Self, Failure> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{tag:016x}.tmp"));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|error| unwritten(path, error))?;
        Ok(Self { file: BufWriter::new(file), temporary, path: path.to_owned(), replace })
    }

    fn write_line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.file, "{line}").map_err(|error| unwritten(&self.path, error))
    }

    fn publish(mut self) -> Result<(), Failure> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        let published = written.and_then(|()| {
            // unlike a rename, a link never replaces what another program has put there meanwhile
            if self.replace {
                fs::rename(&self.temporary, &self.path)
            } else {
                fs::hard_link(&self.temporary, &self.path)
            }
        });
        published.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.path),
            _ => unwritten(&self.path, error),
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // it is gone already after a rename
        let _ = fs::remove_file(&self.temporary);
    }
}

fn exists(path: &Path) -> Failure {
    Failure::new(format!("{} exists already", path.display()), "choose another name, or add --force to replace it")
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    Failure::because(format!("cannot write {}", path.display()), "check the directory, permissions and space", error)
}
