//! `export questions`: questions for another store, with all that must be told with them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;
use trivia_domain::model::{Labels, Pack, PackName, Page, Question, QuestionBody, QuestionContent, Tag};
use trivia_domain::ports::{QuestionFilter, Repositories};

use super::csv::Table;
use super::file::NewFile;
use super::{Target, attribution};
use crate::cli::questions::filter::Filter;
use crate::cli::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count, printable};
use crate::wiring::App;

/// Questions that are read at once.
const PAGE: u32 = 500;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    target: Target,
    /// JSON Lines have everything; CSV is for spreadsheets, and has of packs only the names
    #[arg(long, value_enum, default_value_t = Form::Jsonl)]
    format: Form,
    #[command(flatten)]
    filter: Filter,
    /// Also write a list of the packs with their authors, sources and licences, to be published with the questions
    #[arg(long, value_name = "FILE")]
    attribution: Option<PathBuf>,
}

/// How questions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Jsonl,
    Csv,
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    questions: u64,
    /// The packs that they are from, with their numbers.
    packs: Vec<Share>,
    /// Questions of which no pack is known.
    without_pack: u64,
}

/// A pack and how many of the exported questions it has.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Share {
    #[serde(flatten)]
    pub(super) pack: Pack,
    pub(super) questions: u64,
}

/// A first look at what is exported.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) questions: u64,
    /// The packs that they are from.
    pub(super) shares: Vec<Share>,
    /// The packs that are told: without a filter all of them, also those without questions.
    pub(super) packs: Vec<Pack>,
    pub(super) without_pack: u64,
    /// Most options, and most other accepted answers, of a question.
    pub(super) options: usize,
    pub(super) variations: usize,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    if args.format == Form::Csv && args.target.output.is_none() && output.is_json() {
        return Err(Failure::new("CSV is no JSON document", "write it to a file with --output, or leave out --json"));
    }
    let create = |path: &PathBuf| NewFile::create(path, args.target.force, app.random.next_u64());
    let credits = args.attribution.as_ref().map(create).transpose()?;
    let file = args.target.output.as_ref().map(create).transpose()?;
    let report = app.with_database(async |database| export(database, args, file, credits, output).await).await?;
    if let Some(report) = report {
        output.report(&report)?;
    }
    Ok(Verdict::Good)
}

/// Writes all; a report only when the questions themselves are not on stdout.
async fn export(
    store: &dyn Repositories,
    args: &Args,
    file: Option<NewFile>,
    credits: Option<NewFile>,
    output: &mut Output,
) -> Result<Option<Report>, Failure> {
    let filter = args.filter.checked(store).await?;
    let survey = survey(store, &filter).await?;
    let lines = Lines::new(args.format, &survey)?;
    let report = match (file, &args.target.output) {
        (Some(mut file), Some(path)) => {
            write(store, &filter, &lines, &mut |line| file.write(format!("{line}\n").as_bytes())).await?;
            file.publish()?;
            let questions = usize::try_from(survey.questions).unwrap_or(usize::MAX);
            writeln!(output, "Wrote {} to {}.", count(questions, "question"), path.display())?;
            let Survey { questions, shares, without_pack, .. } = &survey;
            let (file, packs) = (path.clone(), shares.clone());
            Some(Report { file, questions: *questions, packs, without_pack: *without_pack })
        }
        _ => {
            print(store, &filter, &lines, output).await?;
            None
        }
    };
    match (credits, &args.attribution) {
        (Some(mut credits), Some(path)) => {
            credits.write(attribution::text(&survey).as_bytes())?;
            credits.publish()?;
            if report.is_some() {
                writeln!(output, "Wrote their attribution to {}.", path.display())?;
            }
        }
        _ if report.is_some() && !survey.shares.is_empty() => {
            writeln!(output, "\n{}", printable(attribution::text(&survey).trim_end()))?;
        }
        _ => {}
    }
    Ok(report)
}

