//! Tags and packs that files name.

use trivia_domain::model::{Labels, Pack, PackName, PackPart, QuestionId};

use super::*;

fn name(text: &str) -> PackName {
    PackName::new(text).unwrap()
}

/// Tags and packs, each as one text.
fn shown(labels: &Labels) -> (String, String) {
    let tags: Vec<_> = labels.tags.iter().map(ToString::to_string).collect();
    let packs: Vec<_> = labels.packs.iter().map(ToString::to_string).collect();
    (tags.join("|"), packs.join("|"))
}

/// The labels of each question of a file, and whether one was left out.
fn labels(format: Format, bytes: &[u8]) -> Vec<(String, String, bool)> {
    let of = |(_, parsed)| match parsed {
        Parsed::Ok { labels, fixes, .. } => {
            let (tags, packs) = shown(&labels);
            Some((tags, packs, fixes.contains(&Fix::Label)))
        }
        _ => None,
    };
    records(format, bytes).into_iter().filter_map(of).collect()
}

fn expected<const N: usize>(all: [(&str, &str, bool); N]) -> Vec<(String, String, bool)> {
    all.map(|(tags, packs, left_out)| (tags.to_owned(), packs.to_owned(), left_out)).to_vec()
}

/// What files say about packs.
fn packs(format: Format, bytes: &[u8]) -> Vec<(u64, Pack)> {
    let pack = |(line, parsed)| match parsed {
        Parsed::Pack(pack) => Some((line, pack)),
        _ => None,
    };
    records(format, bytes).into_iter().filter_map(pack).collect()
}

fn line(number: u32, more: &str) -> String {
    format!(
        "{{\"kind\":\"true_false\",\"category\":\"A\",\"difficulty\":\"easy\",\"question\":\"No {number}?\",\"answer\":true{more}}}\n"
    )
}

