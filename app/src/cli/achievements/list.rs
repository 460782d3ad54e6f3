//! `achievements list`: what can be unlocked.

use trivia_domain::model::{AchievementDefinition, AchievementRule as Rule};
use trivia_domain::ports::Repositories;

use crate::cli::{CommandResult, Verdict};
use crate::output::{Column, Output, printable};
use crate::wiring::App;

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let definitions = app.with_database(async |database| Ok(database.achievements().definitions().await?)).await?;
    if definitions.is_empty() {
        writeln!(output, "Nothing can be unlocked. Add something with `trivia-db achievements define FILE`.")?;
    } else {
        let columns = [
            Column::left("id"),
            Column::left("name"),
            Column::left("for"),
            Column::right("bonus"),
            Column::left("hidden"),
        ];
        output.table(&columns, definitions.iter().map(row).collect())?;
    }
    output.report(&definitions)?;
    Ok(Verdict::Good)
}

fn row(definition: &AchievementDefinition) -> Vec<String> {
    vec![
        definition.id.to_string(),
        printable(&definition.name),
        words(definition.rule),
        definition.bonus.to_string(),
        if definition.hidden { "yes" } else { "" }.to_owned(),
    ]
}

/// A rule for people.
fn words(rule: Rule) -> String {
    match rule {
        Rule::Streak { at_least } => format!("{at_least} right answers in a row"),
        Rule::DayStreak { at_least } => format!("{at_least} days in a row"),
        Rule::TotalPoints { at_least } => format!("{at_least} points"),
        Rule::Answered { at_least } => format!("{at_least} answers"),
        Rule::Accuracy { percent, answered } => format!("{percent} % right, after {answered} answers"),
        Rule::DifficultyCorrect { difficulty, at_least } => format!("{at_least} right {difficulty} answers"),
        Rule::DailyChallenges { at_least } => format!("{at_least} daily challenges"),
        Rule::WeeklyChallenges { at_least } => format!("{at_least} weekly challenges"),
        // a rule that is newer than this program
        other => format!("{other:?}"),
    }
}