/// Counts what is going to be written.
async fn survey(store: &dyn Repositories, filter: &QuestionFilter) -> Result<Survey, Failure> {
    let mut survey = Survey::default();
    let mut sizes: BTreeMap<PackName, u64> = BTreeMap::new();
    each(store, filter, &mut |question, labels| {
        survey.questions += 1;
        survey.without_pack += u64::from(labels.packs.is_empty());
        labels.packs.iter().for_each(|name| *sizes.entry(name.clone()).or_default() += 1);
        match question.content.body() {
            QuestionBody::MultipleChoice { options, .. } => survey.options = survey.options.max(options.len()),
            QuestionBody::FillBlank { variations, .. } => survey.variations = survey.variations.max(variations.len()),
            QuestionBody::TrueFalse { .. } => {}
        }
        Ok(())
    })
    .await?;
    for (name, questions) in sizes {
        survey.shares.push(Share { pack: store.packs().get(&name).await?, questions });
    }
    survey.packs = if *filter == QuestionFilter::default() {
        store.packs().list().await?.into_iter().map(|listed| listed.pack).collect()
    } else {
        survey.shares.iter().map(|share| share.pack.clone()).collect()
    };
    Ok(survey)
}

/// How lines are written.
enum Lines {
    /// What is said of packs before the questions.
    Json(Vec<Pack>),
    Csv(Table),
}

/// A line that says what a pack is.
#[derive(Serialize)]
struct PackLine<'a> {
    pack: &'a Pack,
}

/// A question with its labels.
#[derive(Serialize)]
struct QuestionLine<'a> {
    #[serde(flatten)]
    content: &'a QuestionContent,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'a Tag>,
    /// Always there when a pack is declared before: else the question would belong to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    packs: Option<Vec<&'a PackName>>,
}

impl Lines {
    fn new(format: Form, survey: &Survey) -> Result<Self, Failure> {
        match format {
            Form::Jsonl => Ok(Self::Json(survey.packs.clone())),
            Form::Csv => Table::new(survey).map(Self::Csv),
        }
    }

    /// What stands before the questions.
    fn head(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Json(packs) => packs.iter().map(|pack| json(&PackLine { pack })).collect(),
            Self::Csv(table) => Ok(vec![table.header()]),
        }
    }

    fn question(&self, question: &Question, labels: &Labels) -> Result<String, Failure> {
        match self {
            Self::Json(packs) => {
                let named = (!packs.is_empty() || !labels.packs.is_empty()).then(|| labels.packs.iter().collect());
                let tags = labels.tags.iter().collect();
                json(&QuestionLine { content: &question.content, tags, packs: named })
            }
            Self::Csv(table) => table.row(question, labels),
        }
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::because("cannot write a question as JSON", "report this as a defect", error))
}

/// Hands over each line.
async fn write(
    store: &dyn Repositories,
    filter: &QuestionFilter,
    lines: &Lines,
    take: &mut (dyn FnMut(&str) -> Result<(), Failure> + Send),
) -> Result<(), Failure> {
    for line in lines.head()? {
        take(&line)?;
    }
    each(store, filter, &mut |question, labels| take(&lines.question(question, labels)?)).await
}

/// To stdout: lines, or with `--json` one array.
async fn print(
    store: &dyn Repositories,
    filter: &QuestionFilter,
    lines: &Lines,
    output: &mut Output,
) -> Result<(), Failure> {
    let json = output.is_json();
    let mut before = if json { "[\n" } else { "" };
    write(store, filter, lines, &mut |line| {
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

/// Hands over each question that is meant and not retired, with its labels.
async fn each(
    store: &dyn Repositories,
    filter: &QuestionFilter,
    take: &mut (dyn FnMut(&Question, &Labels) -> Result<(), Failure> + Send),
) -> Result<(), Failure> {
    let mut page = Page::first(PAGE);
    loop {
        let batch = store.questions().list(filter, page).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        page = Page::after(last.id.get(), PAGE);
        let open: Vec<_> = batch.iter().filter(|question| question.retired_at.is_none()).collect();
        let ids: Vec<_> = open.iter().map(|question| question.id).collect();
        let labels = store.questions().labels(&ids).await?;
        let none = Labels::default();
        for question in open {
            take(question, labels.get(&question.id).unwrap_or(&none))?;
        }
    }
}
