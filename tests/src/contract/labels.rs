use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trivia_domain::StoreError;
use trivia_domain::memory::MemoryStore;
use trivia_domain::model::{Difficulty, Labels, Pack, PackName, PackPart, Page, QuestionId, Tag};
use trivia_domain::ports::{
    AddOutcome, PickOwner, PickRequest, PickScope, QuestionFilter, Repositories, WhenExhausted, execute,
};
use trivia_domain::{Refusal, StoreResult};

use super::Game;
use super::content::{category, statement, statement_of};
use super::game::{WorkFuture, assert_conflict, assert_missing, channel_id, question_id, refusal, together, work};

fn name(text: &str) -> PackName {
    PackName::new(text).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

fn pack(text: &str) -> Pack {
    Pack::new(name(text))
}

fn labels(tags: &[&str], packs: &[&str]) -> Labels {
    Labels { tags: tags.iter().copied().map(tag).collect(), packs: packs.iter().copied().map(name).collect() }
}

fn tagged(text: &str) -> QuestionFilter {
    QuestionFilter { tag: Some(tag(text)), ..QuestionFilter::default() }
}

fn packed(text: &str) -> QuestionFilter {
    QuestionFilter { pack: Some(name(text)), ..QuestionFilter::default() }
}

impl Game {
    async fn put(&self, names: &[&str]) {
        for text in names {
            self.store.packs().put(pack(text)).await.unwrap();
        }
    }

    async fn label(&self, id: QuestionId, added: Labels) {
        self.store.questions().label(vec![(id, added)]).await.unwrap();
    }

    async fn labels_of(&self, id: QuestionId) -> Labels {
        self.store.questions().labels(&[id]).await.unwrap().remove(&id).unwrap_or_default()
    }

    async fn sizes(&self) -> BTreeMap<String, u64> {
        let packs = self.store.packs().list().await.unwrap();
        packs.into_iter().map(|listed| (listed.pack.name().to_string(), listed.questions)).collect()
    }

    async fn drawn(&self, request: &PickRequest) -> Vec<QuestionId> {
        self.store.questions().pick(request).await.unwrap().into_iter().map(|question| question.id).collect()
    }

    async fn listed(&self, filter: &QuestionFilter, limit: u32) -> Vec<QuestionId> {
        let (mut seen, mut page) = (Vec::new(), Page::first(limit));
        loop {
            let questions = self.store.questions().list(filter, page).await.unwrap();
            assert!(questions.len() <= limit as usize);
            let Some(last) = questions.last() else { return seen };
            page = Page::after(last.id.get(), limit);
            seen.extend(questions.iter().map(|question| question.id));
        }
    }
}

pub(crate) async fn missing_packs_are_missing(game: Game) {
    assert_eq!(game.store.packs().find(&name("none")).await.unwrap(), None);
    assert_missing(game.store.packs().get(&name("none")).await, "pack");
    assert_eq!(game.store.packs().list().await.unwrap(), []);
    let id = game.add(statement("One", true)).await;
    assert_eq!(game.store.questions().labels(&[id, question_id(99)]).await.unwrap(), BTreeMap::new());
    assert_eq!(game.listed(&packed("none"), 10).await, []);
    assert_eq!(game.listed(&tagged("none"), 10).await, []);
}

pub(crate) async fn a_pack_reads_back_whole_and_can_change(game: Game) {
    let whole = PackPart::ALL
        .into_iter()
        .fold(pack("quiz"), |pack, part| pack.with(part, &format!("{part} 'of' \"Pelé\" 🎯\nline")).unwrap());
    for written in
        [whole.clone(), whole.clone(), pack("quiz"), pack("quiz").with(PackPart::Licence, "CC0-1.0").unwrap()]
    {
        game.store.packs().put(written.clone()).await.unwrap();
        assert_eq!(game.store.packs().get(&name("Quiz")).await.unwrap(), written);
    }
    let id = game.add(statement("One", true)).await;
    game.label(id, labels(&[], &["quiz"])).await;
    game.store.packs().put(whole.clone()).await.unwrap();
    assert_eq!(game.store.packs().find(&name("quiz")).await.unwrap(), Some(whole));
    assert_eq!(game.labels_of(id).await, labels(&[], &["quiz"]), "its questions stay");
}

pub(crate) async fn packs_are_listed_by_name_with_their_sizes(game: Game) {
    game.put(&["b", "c", "a"]).await;
    let ids = game.statements(5).await;
    for (id, packs) in ids.iter().zip([&["a", "b"][..], &["b"], &["b"], &[], &["a"]]) {
        game.label(*id, labels(&[], packs)).await;
    }
    game.store.questions().retire(ids[0]).await.unwrap();
    let listed: Vec<_> =
        game.store.packs().list().await.unwrap().into_iter().map(|one| (one.pack, one.questions)).collect();
    assert_eq!(listed, [(pack("a"), 2), (pack("b"), 3), (pack("c"), 0)]);
}

pub(crate) async fn labels_are_added_and_stay(game: Game) {
    game.put(&["first", "second"]).await;
    let ids = game.statements(3).await;
    let all = vec![
        (ids[0], labels(&["One", "two"], &["first"])),
        (ids[1], labels(&["one"], &[])),
        // twice in a list, and nothing at all
        (ids[0], labels(&["two", "three"], &["second", "first"])),
        (ids[2], Labels::default()),
    ];
    for _ in 0..2 {
        game.store.questions().label(all.clone()).await.unwrap();
        let found = game.store.questions().labels(&ids).await.unwrap();
        let expected = BTreeMap::from([
            (ids[0], labels(&["one", "two", "three"], &["first", "second"])),
            (ids[1], labels(&["one"], &[])),
        ]);
        assert_eq!(found, expected);
    }
    game.label(ids[1], labels(&[], &["second"])).await;
    assert_eq!(game.labels_of(ids[1]).await, labels(&["one"], &["second"]));
    assert_eq!(game.sizes().await, BTreeMap::from([("first".to_owned(), 1), ("second".to_owned(), 2)]));
}

pub(crate) async fn labels_are_added_all_or_none(game: Game) {
    game.put(&["known"]).await;
    let id = game.add(statement("One", true)).await;
    for (wrong, entity) in [
        (vec![(id, labels(&["a"], &["known"])), (id, labels(&[], &["unknown"]))], "pack"),
        (vec![(id, labels(&["a"], &["known"])), (question_id(99), labels(&["a"], &[]))], "question"),
        (vec![(question_id(99), labels(&[], &["known"]))], "question"),
        (vec![(question_id(99), Labels::default())], "question"),
    ] {
        assert_missing(game.store.questions().label(wrong).await, entity);
        assert_eq!(game.labels_of(id).await, Labels::default());
    }
    assert_missing(game.store.questions().set_tags(question_id(99), BTreeSet::new()).await, "question");
}

pub(crate) async fn tags_are_replaced_as_a_whole(game: Game) {
    game.put(&["known"]).await;
    let id = game.add(statement("One", true)).await;
    game.label(id, labels(&["old", "both"], &["known"])).await;
    for tags in [&["both", "new"][..], &["both", "new"], &[], &["late"]] {
        let tags = labels(tags, &["known"]);
        game.store.questions().set_tags(id, tags.tags.clone()).await.unwrap();
        assert_eq!(game.labels_of(id).await, tags);
    }
    assert_eq!(game.listed(&tagged("old"), 10).await, []);
}

pub(crate) async fn l17_labels_are_no_part_of_the_content(game: Game) {
    game.put(&["known"]).await;
    let id = game.add(statement("One", true)).await;
    let before = game.store.questions().get(id).await.unwrap();
    let added = labels(&["a", "b"], &["known"]);
    game.label(id, added.clone()).await;
    assert_eq!(game.store.questions().get(id).await.unwrap(), before, "no other version");
    let again = game.store.questions().add(vec![statement("one", true)]).await.unwrap();
    assert_eq!(again, [AddOutcome::Duplicate { of: id }]);
    game.store.questions().update(id, statement_of("Changed", "Elsewhere", Difficulty::Hard)).await.unwrap();
    game.store.questions().retire(id).await.unwrap();
    assert_eq!(game.labels_of(id).await, added);
    assert_eq!(game.listed(&tagged("a"), 10).await, [id], "retired ones are listed");
    game.store.questions().restore(id).await.unwrap();
    assert_eq!(game.labels_of(id).await, added);
}

/// Sixteen questions with gaps: every second is tagged `even`, every third in pack `third`.
async fn labelled(game: &Game) -> Vec<QuestionId> {
    game.put(&["third", "empty"]).await;
    let mut ids = Vec::new();
    for n in 0..20 {
        let (group, difficulty) = if n % 4 < 2 { ("Art", Difficulty::Easy) } else { ("Zoo", Difficulty::Hard) };
        let id = game.add(statement_of(&format!("Labelled {n}"), group, difficulty)).await;
        if n % 2 == 0 {
            game.label(id, labels(&["Even"], &[])).await;
        }
        if n % 3 == 0 {
            game.label(id, labels(&["x"], &["third"])).await;
        }
        ids.push(id);
    }
    for at in [2, 3, 12, 17] {
        game.store.questions().retire(ids[at]).await.unwrap();
    }
    ids
}

pub(crate) async fn questions_are_listed_by_label(game: Game) {
    let ids = labelled(&game).await;
    let art = QuestionFilter { category: Some(category("Art")), ..tagged("even") };
    let both = QuestionFilter { pack: Some(name("third")), ..tagged("even") };
    for (filter, expected) in [
        (tagged("EVEN"), &[0, 2, 4, 6, 8, 10, 12, 14, 16, 18][..]),
        (packed("third"), &[0, 3, 6, 9, 12, 15, 18]),
        (art, &[0, 4, 8, 12, 16]),
        (both, &[0, 6, 12, 18]),
        (packed("empty"), &[]),
        (tagged("eve"), &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|at| ids[*at]).collect();
        for limit in [1, 3, 100] {
            assert_eq!(game.listed(&filter, limit).await, expected, "{filter:?} in pages of {limit}");
        }
    }
}

fn request(filter: QuestionFilter, count: u32, seed: u64) -> PickRequest {
    PickRequest { filter, count, exclude: Vec::new(), seed, scope: None }
}

fn for_channel(id: i64, exhausted: WhenExhausted) -> Option<PickScope> {
    Some(PickScope { of: PickOwner::Channel(channel_id(id)), exhausted })
}

pub(crate) async fn l18_a_pick_follows_its_labels(game: Game) {
    let ids = labelled(&game).await;
    let at = |places: &[usize]| places.iter().map(|at| ids[*at]).collect::<BTreeSet<_>>();
    let even_art = QuestionFilter { category: Some(category("Art")), ..tagged("even") };
    let both = QuestionFilter { pack: Some(name("third")), ..tagged("even") };
    for (filter, open) in [
        (tagged("even"), &[0, 4, 6, 8, 10, 14, 16, 18][..]),
        (packed("third"), &[0, 6, 9, 15, 18]),
        (even_art, &[0, 4, 8, 16]),
        (both, &[0, 6, 18]),
        (packed("empty"), &[]),
        (tagged("none"), &[]),
    ] {
        let size = u32::try_from(open.len()).unwrap();
        for seed in 0..5 {
            let drawn = game.drawn(&request(filter.clone(), size, seed)).await;
            assert_eq!(drawn.len(), open.len(), "each at most once");
            assert_eq!(drawn.iter().copied().collect::<BTreeSet<_>>(), at(open), "{filter:?}");
            assert_eq!(game.drawn(&request(filter.clone(), size, seed)).await, drawn, "the same seed draws the same");
        }
        let refused = refusal(game.store.questions().pick(&request(filter, size + 1, 1)).await);
        let (available, wanted) = (size.into(), u64::from(size) + 1);
        assert_eq!(refused, Refusal::NotEnoughQuestions { available, wanted });
    }
    // what is excluded counts only where it matches
    let exclude = vec![ids[0], ids[0], ids[1], ids[2], ids[6], question_id(999)];
    let third = PickRequest { exclude, ..request(packed("third"), 3, 3) };
    assert_eq!(game.drawn(&third).await.into_iter().collect::<BTreeSet<_>>(), at(&[9, 15, 18]));
    let refused = refusal(game.store.questions().pick(&PickRequest { count: 4, ..third }).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 3, wanted: 4 });
}

