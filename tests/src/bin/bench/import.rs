//! Many questions at once.

use trivia_domain::model::QuestionContent;
use trivia_domain::ports::{AddOutcome, Repositories};
use trivia_infrastructure::Durability;

use super::Bench;
use super::data::{self, question};
use super::peers::rusqlite as raw;
use super::report::Section;
use super::stats::{Run, Spread, Stopwatch, short};

/// Questions in one transaction, as in the importer.
const STEP: usize = 2_000;

pub(crate) async fn measure(bench: &Bench) -> Section {
    let number = bench.plan.imported;
    let contents: Vec<QuestionContent> = (1..=number).map(question).collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.plan.rounds {
        let path = bench.scratch.empty("import.db").await;
        let database = data::open(&path, Durability::Full).await;
        let chunks: Vec<_> = contents.chunks(STEP).map(<[_]>::to_vec).collect();
        let watch = Stopwatch::start();
        let mut added = 0;
        for chunk in chunks {
            let outcomes = database.questions().add(chunk).await.expect("questions can be added");
            added += outcomes.iter().filter(|outcome| matches!(outcome, AddOutcome::Added { .. })).count();
        }
        ours.push(Run::of_batch(number, &watch));
        assert_eq!(added, contents.len(), "all are new");
        data::close(&database).await;
        let size = std::fs::metadata(&path).expect("it is there").len();

        let path = bench.scratch.empty("import.db").await;
        let mut connection = raw::open(&path, Durability::Full);
        let watch = Stopwatch::start();
        raw::import(&mut connection, &contents).expect("questions can be added");
        theirs.push(Run::of_batch(number, &watch));
        drop(connection);
        // the same columns and keys fill the same pages, nearly
        let theirs = std::fs::metadata(&path).expect("it is there").len();
        assert!(theirs.abs_diff(size) < size / 10, "ours has {size} bytes, theirs {theirs}");
        data::remove(&path);
    }
    let mut section = Section::new("Import");
    section.say(&format!(
        "{} questions. Ours: `questions().add` in steps of {STEP}, as the importer does: each step is one transaction, \
         looks for duplicates and contradictions and returns all ids. The peer: rusqlite, one prepared `INSERT`, one \
         transaction for all, the same columns and keys; a duplicate is ignored.",
        short(number as f64)
    ));
    let row = |name: &str, runs: &[Run]| {
        vec![
            name.to_owned(),
            Spread::over(runs, |run| run.per_second).to_string(),
            short(Spread::over(runs, |run| run.cpu_us).median),
        ]
    };
    section.table(&["who", "questions/s", "CPU us"], &[row("ours", &ours), row("rusqlite", &theirs)]);
    section.target("import, against rusqlite", Some(Spread::ratio(&ours, &theirs, |run| run.per_second)), 0.4);
    section
}
