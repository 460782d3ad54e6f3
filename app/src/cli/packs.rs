//! `packs`: where questions come from, and under which terms.

use async_trait::async_trait;
use serde::Serialize;
use trivia_domain::StoreResult;
use trivia_domain::model::{Pack, PackName, PackPart};
use trivia_domain::ports::{ListedPack, Repositories, UnitOfWork, Work, execute};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output, count, printable};
use crate::wiring::App;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List all packs with the number of their questions
    List,
    /// Show what is known of a pack
    Show {
        /// Its name
        pack: PackName,
    },
    /// Describe a pack; what is not given stays as it is
    Set {
        /// Its name; a pack that is not there is added
        pack: PackName,
        #[command(flatten)]
        about: About,
    },
}

/// What is said about a pack.
#[derive(Debug, clap::Args)]
pub(super) struct About {
    /// What people call the pack
    #[arg(long, value_name = "TEXT", requires = "pack")]
    title: Option<String>,
    /// Where it is from, such as an address
    #[arg(long, value_name = "TEXT", requires = "pack")]
    source: Option<String>,
    /// Who wrote it
    #[arg(long, value_name = "TEXT", requires = "pack")]
    author: Option<String>,
    /// Its licence: an SPDX identifier where there is one, such as CC-BY-SA-4.0
    #[arg(long, alias = "license", value_name = "TEXT", requires = "pack")]
    licence: Option<String>,
    /// What its authors want to be told with it
    #[arg(long, value_name = "TEXT", requires = "pack")]
    attribution: Option<String>,
}

impl About {
    /// The pack with what was given; an empty text takes away what was known.
    pub(super) fn apply(&self, pack: Pack) -> StoreResult<Pack> {
        let given = [
            (PackPart::Title, &self.title),
            (PackPart::Source, &self.source),
            (PackPart::Author, &self.author),
            (PackPart::Licence, &self.licence),
            (PackPart::Attribution, &self.attribution),
        ];
        let mut given = given.into_iter().filter_map(|(part, text)| Some((part, text.as_deref()?)));
        given.try_fold(pack, |pack, (part, text)| pack.with(part, text))
    }
}

#[derive(Serialize)]
struct Report {
    packs: Vec<ListedPack>,
}

pub(super) async fn run(app: &App, command: &Command, output: &mut Output) -> CommandResult {
    match command {
        Command::List => list(app, output).await?,
        Command::Show { pack } => {
            let listed = app.with_database(async |database| find(database, pack).await).await?;
            tell(&listed, output)?;
            output.report(&listed)?;
        }
        Command::Set { pack, about } => {
            let changing = Changing(pack, about);
            let set = async |database: &_| {
                execute(database, &changing).await?;
                find(database, pack).await
            };
            let listed = app.with_database(async |database| set(database).await).await?;
            tell(&listed, output)?;
            output.report(&listed)?;
        }
    }
    Ok(Verdict::Good)
}

/// Puts what is said of a pack in the place of what is known.
struct Changing<'a>(&'a PackName, &'a About);

#[async_trait]
impl Work for Changing<'_> {
    type Output = ();

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()> {
        let known = uow.packs().find(self.0).await?;
        uow.packs().put(self.1.apply(known.unwrap_or_else(|| Pack::new(self.0.clone())))?).await
    }
}

async fn find(store: &dyn Repositories, name: &PackName) -> Result<ListedPack, Failure> {
    let packs = store.packs().list().await?;
    match packs.into_iter().find(|listed| listed.pack.name() == name) {
        Some(listed) => Ok(listed),
        None => Err(trivia_domain::StoreError::missing("pack", name).into()),
    }
}

async fn list(app: &App, output: &mut Output) -> Result<(), Failure> {
    let packs = app.with_database(async |database| Ok(database.packs().list().await?)).await?;
    let columns = [
        Column::left("pack"),
        Column::right("questions"),
        Column::left("title"),
        Column::left("author"),
        Column::left("licence"),
    ];
    let row = |ListedPack { pack, questions }: &ListedPack| {
        let part = |part| printable(pack.part(part).unwrap_or_default());
        let (title, author, licence) = (part(PackPart::Title), part(PackPart::Author), part(PackPart::Licence));
        vec![pack.name().to_string(), questions.to_string(), title, author, licence]
    };
    output.table(&columns, packs.iter().map(row).collect())?;
    if packs.is_empty() {
        writeln!(output, "No packs: `trivia-db import --pack NAME` notes where questions come from.")?;
    }
    output.report(&Report { packs })
}

fn tell(ListedPack { pack, questions }: &ListedPack, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    writeln!(output, "{}", style.strong(printable(pack.title())))?;
    writeln!(output, "pack: {}", pack.name())?;
    for part in PackPart::ALL.into_iter().filter(|part| *part != PackPart::Title) {
        if let Some(text) = pack.part(part) {
            writeln!(output, "{part}: {}", printable(text))?;
        }
    }
    if pack.part(PackPart::Licence).is_none() {
        writeln!(output, "{}", style.faint("Its licence is not known; `trivia-db packs set` notes it."))?;
    }
    writeln!(output, "{}", count(usize::try_from(*questions).unwrap_or(usize::MAX), "question"))
}
