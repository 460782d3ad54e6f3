use std::collections::{BTreeMap, BTreeSet};

use trivia_domain::Refusal;
use trivia_domain::model::{Difficulty, QuestionId};
use trivia_domain::play::draw;
use trivia_domain::ports::{Clock, PickRequest, QuestionFilter, RandomSource};

use super::Game;
use super::content::{category, choice, statement_of};
use super::game::{question_id, refusal, together};

fn wanted(count: u32, seed: u64) -> PickRequest {
    PickRequest { filter: QuestionFilter::default(), count, exclude: Vec::new(), seed }
}

fn of(name: &str) -> QuestionFilter {
    QuestionFilter { category: Some(category(name)), ..QuestionFilter::default() }
}

impl Game {
    async fn pick(&self, request: &PickRequest) -> Vec<QuestionId> {
        self.store.questions().pick(request).await.unwrap().into_iter().map(|question| question.id).collect()
    }

    /// What can be picked, by its size and by picking all of it.
    async fn pickable(&self) -> BTreeSet<QuestionId> {
        let size: u64 = self.store.questions().groups().await.unwrap().iter().map(|group| group.size).sum();
        let all = self.pick(&wanted(u32::try_from(size).unwrap(), 3)).await;
        let different: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len(), "none is picked twice");
        different
    }
}

/// Thirty questions in three groups of different sizes, with gaps in ids and ordinals.
async fn with_gaps(game: &Game) -> Vec<QuestionId> {
    let mut ids = Vec::new();
    for n in 0..40 {
        let (name, difficulty) = match n % 8 {
            0 => ("Small", Difficulty::Hard),
            1..=2 => ("Middle", Difficulty::Easy),
            _ => ("Large", Difficulty::Medium),
        };
        ids.push(game.add(statement_of(&format!("Gap {n}"), name, difficulty)).await);
    }
    for at in (0..40).step_by(4) {
        game.store.questions().retire(ids[at]).await.unwrap();
    }
    ids.into_iter().enumerate().filter(|(at, _)| at % 4 != 0).map(|(_, id)| id).collect()
}

pub(crate) async fn l18_picks_are_uniform(game: Game) {
    let ids = with_gaps(&game).await;
    let (calls, count) = (2_000_u32, 3_u32);
    let mut drawn: BTreeMap<QuestionId, f64> = ids.iter().map(|id| (*id, 0.0)).collect();
    for seed in 0..calls {
        for id in game.pick(&wanted(count, seed.into())).await {
            *drawn.get_mut(&id).expect("retired questions are not picked") += 1.0;
        }
    }
    let size = f64::from(u32::try_from(ids.len()).unwrap());
    let expected = f64::from(calls * count) / size;
    let sum: f64 = drawn.values().map(|drawn| (drawn - expected).powi(2) / expected).sum();
    // a question is drawn once a call at most, so the counts vary a little less than independent ones
    let chi_square = sum * (size - 1.0) / (size - f64::from(count));
    // 29 degrees of freedom: one honest source in ten thousand is above 66
    assert!(chi_square < 66.0, "{chi_square}: {drawn:?}");
}

pub(crate) async fn l18_a_pick_is_repeatable_and_without_repeats(game: Game) {
    let ids = with_gaps(&game).await;
    let mut orders = BTreeSet::new();
    for seed in 0..20 {
        let first = game.pick(&wanted(10, seed)).await;
        assert_eq!(game.pick(&wanted(10, seed)).await, first, "seed {seed}");
        let different: BTreeSet<_> = first.iter().collect();
        assert_eq!(different.len(), 10);
        assert!(first.iter().all(|id| ids.contains(id)));
        orders.insert(first);
    }
    assert_eq!(orders.len(), 20, "other seeds, other picks");
    assert_eq!(game.pick(&wanted(0, 1)).await, []);
}

pub(crate) async fn l18_a_pick_follows_the_filter(game: Game) {
    with_gaps(&game).await;
    game.add(choice("Which?", &["a", "b"], "a")).await;
    for group in game.store.questions().groups().await.unwrap() {
        let filter = QuestionFilter {
            category: Some(group.category.clone()),
            difficulty: Some(group.difficulty),
            kind: Some(group.kind),
        };
        let count = u32::try_from(group.size).unwrap();
        let request = PickRequest { filter, ..wanted(count, 5) };
        let questions = game.store.questions().pick(&request).await.unwrap();
        assert_eq!(questions.len() as u64, group.size);
        for question in questions {
            assert_eq!(question.content.category(), &group.category);
            assert_eq!(question.content.difficulty(), group.difficulty);
            assert_eq!(question.content.kind(), group.kind);
            assert_eq!(game.store.questions().get(question.id).await.unwrap(), question, "the whole question");
        }
    }
}

pub(crate) async fn l18_excluded_and_retired_questions_are_not_picked(game: Game) {
    let ids = with_gaps(&game).await;
    let (exclude, rest) = ids.split_at(20);
    for seed in 0..20 {
        let request = PickRequest { exclude: exclude.to_vec(), ..wanted(10, seed) };
        let all_of_the_rest: BTreeSet<_> = game.pick(&request).await.into_iter().collect();
        assert_eq!(all_of_the_rest, rest.iter().copied().collect());
    }
}

