use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trivia_domain::Refusal;
use trivia_domain::memory::MemoryStore;
use trivia_domain::model::{Difficulty, Language, Page, QuestionContent, QuestionId};
use trivia_domain::ports::{PickRequest, QuestionFilter, RandomSource, WhenExhausted};

use super::Game;
use super::content::{category, statement_of};
use super::game::refusal;
use super::picking::{channel, new_for, of, set, wanted};

fn language(tag: &str) -> Language {
    Language::new(tag).unwrap()
}

fn in_language(tag: &str) -> QuestionFilter {
    QuestionFilter { language: Some(language(tag)), ..QuestionFilter::default() }
}

fn said_in(tag: &str, stem: &str, name: &str, difficulty: Difficulty) -> QuestionContent {
    statement_of(stem, name, difficulty).with_language(language(tag))
}

/// Sixty questions in the same groups of three languages, with gaps; their ids by language.
async fn in_three_languages(game: &Game) -> BTreeMap<&'static str, Vec<QuestionId>> {
    let mut ids = BTreeMap::<_, Vec<_>>::new();
    for n in 0..80 {
        let tag = ["is", "en", "is", "pt-br"][n % 4];
        let (name, difficulty) = if n % 3 == 0 { ("Art", Difficulty::Easy) } else { ("Nature", Difficulty::Hard) };
        let id = game.add(said_in(tag, &format!("Said {n}"), name, difficulty)).await;
        if n % 8 > 5 || n % 16 == 0 {
            game.store.questions().retire(id).await.unwrap();
        } else {
            ids.entry(tag).or_default().push(id);
        }
    }
    ids
}

pub(crate) async fn l18_a_game_in_one_language_is_asked_no_other(game: Game) {
    let ids = in_three_languages(&game).await;
    for (tag, ids) in &ids {
        let size = u32::try_from(ids.len()).unwrap();
        let request = PickRequest { filter: in_language(tag), ..wanted(size, 5) };
        assert_eq!(set(&game.pick(&request).await), set(ids), "{tag}");
        let more = PickRequest { count: size + 1, ..request.clone() };
        let refused = refusal(game.store.questions().pick(&more).await);
        assert_eq!(refused, Refusal::NotEnoughQuestions { available: size.into(), wanted: (size + 1).into() });
        // without repeats it is the same, and what is left in others does not help
        let scoped = |count, seed| PickRequest {
            filter: in_language(tag),
            ..new_for(channel(7), WhenExhausted::Error, count, seed)
        };
        let mut picked = game.pick(&scoped(size - 2, 1)).await;
        picked.extend(game.pick(&scoped(2, 2)).await);
        assert_eq!(set(&picked), set(ids), "{tag}");
        let refused = refusal(game.store.questions().pick(&scoped(1, 3)).await);
        assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 1 });
        // lists have retired ones, too
        let listed = game.store.questions().list(&in_language(tag), Page::first(1_000)).await.unwrap();
        assert!(listed.iter().all(|question| question.content.language().as_str() == *tag));
        let open = listed.iter().filter(|question| question.retired_at.is_none()).map(|question| question.id);
        assert_eq!(open.collect::<Vec<_>>(), *ids);
    }
    let all: BTreeSet<_> = ids.values().flatten().copied().collect();
    assert_eq!(game.pickable().await, all, "any language is all of them");
    let art = QuestionFilter { category: Some(category("Art")), ..in_language("is") };
    let some = PickRequest { filter: art, ..wanted(3, 1) };
    for question in game.store.questions().pick(&some).await.unwrap() {
        assert_eq!((question.content.language().as_str(), question.content.category().as_str()), ("is", "Art"));
    }
    let nothing = PickRequest { filter: in_language("pt"), ..wanted(1, 1) };
    let refused = refusal(game.store.questions().pick(&nothing).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 1 });
    let sizes: BTreeMap<_, u64> =
        game.store.questions().groups().await.unwrap().into_iter().fold(BTreeMap::new(), |mut sizes, group| {
            *sizes.entry(group.language.to_string()).or_default() += group.size;
            sizes
        });
    assert_eq!(sizes, ids.iter().map(|(tag, ids)| ((*tag).to_owned(), ids.len() as u64)).collect());
}

