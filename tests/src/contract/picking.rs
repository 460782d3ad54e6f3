use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use trivia_domain::memory::MemoryStore;
use trivia_domain::model::{Difficulty, QuestionId};
use trivia_domain::play::draw;
use trivia_domain::ports::{
    Clock, PickOwner, PickRequest, PickScope, QuestionFilter, RandomSource, WhenExhausted, execute,
};
use trivia_domain::{Refusal, StoreError};

use super::Game;
use super::content::{category, choice, statement_of};
use super::game::{WorkFuture, assert_conflict, channel_id, question_id, refusal, together, user_id, work};

pub(super) fn wanted(count: u32, seed: u64) -> PickRequest {
    PickRequest { filter: QuestionFilter::default(), count, exclude: Vec::new(), seed, scope: None }
}

const POLICIES: [WhenExhausted; 3] = [WhenExhausted::Error, WhenExhausted::ReuseOldest, WhenExhausted::Reset];

pub(super) fn channel(id: i64) -> PickOwner {
    PickOwner::Channel(channel_id(id))
}

pub(super) fn new_for(of: PickOwner, exhausted: WhenExhausted, count: u32, seed: u64) -> PickRequest {
    PickRequest { scope: Some(PickScope { of, exhausted }), ..wanted(count, seed) }
}

pub(super) fn of(name: &str) -> QuestionFilter {
    QuestionFilter { category: Some(category(name)), ..QuestionFilter::default() }
}

impl Game {
    pub(super) async fn pick(&self, request: &PickRequest) -> Vec<QuestionId> {
        self.store.questions().pick(request).await.unwrap().into_iter().map(|question| question.id).collect()
    }

