//! What must be told when questions are passed on, as a text to be published with them.

use trivia_domain::model::PackPart;

use super::questions::{Share, Survey};

/// A text in Markdown: a section for each pack.
pub(super) fn text(survey: &Survey) -> String {
    let mut text = String::from("# Where these questions come from\n");
    for Share { pack, questions } in &survey.shares {
        text.push_str(&format!("\n## {}\n\n", pack.title()));
        for part in [PackPart::Author, PackPart::Source, PackPart::Licence] {
            text.push_str(&format!("- {part}: {}\n", pack.part(part).unwrap_or("not known")));
        }
        text.push_str(&format!("- questions: {questions} (pack {})\n", pack.name()));
        if let Some(attribution) = pack.part(PackPart::Attribution) {
            text.push_str(&format!("\n{attribution}\n"));
        }
    }
    if survey.without_pack > 0 {
        text.push_str(&format!("\nOf {} of {} questions no pack is known.\n", survey.without_pack, survey.questions));
    }
    text
}

#[cfg(test)]
mod tests {
    use trivia_domain::model::Pack;

    use super::*;

    fn share(json: &str, questions: u64) -> Share {
        Share { pack: serde_json::from_str::<Pack>(json).unwrap(), questions }
    }

    #[test]
    fn each_pack_has_a_section_and_gaps_are_told() {
        let whole = r#"{"name":"a","title":"A quiz","author":"B","source":"https://c","licence":"CC-BY-4.0","attribution":"D\nE"}"#;
        let shares = vec![share(whole, 2), share(r#"{"name":"bare"}"#, 1)];
        let survey = Survey { questions: 4, shares, without_pack: 1, ..Survey::default() };
        assert_eq!(
            text(&survey),
            "# Where these questions come from\n\n## A quiz\n\n- author: B\n- source: https://c\n- licence: CC-BY-4.0\n\
             - questions: 2 (pack a)\n\nD\nE\n\n## bare\n\n- author: not known\n- source: not known\n\
             - licence: not known\n- questions: 1 (pack bare)\n\nOf 1 of 4 questions no pack is known.\n"
        );
    }
}