pub(crate) async fn l18_picks_by_label_are_uniform(game: Game) {
    labelled(&game).await;
    let mut drawn: BTreeMap<QuestionId, f64> = BTreeMap::new();
    let (draws, count) = (2_000_u64, 2);
    for seed in 0..draws {
        for id in game.drawn(&request(tagged("even"), count, seed)).await {
            *drawn.entry(id).or_default() += 1.0;
        }
    }
    assert_eq!(drawn.len(), 8);
    let expected = draws as f64 * f64::from(count) / 8.0;
    let sum: f64 = drawn.values().map(|drawn| (drawn - expected).powi(2) / expected).sum();
    // without putting back the spread is smaller
    let chi_square = sum * 7.0 / f64::from(8 - count);
    // 7 degrees of freedom: one honest source in ten thousand is above 29.9
    assert!(chi_square < 29.9, "{chi_square}: {drawn:?}");
}

pub(crate) async fn l18_labels_and_scopes_go_together(game: Game) {
    let ids = labelled(&game).await;
    let scope = |exhausted| for_channel(1, exhausted);
    let third =
        |exhausted, count, seed| PickRequest { scope: scope(exhausted), ..request(packed("third"), count, seed) };
    let first = game.drawn(&third(WhenExhausted::Error, 3, 1)).await;
    let refused = refusal(game.store.questions().pick(&third(WhenExhausted::Error, 3, 2)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 2, wanted: 3 });
    // a pick by label and one without share one memory
    let rest = PickRequest { scope: scope(WhenExhausted::Error), ..request(QuestionFilter::default(), 13, 3) };
    let rest = game.drawn(&rest).await;
    assert!(first.iter().all(|id| !rest.contains(id)));
    let refused = refusal(game.store.questions().pick(&third(WhenExhausted::Error, 1, 4)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 1 });
    let again = game.drawn(&third(WhenExhausted::ReuseOldest, 3, 5)).await;
    assert_eq!(again, first, "the oldest first");
    // a reset forgets what has the label and nothing else
    let all = game.drawn(&third(WhenExhausted::Reset, 5, 6)).await;
    assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), [0, 6, 9, 15, 18].map(|at| ids[at]).into());
    let even = PickRequest { scope: scope(WhenExhausted::Error), ..request(tagged("even"), 1, 7) };
    let refused = refusal(game.store.questions().pick(&even).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 1 });
}