    /// What can be picked, by its size and by picking all of it.
    pub(super) async fn pickable(&self) -> BTreeSet<QuestionId> {
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
            language: Some(group.language.clone()),
            ..QuestionFilter::default()
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
            let request = PickRequest { filter, count, exclude, seed, scope: None };
            assert_eq!(game.pick(&request).await, expected, "seed {seed}");
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

/// The same questions in any order.
pub(super) fn set(ids: &[QuestionId]) -> BTreeSet<QuestionId> {
    ids.iter().copied().collect()
}

pub(crate) async fn l18_nothing_is_picked_twice_until_all_are_used_up(game: Game) {
    let ids = with_gaps(&game).await;
    for (number, exhausted) in (0..).zip(POLICIES) {
        for owner in [channel(number), PickOwner::Player(user_id(number))] {
            let mut picked = Vec::new();
            for (seed, count) in (0..).zip([1, 7, 0, 12, 3, 7]) {
                picked.extend(game.pick(&new_for(owner, exhausted, count, seed)).await);
            }
            assert_eq!(picked.len(), ids.len());
            assert_eq!(set(&picked), set(&ids));
        }
    }
}

pub(crate) async fn l18_an_error_when_used_up_remembers_nothing(game: Game) {
    let ids = game.statements(10).await;
    game.add(statement_of("Elsewhere", "Elsewhere", Difficulty::Easy)).await;
    let general =
        |count, seed| PickRequest { filter: of("General"), ..new_for(channel(1), WhenExhausted::Error, count, seed) };
    let first = game.pick(&general(6, 1)).await;
    let unseen: Vec<_> = ids.iter().copied().filter(|id| !first.contains(id)).collect();
    for (count, exclude, available) in [
        (5, vec![], 4),
        (u32::MAX, vec![], 4),
        // one that was seen already, one that was not, twice
        (4, vec![first[0], unseen[0], unseen[0]], 3),
    ] {
        let request = PickRequest { exclude, ..general(count, 2) };
        let refused = refusal(game.store.questions().pick(&request).await);
        assert_eq!(refused, Refusal::NotEnoughQuestions { available, wanted: count.into() });
    }
    assert_eq!(set(&game.pick(&general(4, 3)).await), set(&unseen), "what was refused took nothing");
    let refused = refusal(game.store.questions().pick(&general(1, 4)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 1 });
    assert_eq!(game.pick(&general(0, 5)).await, []);
    assert_eq!(game.pick(&PickRequest { scope: None, ..general(10, 6) }).await.len(), 10, "others are not concerned");
}

pub(crate) async fn l18_the_oldest_picks_are_reused_first(game: Game) {
    let ids = game.statements(10).await;
    game.add(statement_of("Elsewhere", "Elsewhere", Difficulty::Easy)).await;
    let general = |count, seed| PickRequest {
        filter: of("General"),
        ..new_for(channel(1), WhenExhausted::ReuseOldest, count, seed)
    };
    let mut history = game.pick(&general(4, 1)).await;
    // time says nothing about the order
    game.wait(TimeDelta::days(-3));
    history.extend(game.pick(&general(4, 2)).await);
    let mixed = game.pick(&general(5, 3)).await;
    let unseen: Vec<_> = ids.iter().copied().filter(|id| !history.contains(id)).collect();
    assert_eq!(set(&mixed[..2]), set(&unseen), "what is new comes first");
    assert_eq!(mixed[2..], history[..3]);
    history.drain(..3);
    history.extend(mixed);
    // what is excluded is passed over and keeps its place
    let request = PickRequest { exclude: vec![history[0], history[2]], ..general(3, 4) };
    assert_eq!(game.pick(&request).await, [history[1], history[3], history[4]]);
    let again = [history[1], history[3], history[4]];
    history.retain(|id| !again.contains(id));
    history.extend(again);
    assert_eq!(game.pick(&general(10, 5)).await, history, "each at most once");
    let refused = refusal(game.store.questions().pick(&general(11, 6)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 10, wanted: 11 });
}

pub(crate) async fn l18_a_reset_forgets_what_matches(game: Game) {
    let ids = game.statements(6).await;
    for n in 0..4 {
        game.add(statement_of(&format!("Elsewhere {n}"), "Elsewhere", Difficulty::Easy)).await;
    }
    let request = |name: &str, exhausted, count, seed| PickRequest {
        filter: of(name),
        ..new_for(channel(1), exhausted, count, seed)
    };
    let elsewhere = game.pick(&request("Elsewhere", WhenExhausted::Reset, 3, 1)).await;
    let first = game.pick(&request("General", WhenExhausted::Reset, 4, 2)).await;
    // too few for any policy: nothing is forgotten
    let exclude = ids[..3].to_vec();
    let too_many = PickRequest { exclude, ..request("General", WhenExhausted::Reset, 4, 3) };
    let refused = refusal(game.store.questions().pick(&too_many).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 3, wanted: 4 });
    let refused = refusal(game.store.questions().pick(&request("General", WhenExhausted::Error, 3, 4)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 2, wanted: 3 });

    // two are new and three are wanted: all but the excluded one are drawn from again
    let excluded = PickRequest { exclude: vec![first[0]], ..request("General", WhenExhausted::Reset, 3, 5) };
    let again = game.pick(&excluded).await;
    assert_eq!(again, game.pick(&PickRequest { scope: None, ..excluded }).await, "as if nothing had been picked");
    let rest: Vec<_> = ids.iter().copied().filter(|id| !again.contains(id)).collect();
    assert_eq!(set(&game.pick(&request("General", WhenExhausted::Error, 3, 6)).await), set(&rest));
    // the other category was not concerned
    let left = game.pick(&request("Elsewhere", WhenExhausted::Error, 1, 7)).await;
    assert!(!elsewhere.contains(&left[0]));
}

pub(crate) async fn t10_no_policy_picks_more_than_there_are(game: Game) {
    let ids = game.statements(6).await;
    for exhausted in POLICIES {
        for count in [7, u32::MAX] {
            let result = game.store.questions().pick(&new_for(channel(1), exhausted, count, 1)).await;
            assert_eq!(refusal(result), Refusal::NotEnoughQuestions { available: 6, wanted: count.into() });
        }
        let request = PickRequest { exclude: ids[2..].to_vec(), ..new_for(channel(1), exhausted, 3, 1) };
        let refused = refusal(game.store.questions().pick(&request).await);
        assert_eq!(refused, Refusal::NotEnoughQuestions { available: 2, wanted: 3 });
    }
    assert_eq!(game.pick(&new_for(channel(1), WhenExhausted::Error, 6, 1)).await.len(), 6, "nothing was remembered");
}

pub(crate) async fn l18_owners_are_independent(game: Game) {
    game.statements(8).await;
    // a player and a channel with the same number are not the same owner
    let owners = [channel(7), PickOwner::Player(user_id(7)), channel(0), PickOwner::Player(user_id(i64::MAX))];
    for owner in owners {
        let first = game.pick(&new_for(owner, WhenExhausted::Error, 5, 3)).await;
        assert_eq!(first, game.pick(&wanted(5, 3)).await, "nothing was picked for {owner:?} yet");
    }
    game.pick(&new_for(owners[0], WhenExhausted::Reset, 4, 4)).await;
    for owner in &owners[1..] {
        let rest = game.pick(&new_for(*owner, WhenExhausted::Error, 3, 5)).await;
        assert_eq!(rest.len(), 3);
        assert!(set(&rest).is_disjoint(&set(&game.pick(&wanted(5, 3)).await)), "{owner:?} forgets nothing");
    }
}

pub(crate) async fn l18_concurrent_picks_for_one_channel_are_disjoint(game: Game) {
    let ids = game.statements(80).await;
    let picks = together(8, |task| {
        let game = game.clone();
        async move {
            let mut picked = Vec::new();
            for round in 0..2 {
                // the same seed for all of them, so that only the memory keeps them apart
                picked.extend(game.pick(&new_for(channel(1), WhenExhausted::Error, 5, round)).await);
            }
            assert_eq!(picked.len(), 10, "task {task}");
            picked
        }
    })
    .await;
    let picked = picks.concat();
    assert_eq!(picked.len(), ids.len());
    assert_eq!(set(&picked), set(&ids));
}

/// Picks of all policies with changes between them, until things were reused and forgotten.
async fn scoped_picks(game: &Game) -> Vec<Vec<QuestionId>> {
    let ids = with_gaps(game).await;
    let mut picks = Vec::new();
    for seed in 0..60 {
        let exhausted = POLICIES[usize::try_from(seed % 3).unwrap()];
        let name = ["Small", "Middle", "Large"][usize::try_from(seed / 5 % 3).unwrap()];
        let filter = if seed % 4 == 0 { of(name) } else { QuestionFilter::default() };
        let exclude = if seed % 7 == 0 { ids[..8].to_vec() } else { Vec::new() };
        let request = PickRequest { filter, exclude, ..new_for(channel(seed as i64 % 2), exhausted, 4, seed) };
        match game.store.questions().pick(&request).await {
            Ok(questions) => picks.push(questions.iter().map(|question| question.id).collect()),
            Err(error) => assert!(matches!(error, StoreError::Refused(Refusal::NotEnoughQuestions { .. })), "{error}"),
        }
        let at = usize::try_from(seed).unwrap() % ids.len();
        game.store.questions().retire(ids[at]).await.unwrap();
        game.store.questions().restore(ids[at / 2]).await.unwrap();
    }
    picks
}

pub(crate) async fn l18_scoped_picks_are_repeatable(game: Game) {
    let first = scoped_picks(&game).await;
    assert!(first.len() > 40, "{} picks", first.len());
    assert_eq!(scoped_picks(&game.fresh().await).await, first);
}

pub(crate) async fn l18_every_store_picks_the_same_without_repeats(game: Game) {
    let mut reference = game.clone();
    reference.store = Arc::new(MemoryStore::new(game.clock.clone(), game.random.clone()));
    assert_eq!(scoped_picks(&game).await, scoped_picks(&reference).await);
}

pub(crate) async fn l18_scoped_picks_are_uniform(game: Game) {
    let ids = with_gaps(&game).await;
    let (owners, count) = (600_i64, 5_u32);
    // the first pick of each owner, and one after half of the questions were used up
    let mut drawn = [(); 2].map(|()| ids.iter().map(|id| (*id, 0.0)).collect::<BTreeMap<_, f64>>());
    for owner in 0..owners {
        for (round, count) in [count, 10, count].into_iter().enumerate() {
            let seed = owner as u64 * 3 + round as u64;
            let picked = game.pick(&new_for(channel(owner), WhenExhausted::Error, count, seed)).await;
            if round != 1 {
                for id in picked {
                    *drawn[round / 2].get_mut(&id).expect("retired questions are not picked") += 1.0;
                }
            }
        }
    }
    let size = f64::from(u32::try_from(ids.len()).unwrap());
    let expected = owners as f64 * f64::from(count) / size;
    for drawn in drawn {
        let sum: f64 = drawn.values().map(|drawn| (drawn - expected).powi(2) / expected).sum();
        let chi_square = sum * (size - 1.0) / (size - f64::from(count));
        // 29 degrees of freedom: one honest source in ten thousand is above 66
        assert!(chi_square < 66.0, "{chi_square}: {drawn:?}");
    }
}

pub(crate) async fn l18_a_failed_work_forgets_its_picks(game: Game) {
    let ids = game.statements(6).await;
    let before = game.pick(&new_for(channel(1), WhenExhausted::Error, 2, 1)).await;
    let broken = work(|uow| -> WorkFuture<'_, ()> {
        Box::pin(async move {
            let first = uow.questions().pick(&new_for(channel(1), WhenExhausted::Error, 3, 2)).await?;
            // the work sees its own picks
            let refused = refusal(uow.questions().pick(&new_for(channel(1), WhenExhausted::Error, 2, 3)).await);
            assert_eq!(refused, Refusal::NotEnoughQuestions { available: 1, wanted: 2 });
            uow.questions().pick(&new_for(channel(1), WhenExhausted::Reset, 2, 4)).await?;
            Err(StoreError::conflict("question", first[0].id))
        })
    });
    assert_conflict(execute(game.store.as_ref(), &broken).await);
    let rest: Vec<_> = ids.iter().copied().filter(|id| !before.contains(id)).collect();
    let refused = refusal(game.store.questions().pick(&new_for(channel(1), WhenExhausted::Error, 5, 5)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 4, wanted: 5 });