pub(crate) async fn l18_picks_of_a_language_are_uniform(game: Game) {
    let ids = &in_three_languages(&game).await["is"];
    let (calls, count) = (1_000_u32, 3_u32);
    let mut drawn: BTreeMap<QuestionId, f64> = ids.iter().map(|id| (*id, 0.0)).collect();
    for seed in 0..calls {
        for id in game.pick(&PickRequest { filter: in_language("is"), ..wanted(count, seed.into()) }).await {
            *drawn.get_mut(&id).expect("another language is not picked") += 1.0;
        }
    }
    let size = f64::from(u32::try_from(ids.len()).unwrap());
    let expected = f64::from(calls * count) / size;
    let sum: f64 = drawn.values().map(|drawn| (drawn - expected).powi(2) / expected).sum();
    let chi_square = sum * (size - 1.0) / (size - f64::from(count));
    // fewer than 40 degrees of freedom: one honest source in ten thousand is above 80
    assert!(ids.len() <= 40 && chi_square < 80.0, "{chi_square}: {drawn:?}");
}

pub(crate) async fn l18_every_store_draws_the_same_of_a_language(game: Game) {
    let mut reference = game.clone();
    reference.store = Arc::new(MemoryStore::new(game.clock.clone(), game.random.clone()));
    let mut drawn = Vec::new();
    for game in [&game, &reference] {
        let ids = in_three_languages(game).await;
        let moved = said_in("is", "Moved", "Art", Difficulty::Easy);
        game.store.questions().update(ids["en"][0], moved).await.unwrap();
        let mut picks = Vec::new();
        for seed in 0..30 {
            let filters = [in_language("is"), in_language("en"), of("Art"), QuestionFilter::default()];
            for filter in filters {
                picks.push(
                    game.pick(&PickRequest { filter, exclude: ids["is"][..3].to_vec(), ..wanted(6, seed) }).await,
                );
            }
        }
        drawn.push(picks);
    }
    assert_eq!(drawn[0], drawn[1]);
}

pub(crate) async fn groups_of_languages_stay_dense(game: Game) {
    const TAGS: [&str; 4] = ["en", "is", "de", "pt-br"];
    let ids = game.statements(12).await;
    let mut expected: BTreeMap<QuestionId, Option<usize>> = ids.iter().map(|id| (*id, Some(0))).collect();
    let mut tags = [0; 12];
    for round in 0..150 {
        let at = usize::try_from(game.random.next_u64() % 12).unwrap();
        let (id, questions) = (ids[at], game.store.questions());
        if round % 3 == 0 {
            tags[at] = usize::try_from(game.random.next_u64() % 4).unwrap();
            let content = said_in(TAGS[tags[at]], &format!("Round {round}"), "General", Difficulty::Easy);
            questions.update(id, content).await.unwrap();
        } else if expected[&id].is_some() {
            questions.retire(id).await.unwrap();
        } else {
            questions.restore(id).await.unwrap();
        }
        let is_open = questions.get(id).await.unwrap().retired_at.is_none();
        expected.insert(id, is_open.then_some(tags[at]));
        for (number, tag) in TAGS.into_iter().enumerate() {
            let open: BTreeSet<_> =
                expected.iter().filter(|(_, language)| **language == Some(number)).map(|(id, _)| *id).collect();
            let size = u32::try_from(open.len()).unwrap();
            let picked = game.pick(&PickRequest { filter: in_language(tag), ..wanted(size, round) }).await;
            assert_eq!(set(&picked), open, "{tag}");
        }
    }
}
