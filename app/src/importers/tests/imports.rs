//! Whole imports into a store.

use std::io::Seek;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use trivia_domain::model::UserId;

use super::super::Progress;
use super::*;

/// A folder with one file of each format, and what is no question file.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("a.json", OPENTDB.as_bytes());
    write("deep/b-c", OPENTRIVIAQA);
    write("own.jsonl", JSONL.as_bytes());
    write("strange.txt", b"What is this?");
    for aside in [".hidden", "LICENSE", "README.md", "SOURCE.txt"] {
        write(aside, JSONL.as_bytes());
    }
    folder
}

#[tokio::test]
async fn l19_every_record_of_a_folder_ends_in_one_way() {
    let (folder, store) = (folder(), store());
    let report = imported(&store, &[folder.path()], &ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [27, 12, 7, 0, 0, 15]);
    assert_eq!(stored(&store).await, 12);
    assert_eq!((said(&report, "unknown_format"), said(&report, "blanks"), said(&report, "stray_text")), (1, 3, 1));
    assert_eq!(report.diagnostics[0].code, "unknown_format", "what was left out comes first");
    assert_eq!(report.diagnostics[15].code, "invalid_json");
    assert_eq!(report.diagnostics[16].code, "blanks");
    let file = folder.path().join("deep").join("b-c").display().to_string();
    assert!(report.diagnostics.iter().any(|d| (d.file.as_str(), d.line, d.code) == (file.as_str(), 38, "stray_text")));

    let again = imported(&store, &[folder.path()], &ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&again), [27, 0, 0, 12, 0, 15], "the same files change nothing");
    assert_eq!(stored(&store).await, 12);
}

#[tokio::test]
async fn l17_another_truth_is_reported_with_both_ids_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.jsonl");
    let line = |answer| {
        format!(
            "{{\"kind\":\"true_false\",\"category\":\"A\",\"difficulty\":\"easy\",\"question\":\"So?\",\"answer\":{answer}}}\n"
        )
    };
    fs::write(&path, [line(true), line(false), line(true)].concat()).unwrap();
    let store = store();
    let report = imported(&store, &[&path], &ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [3, 2, 0, 1, 1, 0]);
    let ids: Vec<_> = store.questions().list(&QuestionFilter::default(), Page::first(9)).await.unwrap();
    let said: Vec<_> = report.diagnostics.iter().map(|d| (d.line, d.code, d.message.clone(), d.done.clone())).collect();
    let (one, two) = (ids[0].id, ids[1].id);
    let contradiction = format!("question {one} has the same text and another right answer");
    let added = format!("added as question {two}; retire the one that is wrong");
    let duplicate = (3, "duplicate", format!("it is question {one}"), "not added again".to_owned());
    assert_eq!(said, [(2, "contradiction", contradiction, added), duplicate]);
}