    let whole = work(|uow| -> WorkFuture<'_, Vec<QuestionId>> {
        Box::pin(async move {
            let picked = uow.questions().pick(&new_for(channel(1), WhenExhausted::Error, 3, 6)).await?;
            Ok(picked.into_iter().map(|question| question.id).collect())
        })
    });
    let mut picked = execute(game.store.as_ref(), &whole).await.unwrap();
    picked.extend(game.pick(&new_for(channel(1), WhenExhausted::Error, 1, 7)).await);
    assert_eq!(set(&picked), set(&rest));
}

pub(crate) async fn l18_retired_questions_are_never_picked_again(game: Game) {
    let ids = game.statements(6).await;
    let request = |exhausted, count, seed| new_for(channel(1), exhausted, count, seed);
    let seen = game.pick(&request(WhenExhausted::Error, 3, 1)).await;
    let unseen: Vec<_> = ids.iter().copied().filter(|id| !seen.contains(id)).collect();
    let questions = game.store.questions();
    for id in [seen[0], unseen[0]] {
        questions.retire(id).await.unwrap();
    }
    let refused = refusal(questions.pick(&request(WhenExhausted::Error, 3, 2)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 2, wanted: 3 });
    for exhausted in [WhenExhausted::ReuseOldest, WhenExhausted::Reset] {
        let refused = refusal(questions.pick(&request(exhausted, 5, 2)).await);
        assert_eq!(refused, Refusal::NotEnoughQuestions { available: 4, wanted: 5 });
    }
    // what comes back is as it was: picked, or not
    for id in [seen[0], unseen[0]] {
        questions.restore(id).await.unwrap();
    }
    assert_eq!(set(&game.pick(&request(WhenExhausted::Error, 3, 3)).await), set(&unseen));
    let refused = refusal(questions.pick(&request(WhenExhausted::Error, 1, 4)).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 1 });

    // a reset forgets retired ones, too
    questions.retire(seen[0]).await.unwrap();
    let others = game.pick(&request(WhenExhausted::Reset, 5, 5)).await;
    assert!(!others.contains(&seen[0]));
    questions.restore(seen[0]).await.unwrap();
    assert_eq!(game.pick(&request(WhenExhausted::Error, 1, 6)).await, [seen[0]]);

    // a question that changes is still the same one
    questions.update(seen[0], statement_of("Changed", "Elsewhere", Difficulty::Hard)).await.unwrap();
    let changed = PickRequest { filter: of("Elsewhere"), ..request(WhenExhausted::Error, 1, 7) };
    let refused = refusal(questions.pick(&changed).await);
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