#[test]
fn json_lines_name_tags_and_packs() {
    let file = [
        line(1, ""),
        line(2, r#","tags":["B","a","b"],"packs":["One","two"]"#),
        "{\"pack\":{\"name\":\"Three\",\"licence\":\"CC0-1.0\"}}\n".to_owned(),
        line(3, r#","tags":"x; y,z""#),
        line(4, r#","packs":[]"#),
        line(5, r#","packs":["one"],"tags":null"#),
        line(6, r#","tags":[7,"ok",""],"packs":["a b"]"#),
        "{\"pack\":{\"name\":\"\"}}\n{\"pack\":7}\n".to_owned(),
        line(7, ""),
    ];
    let file = file.concat();
    let three = Pack::new(name("three")).with(PackPart::Licence, "CC0-1.0").unwrap();
    assert_eq!(packs(Format::Jsonl, file.as_bytes()), [(3, three)]);
    assert_eq!(
        labels(Format::Jsonl, file.as_bytes()),
        expected([
            ("", "", false),
            ("a|b", "one|two", false),
            ("x|y|z", "three", false),
            ("", "", false),
            ("", "one", false),
            ("ok", "", true),
            ("", "three", false),
        ])
    );
    let codes: Vec<_> = summary(Format::Jsonl, file.as_bytes()).into_iter().filter_map(|(_, end)| end.err()).collect();
    assert_eq!(codes, ["pack", "invalid_pack", "invalid_pack"]);
    assert_eq!(Format::detect(b"{ \"pack\": {\"name\": \"a\"}}\n"), Some(Format::Jsonl));
}

#[test]
fn tables_have_columns_of_tags_and_packs() {
    let long = "x".repeat(51);
    let file =
        format!("question,answer,tags,tag 2,pack\na?,b,\"One; two,ONE\",three,p; Q\nc?,d,{long},,no pack\ne?,f,,,\n");
    let all = expected([("one|three|two", "p|q", false), ("", "", true), ("", "", false)]);
    assert_eq!(labels(Format::Csv, file.as_bytes()), all);
}

#[test]
fn moodle_and_gift_have_tags() {
    let file = "<quiz><question type=\"truefalse\"><questiontext><text>So?</text></questiontext>\
        <answer fraction=\"100\"><text>true</text></answer><answer fraction=\"0\"><text>false</text></answer>\
        <tags><tag><text>Trees &amp; Moss</text></tag><tag><text><![CDATA[a;b]]></text></tag><tag/></tags></question>\
        <question type=\"truefalse\"><questiontext><text>No?</text></questiontext>\
        <answer fraction=\"100\"><text>true</text></answer><answer fraction=\"0\"><text>false</text></answer>\
        </question></quiz>";
    let all = expected([("a|b|trees & moss", "", false), ("", "", false)]);
    assert_eq!(labels(Format::MoodleXml, file.as_bytes()), all);
    let file = "// [id:7] [tag:One] [tag: two words]\nSo? {T}\n\nNo? {F}\n";
    assert_eq!(labels(Format::Gift, file.as_bytes()), expected([("one|two words", "", false), ("", "", false)]));
}

#[test]
fn a_list_that_says_who_wrote_it_is_a_pack() {
    let file = "What?: [a]\nAUTHOR:\n- Me\n- You\n? [odd]\n: b\nWho?: [b]\nDESCRIPTION: |\n  All about\n  it\nCONFIG: {a: b}\n";
    let pack = Pack::new(name("some-file"));
    let pack = pack.with(PackPart::Author, "Me, You").unwrap().with(PackPart::Title, "All about it").unwrap();
    assert_eq!(packs(Format::Redbot, file.as_bytes()), [(1, pack)]);
    let all = expected([("", "some-file", false), ("", "some-file", false)]);
    assert_eq!(labels(Format::Redbot, file.as_bytes()), all, "also the questions before it");
    let silent = b"What?: [a]\nAUTHOR: \"\"\n";
    assert_eq!((packs(Format::Redbot, silent), labels(Format::Redbot, silent)), (vec![], expected([("", "", false)])));
    let long = format!("AUTHOR: \"a\\0{}\"\nWhat?: [a]\n", "é".repeat(5_000));
    let author = packs(Format::Redbot, long.as_bytes()).remove(0).1;
    assert_eq!(author.part(PackPart::Author).unwrap().chars().count(), 200);
}

/// What the store knows of packs and of the labels of all questions.
async fn known(store: &MemoryStore) -> (Vec<(Pack, u64)>, Vec<(String, String)>) {
    let listed = store.packs().list().await.unwrap().into_iter().map(|listed| (listed.pack, listed.questions));
    let questions = store.questions().list(&QuestionFilter::default(), Page::first(u32::MAX)).await.unwrap();
    let ids: Vec<QuestionId> = questions.iter().map(|question| question.id).collect();
    let labels = store.questions().labels(&ids).await.unwrap();
    (listed.collect(), ids.iter().map(|id| labels.get(id).map(shown).unwrap_or_default()).collect())
}

fn said(text: &str) -> ImportOptions<'static> {
    let pack = Some(serde_json::from_str(text).unwrap());
    ImportOptions { assumed: Assumed { pack, ..Assumed::default() }, ..ImportOptions::default() }
}

#[tokio::test]
async fn l19_an_import_notes_packs_once_and_keeps_what_is_known() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let own = write("own.jsonl", format!("{}{}", line(1, r#","tags":["t"]"#), line(2, r#","packs":["other"]"#)));
    let list = write("List.yaml", "AUTHOR: Me\nNo 1?: [x]\n".to_owned());
    let options = said(r#"{"name":"mine","licence":"CC0-1.0"}"#);
    let mut before = None;
    for _ in 0..2 {
        let report = imported(&store, &[&own, &list], &options).await.unwrap();
        assert_eq!(report.packs, [(name("mine"), 3), (name("other"), 1)].into());
        let now = known(&store).await;
        assert_eq!(*before.get_or_insert_with(|| now.clone()), now, "again it changes nothing");
    }
    let mine: Pack = serde_json::from_str(r#"{"name":"mine","author":"Me","licence":"CC0-1.0"}"#).unwrap();
    let questions = [("t", "mine"), ("", "mine|other"), ("", "mine")].map(|(t, p)| (t.to_owned(), p.to_owned()));
    assert_eq!(before.unwrap(), (vec![(mine, 3), (Pack::new(name("other")), 1)], questions.to_vec()));

    // what is said goes before what is known, and that before what a file says
    let other = write("other.yaml", "AUTHOR: Somebody\nNo 9?: [x]\n".to_owned());
    let report = imported(&store, &[&other], &said(r#"{"name":"mine","licence":"CC-BY-4.0"}"#)).await.unwrap();
    assert_eq!(report.diagnostics.iter().filter(|diagnostic| diagnostic.code == "pack_differs").count(), 1);
    let pack = store.packs().get(&name("mine")).await.unwrap();
    assert_eq!((pack.part(PackPart::Author), pack.part(PackPart::Licence)), (Some("Me"), Some("CC-BY-4.0")));
    // a question that is there already belongs to both
    let report = imported(&store, &[&own], &said(r#"{"name":"second"}"#)).await.unwrap();
    assert_eq!((report.total.accepted, report.total.duplicates), (0, 2));
    assert_eq!(known(&store).await.1[0], ("t".to_owned(), "mine|second".to_owned()));
}

#[tokio::test]
async fn l19_what_is_not_written_leaves_no_packs() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let path = folder.path().join("own.jsonl");
    let file = format!("{{\"pack\":{{\"name\":\"file\"}}}}\n{}nonsense\n", line(1, r#","tags":["t"]"#));
    fs::write(&path, file).unwrap();
    let options = said(r#"{"name":"mine"}"#);
    let dry_run = ImportOptions { dry_run: true, ..options.clone() };
    let report = imported(&store, &[&path], &dry_run).await.unwrap();
    assert_eq!(report.packs, [(name("file"), 1), (name("mine"), 1)].into(), "it says what it would have noted");
    let strict = ImportOptions { strict: true, ..options.clone() };
    assert!(matches!(imported(&store, &[&path], &strict).await, Err(ImportError::Rejected { .. })));
    assert_eq!(known(&store).await, (vec![], vec![]));
    // a file without a question says nothing about the pack that the caller names
    fs::write(&path, "nonsense\n").unwrap();
    let forced = ImportOptions { format: Some(Format::Jsonl), ..options };
    imported(&store, &[&path], &forced).await.unwrap();
    assert_eq!(known(&store).await, (vec![], vec![]));
}