/// Picks by label with changes between them.
async fn picks_by_label(game: &Game) -> Vec<Vec<QuestionId>> {
    let ids = labelled(game).await;
    let filters = [
        tagged("even"),
        packed("third"),
        QuestionFilter { pack: Some(name("third")), ..tagged("even") },
        QuestionFilter { difficulty: Some(Difficulty::Hard), ..tagged("even") },
        QuestionFilter::default(),
    ];
    let policies = [WhenExhausted::Error, WhenExhausted::ReuseOldest, WhenExhausted::Reset];
    let mut picks = Vec::new();
    for seed in 0..60_u64 {
        let at = usize::try_from(seed).unwrap();
        let scope = if seed % 5 == 4 { None } else { for_channel(seed as i64 % 2, policies[at % 3]) };
        let exclude = if seed % 7 == 0 { ids[..4].to_vec() } else { Vec::new() };
        let request = PickRequest { scope, exclude, ..request(filters[at / 2 % 5].clone(), 2, seed) };
        match game.store.questions().pick(&request).await {
            Ok(questions) => picks.push(questions.iter().map(|question| question.id).collect()),
            Err(error) => assert!(matches!(error, StoreError::Refused(Refusal::NotEnoughQuestions { .. })), "{error}"),
        }
        game.store.questions().retire(ids[at % 20]).await.unwrap();
        game.store.questions().restore(ids[at * 7 % 20]).await.unwrap();
        if seed % 6 == 0 {
            let tags = if seed % 4 == 0 { labels(&["even"], &[]) } else { labels(&[], &[]) };
            game.store.questions().set_tags(ids[at * 3 % 20], tags.tags).await.unwrap();
            game.label(ids[at * 5 % 20], labels(&[], &["third"])).await;
        }
    }
    picks
}