#[tokio::test]
async fn l19_strict_is_all_or_nothing_and_a_dry_run_is_nothing() {
    let (folder, store) = (folder(), store());
    let (bad, good) = (folder.path().join("a.json"), folder.path().join("good.jsonl"));
    fs::write(&good, JSONL.lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    let dry_run = ImportOptions { dry_run: true, ..ImportOptions::default() };

    match imported(&store, &[&good, &bad], &strict).await {
        Err(ImportError::Rejected { report }) => assert_eq!(counts(&report), [13, 6, 2, 0, 0, 7]),
        other => panic!("{other:?}"),
    }
    assert_eq!(stored(&store).await, 0);
    let report = imported(&store, &[&good, &bad, &good], &dry_run).await.unwrap();
    assert_eq!(counts(&report), [15, 6, 2, 2, 0, 7], "it sees what it would have written");
    assert_eq!(stored(&store).await, 0);
    let both = ImportOptions { dry_run: true, ..strict.clone() };
    assert!(matches!(imported(&store, &[&bad], &both).await, Err(ImportError::Rejected { .. })));
    assert_eq!(counts(&imported(&store, &[&good], &both).await.unwrap()), [2, 2, 0, 0, 0, 0]);
    assert_eq!(stored(&store).await, 0);
    assert_eq!(counts(&imported(&store, &[&good], &strict).await.unwrap()), [2, 2, 0, 0, 0, 0]);
    assert_eq!(stored(&store).await, 2);
}

#[tokio::test]
async fn l19_an_import_that_the_store_runs_again_counts_once() {
    let (folder, store) = (folder(), store());
    let steps = AtomicU64::new(0);
    let progress = |_: Progress| {
        // somebody writes meanwhile, which makes this store run a work again
        if steps.fetch_add(1, Ordering::Relaxed) == 0 {
            let other = store.users().get_or_create(UserId::new(1).unwrap());
            assert!(pin!(other).poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
    };
    let path = folder.path().join("good.jsonl");
    fs::write(&path, JSONL.lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    let journal = tempfile::tempfile().unwrap();
    let strict =
        ImportOptions { strict: true, progress: &progress, journal: Some(&journal), ..ImportOptions::default() };
    let report = imported(&store, &[&path], &strict).await.unwrap();
    assert_eq!((counts(&report), stored(&store).await), ([2, 2, 0, 0, 0, 0], 2));
    let mut journal = journal;
    journal.rewind().unwrap();
    assert_eq!(std::io::read_to_string(journal).unwrap().lines().count(), 1, "the counts, once");
    assert_eq!(steps.into_inner(), 2);
}

#[tokio::test]
async fn l19_nothing_is_written_when_a_path_is_wrong() {
    let (folder, store) = (folder(), store());
    let path = |name: &str| folder.path().join(name);
    let own = path("own.jsonl");
    let missing = imported(&store, &[&own, &path("missing")], &ImportOptions::default()).await;
    assert!(matches!(missing, Err(ImportError::Io { .. })), "{missing:?}");
    let unknown = imported(&store, &[&own, &path("strange.txt")], &ImportOptions::default()).await;
    assert!(matches!(unknown, Err(ImportError::UnknownFormat { .. })), "{unknown:?}");
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    let unknown = imported(&store, &[folder.path()], &strict).await;
    assert!(matches!(unknown, Err(ImportError::UnknownFormat { .. })), "{unknown:?}");
    let small = ImportOptions { max_file_bytes: 100, ..ImportOptions::default() };
    let large = imported(&store, &[&own], &small).await;
    assert!(matches!(large, Err(ImportError::TooLarge { max: 100, .. })), "{large:?}");
    assert_eq!(stored(&store).await, 0);

    let forced = ImportOptions { format: Some(Format::OpenTdb), ..ImportOptions::default() };
    let report = imported(&store, &[&path("strange.txt")], &forced).await.unwrap();
    assert_eq!((counts(&report), said(&report, "invalid_json")), ([1, 0, 0, 0, 0, 1], 1));
}

#[tokio::test]
async fn t12_a_long_file_goes_in_steps_and_its_report_has_an_end() {
    const LINES: u64 = 12_345;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.jsonl");
    let text = "x".repeat(1_000);
    fs::write(&path, format!("{{\"kind\":\"{text}\"}}\n").repeat(LINES as usize)).unwrap();
    let (steps, last) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |Progress { records: read, bytes, of_bytes }| {
        assert!(bytes <= of_bytes);
        steps.fetch_add(1, Ordering::Relaxed);
        assert!(read <= LINES && bytes >= last.swap(bytes, Ordering::Relaxed));
    };
    let options = ImportOptions { progress: &progress, ..ImportOptions::default() };
    let report = imported(&store(), &[&path], &options).await.unwrap();
    assert_eq!(counts(&report), [LINES, 0, 0, 0, 0, LINES]);
    assert_eq!(last.into_inner(), fs::metadata(&path).unwrap().len());
    assert!(steps.into_inner() > LINES / 2_000);
    assert_eq!(report.diagnostics.len(), 1_001);
    let end = report.diagnostics.last().unwrap();
    assert_eq!((end.code, end.message.as_str()), ("not_listed", "not listed: 11345 of invalid_question"));
    assert!(report.diagnostics.iter().all(|diagnostic| diagnostic.message.chars().count() <= 301));
}