pub(crate) async fn l18_every_store_draws_the_same(game: Game) {
    // places are counted group by group, in the order of the groups; within one, in order of arrival,
    // where the last question takes the place of one that leaves
    let mut groups = BTreeMap::<(&str, Difficulty), Vec<QuestionId>>::new();
    let mut ids = Vec::new();
    for n in 0..30 {
        let group = (["B", "A", "C"][n % 3], Difficulty::ALL[n % 2]);
        let id = game.add(statement_of(&format!("Draw {n}"), group.0, group.1)).await;
        groups.entry(group).or_default().push(id);
        ids.push((id, group));
    }
    for at in [2, 8, 9, 3, 27, 29] {
        let (id, group) = ids[at];
        game.store.questions().retire(id).await.unwrap();
        let group = groups.get_mut(&group).unwrap();
        let place = group.iter().position(|other| *other == id).unwrap();
        group.swap_remove(place);
    }
    let (restored, group) = ids[8];
    game.store.questions().restore(restored).await.unwrap();
    groups.get_mut(&group).unwrap().push(restored);
    let (moved, group) = ids[0];
    game.store.questions().update(moved, statement_of("Moved", "A", Difficulty::Medium)).await.unwrap();
    groups.get_mut(&group).unwrap().swap_remove(0);
    groups.get_mut(&("A", Difficulty::Medium)).unwrap().push(moved);

    for seed in 0..30 {
        for (filter, count, exclude) in
            [(QuestionFilter::default(), 25, vec![]), (of("A"), 4, vec![ids[1].0, ids[7].0])]
        {
            let matching = groups
                .iter()
                .filter(|((name, _), _)| filter.category.as_ref().is_none_or(|wanted| wanted.as_str() == *name));
            let places: Vec<QuestionId> = matching.flat_map(|(_, ids)| ids).copied().collect();
            let drawn = draw(places.len() as u64, seed).map(|place| places[usize::try_from(place).unwrap()]);
            let expected: Vec<_> = drawn.filter(|id| !exclude.contains(id)).take(count as usize).collect();
            assert_eq!(game.pick(&PickRequest { filter, count, exclude, seed }).await, expected, "seed {seed}");
        }
    }
}

pub(crate) async fn t10_ten_wanted_where_six_exist(game: Game) {
    let ids = game.statements(6).await;
    game.add(statement_of("Elsewhere", "Elsewhere", Difficulty::Easy)).await;
    let general = |count, exclude: &[QuestionId]| PickRequest {
        filter: of("General"),
        exclude: exclude.to_vec(),
        ..wanted(count, 1)
    };
    let elsewhere = question_id(i64::MAX);
    for (count, exclude, available) in [
        (10, vec![], 6),
        (7, vec![], 6),
        (u32::MAX, vec![], 6),
        (6, vec![ids[0]], 5),
        // one twice, one unknown, one of another category
        (5, vec![ids[0], ids[1], ids[0], elsewhere], 4),
        (1, ids.clone(), 0),
    ] {
        let result = game.store.questions().pick(&general(count, &exclude)).await;
        assert_eq!(refusal(result), Refusal::NotEnoughQuestions { available, wanted: count.into() });
    }
    assert_eq!(game.pick(&general(6, &[elsewhere])).await.len(), 6);
    let nothing = PickRequest { filter: of("Nothing"), ..wanted(1, 1) };
    let refused = refusal(game.store.questions().pick(&nothing).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 1 });
}

pub(crate) async fn groups_stay_dense_while_questions_come_and_go(game: Game) {
    let ids = game.statements(12).await;
    let mut expected: BTreeSet<_> = ids.iter().copied().collect();
    for _ in 0..200 {
        let id = ids[usize::try_from(game.random.next_u64() % 12).unwrap()];
        if expected.remove(&id) {
            game.store.questions().retire(id).await.unwrap();
        } else {
            game.store.questions().restore(id).await.unwrap();
            expected.insert(id);
        }
        assert_eq!(game.pickable().await, expected);
    }
}

pub(crate) async fn groups_stay_dense_under_concurrent_changes(game: Game) {
    let ids = game.statements(24).await;
    together(24, |at| {
        let (game, id) = (game.clone(), ids[at]);
        async move {
            for n in 0..5 {
                game.store.questions().retire(id).await.unwrap();
                let content = statement_of(&format!("Busy {at} {n}"), "Busy", Difficulty::Hard);
                game.store.questions().update(id, content).await.unwrap();
                game.store.questions().restore(id).await.unwrap();
            }
            if at % 3 == 0 {
                game.store.questions().retire(id).await.unwrap();
            }
        }
    })
    .await;
    let questions = game.all_questions().await;
    assert_eq!(questions.iter().filter(|question| question.retired_at.is_some()).count(), 8);
    let open = questions.iter().filter(|question| question.retired_at.is_none()).map(|question| question.id);
    assert_eq!(game.pickable().await, open.collect());
    assert!(questions.iter().all(|question| question.version == 6 && question.created_at == game.clock.now()));
}
