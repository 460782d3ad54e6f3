//! Numbers of real question files, which lie outside of the repository.

use trivia_domain::model::QuestionKind;

use super::*;

/// A folder of public question sets; the test says so when it is not there.
fn public(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/questions").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[tokio::test]
async fn l19_the_open_trivia_database_comes_in_whole() {
    let Some(path) = public("opentdb") else { return };
    let store = store();
    let report = imported(&store, &[&path], &ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [5_250, 5_249, 290, 1, 1, 0]);
    assert_eq!((said(&report, "blanks"), report.diagnostics.len()), (290, 292));
    let duplicate = report.diagnostics.iter().find(|diagnostic| diagnostic.code == "duplicate").unwrap();
    assert_eq!((duplicate.line, duplicate.message.as_str()), (1, "record 2968: it is question 2296"));
    for question in store.questions().list(&QuestionFilter::default(), Page::first(u32::MAX)).await.unwrap() {
        let decoded = html_escape::decode_html_entities(question.content.text());
        assert_eq!(decoded, question.content.text(), "no entity is left");
    }
}

#[tokio::test]
async fn l19_opentriviaqa_comes_in_whole() {
    let Some(path) = public("opentriviaqa") else { return };
    let store = store();
    let report = imported(&store, &[&path], &ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [49_716, 49_203, 3_841, 513, 4, 0]);
    assert_eq!((said(&report, "duplicate"), said(&report, "contradiction")), (513, 4));
    assert_eq!((said(&report, "empty_option"), said(&report, "equal_options"), said(&report, "encoding")), (4, 24, 37));
    let groups = store.questions().groups().await.unwrap();
    let statements = groups.iter().filter(|group| group.kind == QuestionKind::TrueFalse);
    assert_eq!(statements.map(|group| group.size).sum::<u64>(), 5_868, "5,882 with 14 duplicates");
}