pub(crate) async fn l18_every_store_picks_the_same_by_label(game: Game) {
    let mut reference = game.clone();
    reference.store = Arc::new(MemoryStore::new(game.clock.clone(), game.random.clone()));
    let picks = picks_by_label(&game).await;
    assert!(picks.len() > 30, "{} picks", picks.len());
    assert_eq!(picks, picks_by_label(&reference).await);
}

/// Adds a question to a pack, both or neither.
async fn add_to(store: &dyn Repositories, stem: &str, added: Labels) -> StoreResult<QuestionId> {
    store.packs().put(pack("works")).await?;
    let id = match store.questions().add(vec![statement(stem, true)]).await?[..] {
        [AddOutcome::Added { id } | AddOutcome::Duplicate { of: id }] => id,
        ref other => panic!("{other:?}"),
    };
    store.questions().label(vec![(id, added)]).await?;
    Ok(id)
}

pub(crate) async fn l2_questions_and_their_labels_come_together(game: Game) {
    let broken = work(|uow| -> WorkFuture<'_, ()> {
        Box::pin(async move {
            let id = add_to(uow, "Broken", labels(&["a"], &["works"])).await?;
            assert_eq!(uow.questions().labels(&[id]).await?.len(), 1, "a work sees its own labels");
            assert_eq!(uow.questions().list(&tagged("a"), Page::first(5)).await?.len(), 1);
            Err(StoreError::conflict("question", id))
        })
    });
    assert_conflict(execute(game.store.as_ref(), &broken).await);
    let unknown =
        work(|uow| -> WorkFuture<'_, QuestionId> { Box::pin(add_to(uow, "Broken", labels(&[], &["other"]))) });
    assert_missing(execute(game.store.as_ref(), &unknown).await, "pack");
    assert_eq!(game.sizes().await, BTreeMap::new());
    assert!(game.store.questions().list(&QuestionFilter::default(), Page::first(1)).await.unwrap().is_empty());

    let good = work(|uow| -> WorkFuture<'_, QuestionId> { Box::pin(add_to(uow, "Good", labels(&["a"], &["works"]))) });
    let id = execute(game.store.as_ref(), &good).await.unwrap();
    assert_eq!(execute(game.store.as_ref(), &good).await.unwrap(), id, "one that is there already is labelled, too");
    assert_eq!(game.labels_of(id).await, labels(&["a"], &["works"]));
    assert_eq!(game.sizes().await, BTreeMap::from([("works".to_owned(), 1)]));
}

pub(crate) async fn concurrent_labels_are_united(game: Game) {
    let id = game.add(statement("One", true)).await;
    together(8, |at| {
        let game = game.clone();
        async move {
            let text = format!("pack-{}", at % 3);
            game.store.packs().put(pack(&text)).await.unwrap();
            game.label(id, labels(&[&format!("tag {at}")], &[&text])).await;
        }
    })
    .await;
    let found = game.labels_of(id).await;
    assert_eq!((found.tags.len(), found.packs.len()), (8, 3));
    assert!(game.sizes().await.values().all(|questions| *questions == 1));
}
