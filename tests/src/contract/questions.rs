use std::collections::BTreeSet;

use chrono::TimeDelta;
use trivia_domain::StoreError;
use trivia_domain::model::{
    Difficulty, Given, Language, Page, Points, Question, QuestionContent, QuestionId, QuestionKind,
};
use trivia_domain::ports::{AddOutcome, Clock, PickRequest, QuestionFilter, execute};

use super::Game;
use super::content::{category, choice, statement, statement_of, typed};
use super::game::{WorkFuture, assert_conflict, assert_missing, question_id, together, work};

impl Game {
    async fn outcomes(&self, contents: &[QuestionContent]) -> Vec<AddOutcome> {
        self.store.questions().add(contents.to_vec()).await.unwrap()
    }

    async fn question(&self, id: QuestionId) -> Question {
        self.store.questions().get(id).await.unwrap()
    }

    pub(super) async fn all_questions(&self) -> Vec<Question> {
        self.store.questions().list(&QuestionFilter::default(), Page::first(10_000)).await.unwrap()
    }

    async fn group_sizes(&self) -> Vec<(String, Difficulty, QuestionKind, u64)> {
        let groups = self.store.questions().groups().await.unwrap();
        groups.into_iter().map(|group| (group.category.to_string(), group.difficulty, group.kind, group.size)).collect()
    }
}

pub(crate) async fn missing_questions_are_missing(game: Game) {
    let questions = game.store.questions();
    for id in [0, 1, i64::MAX].map(question_id) {
        assert_eq!(questions.find(id).await.unwrap(), None);
        assert_missing(questions.get(id).await, "question");
        assert_missing(questions.update(id, statement("New", true)).await, "question");
        assert_missing(questions.retire(id).await, "question");
        assert_missing(questions.restore(id).await, "question");
    }
    assert_eq!(game.all_questions().await, []);
    assert_eq!(questions.groups().await.unwrap(), []);
    assert_eq!(game.outcomes(&[]).await, []);
}

pub(crate) async fn added_questions_read_back_whole(game: Game) {
    let created_at = game.clock.now();
    let contents = [
        choice("Which planet is red?", &["Venus", "Mars", "Pluto"], "Mars")
            .with_explanation("Rust.\nA lot of it.")
            .unwrap()
            .with_points(Points::new(i64::MAX).unwrap()),
        statement("Snow is white.", true).with_language(Language::new("pt-BR").unwrap()),
        typed("Highest mountain?", "Mount Everest", &["Everest", "Sagarmatha"]),
    ];
    let outcomes = game.outcomes(&contents).await;
    game.wait(TimeDelta::hours(1));
    assert_eq!(outcomes.len(), contents.len());
    for (outcome, content) in outcomes.into_iter().zip(contents) {
        let AddOutcome::Added { id } = outcome else { panic!("not new: {outcome:?}") };
        assert!(id.get() > 0);
        let expected =
            Question { id, version: 1, content, times_asked: 0, times_correct: 0, created_at, retired_at: None };
        assert_eq!(game.question(id).await, expected);
        assert_eq!(game.store.questions().find(id).await.unwrap(), Some(expected));
    }
}

pub(crate) async fn l17_the_same_file_twice_changes_nothing(game: Game) {
    let file = [
        choice("Which?", &["A", "B"], "A"),
        statement("It is so.", true),
        typed("What?", "This", &[]),
        // the same as the first: order of options, case, blanks and category do not count
        choice("which? ", &["b", "a"], "a"),
        statement_of("It  is SO.", "Elsewhere", Difficulty::Hard),
        // variations do not count either
        typed("What?", "this", &["that"]),
    ];
    let outcomes = game.outcomes(&file).await;
    let [AddOutcome::Added { id: a }, AddOutcome::Added { id: b }, AddOutcome::Added { id: c }, ref twice @ ..] =
        outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    let duplicates = [a, b, c].map(|of| AddOutcome::Duplicate { of });
    assert_eq!(twice, duplicates);
    assert_eq!(BTreeSet::from([a, b, c]).len(), 3);

    let before = game.snapshot().await;
    game.wait(TimeDelta::days(1));
    assert_eq!(game.outcomes(&file).await, [duplicates, duplicates].concat());
    game.wait(TimeDelta::days(-1));
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l17_a_retired_question_is_not_added_again(game: Game) {
    let content = statement("It was so.", true);
    let id = game.add(content.clone()).await;
    game.store.questions().retire(id).await.unwrap();
    assert_eq!(game.outcomes(&[content]).await, [AddOutcome::Duplicate { of: id }]);
    assert!(game.question(id).await.retired_at.is_some());
}

pub(crate) async fn l17_contradictions_are_added_and_reported(game: Game) {
    let first = game.add(statement("It is so.", true)).await;
    let outcomes = game
        .outcomes(&[
            statement("It IS so.", false),
            choice("How many?", &["1", "2"], "1"),
            choice("How many?", &["1", "2"], "2"),
            typed("How many?", "1", &[]),
        ])
        .await;
    let [
        AddOutcome::Contradiction { id: second, with },
        AddOutcome::Added { id: one },
        AddOutcome::Contradiction { id: two, with: with_one },
        AddOutcome::Contradiction { id: typed_one, with: with_two },
    ] = outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!((with, with_one, with_two), (first, one, two));
    for id in [second, two, typed_one] {
        assert_eq!(game.question(id).await.version, 1);
    }
    assert_eq!(game.all_questions().await.len(), 5);
    // a language of its own is no contradiction
    let german = statement("It is so.", false).with_language(Language::new("de").unwrap());
    assert!(matches!(game.outcomes(&[german]).await[..], [AddOutcome::Added { .. }]));
}

pub(crate) async fn l17_other_options_are_another_question(game: Game) {
    let one = choice("Capital?", &["Rome", "Oslo"], "Rome");
    let other = choice("Capital?", &["Rome", "Bern"], "Rome");
    let outcomes = game.outcomes(&[one, other]).await;
    assert!(matches!(outcomes[..], [AddOutcome::Added { .. }, AddOutcome::Added { .. }]), "{outcomes:?}");
}

pub(crate) async fn l17_concurrent_adds_keep_one(game: Game) {
    let outcomes = together(16, |at| {
        let game = game.clone();
        async move { game.outcomes(&[statement("Same.", true), statement(&format!("Own {at}."), true)]).await }
    })
    .await;
    let added: Vec<QuestionId> = outcomes
        .iter()
        .filter_map(|outcome| match outcome[0] {
            AddOutcome::Added { id } => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(added.len(), 1, "{outcomes:?}");
    let others = outcomes.iter().filter(|outcome| outcome[0] == AddOutcome::Duplicate { of: added[0] });
    assert_eq!(others.count(), 15);
    assert!(outcomes.iter().all(|outcome| matches!(outcome[1], AddOutcome::Added { .. })));
    assert_eq!(game.all_questions().await.len(), 17);
    assert_eq!(game.group_sizes().await, [("General".to_owned(), Difficulty::Easy, QuestionKind::TrueFalse, 17)]);
}

pub(crate) async fn l17_adding_is_all_or_nothing(game: Game) {
    game.statements(2).await;
    let before = game.snapshot().await;
    let contents: Vec<_> = (0..300).map(|n| statement(&format!("Many {n}."), true)).collect();
    let doomed = work(move |uow| -> WorkFuture<'_, ()> {
        let contents = contents.clone();
        Box::pin(async move {
            uow.questions().add(contents).await?;
            Err(StoreError::invalid("work", "changed its mind"))
        })
    });
    assert!(execute(game.store.as_ref(), &doomed).await.is_err());
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn t1_options_that_differ_in_punctuation_or_case_stay_apart(game: Game) {
    let sharp = game.add(choice("Which one?", &["C", "c", "C#", "C++"], "C#")).await;
    let plus = game.outcomes(&[choice("Which one?", &["C", "c", "C#", "C++"], "C++")]).await;
    assert!(matches!(plus[..], [AddOutcome::Contradiction { with, .. }] if with == sharp), "{plus:?}");
    let minus = game.add(choice("Which number?", &["-1", "1"], "-1")).await;
    let user = game.user(1).await;
    let session = game.start_anywhere(user, &[sharp, minus]).await;
    let content = game.question(sharp).await.content;
    let given = content.read("C++").unwrap();
    assert_eq!(given, Given::Choice(3));
    let submission = game.submission(user, &session, given);
    assert_eq!(game.store.play().submit_answer(submission).await.unwrap().correct, Some(false));
}

pub(crate) async fn t2_html_entities_are_content(game: Game) {
    let encoded = choice("What is &amp;amp; in HTML?", &["&amp;", "&"], "&amp;");
    let id = game.add(encoded.clone()).await;
    assert_eq!(game.question(id).await.content, encoded);
    let decoded = choice("What is &amp; in HTML?", &["&amp;", "&"], "&amp;");
    assert!(matches!(game.outcomes(&[decoded]).await[..], [AddOutcome::Added { .. }]), "another stem");
    assert_eq!(game.question(id).await.content.read("&"), Some(Given::Choice(1)));
}

pub(crate) async fn t3_difficult_texts_are_kept_and_told_apart(game: Game) {
    let long = "Ünï¢ødé ".repeat(1_300);
    let stems = [
        "ı dotless",
        "i dotted",
        "Stra\u{df}e",
        "ΟΔΟΣ ΟΔΥΣΣΕΥΣ",
        "می\u{200c}خواهم",
        "میخواهم",
        "\u{202b}שלום עולם\u{202c}",
        "🦊👩‍👩‍👧‍👦 how many?",
        "Two\nlines; 'quoted' \"twice\" -- and % _ \\ $1 ?1",
        long.trim(),
    ];
    let mut ids = Vec::new();
    for stem in stems {
        let content = typed(stem, "Σς ß ı 🦊", &["\u{5d0}"]);
        ids.push((game.add(content.clone()).await, content));
    }
    for (id, content) in &ids {
        assert_eq!(game.question(*id).await.content, *content);
    }
    // composed or not, sharp s or two, any sigma: the same question
    let e_acute = game.add(statement("Caf\u{e9} Stra\u{df}e \u{3c2}", true)).await;
    let same = statement("CAFE\u{301} STRASSE \u{3a3}", true);
    assert_eq!(game.outcomes(&[same]).await, [AddOutcome::Duplicate { of: e_acute }]);
    let as_written = game.question(e_acute).await.content;
    assert_eq!(as_written.text(), "Caf\u{e9} Stra\u{df}e \u{3c2}", "identity does not rewrite the text");
}

/// Questions of four groups; returns their ids in order.
async fn mixed(game: &Game) -> Vec<QuestionId> {
    let contents = vec![
        statement_of("One", "Zoo", Difficulty::Hard),
        statement_of("Two", "Art", Difficulty::Hard),
        statement_of("Three", "Art", Difficulty::Easy),
        choice("Four", &["a", "b"], "a"),
        statement_of("Five", "Art", Difficulty::Easy),
        statement_of("Six", "Art", Difficulty::Medium),
        statement_of("Seven", "art", Difficulty::Easy),
        typed("Eight", "8", &[]),
    ];
    let outcomes = game.outcomes(&contents).await;
    let id = |outcome| match outcome {
        AddOutcome::Added { id } => id,
        other => panic!("not new: {other:?}"),
    };
    outcomes.into_iter().map(id).collect()
}

pub(crate) async fn questions_are_listed_by_filter_in_pages(game: Game) {
    let ids = mixed(&game).await;
    game.store.questions().retire(ids[2]).await.unwrap();
    let art = QuestionFilter { category: Some(category("Art")), ..QuestionFilter::default() };
    let easy = QuestionFilter { difficulty: Some(Difficulty::Easy), ..QuestionFilter::default() };
    let typed = QuestionFilter { kind: Some(QuestionKind::FillBlank), ..QuestionFilter::default() };
    let easy_art = QuestionFilter { difficulty: Some(Difficulty::Easy), ..art.clone() };
    let nothing = QuestionFilter { category: Some(category("Nothing")), ..QuestionFilter::default() };
    let all: Vec<usize> = (0..8).collect();
    for (filter, expected) in [
        (QuestionFilter::default(), &all[..]),
        (art, &[1, 2, 4, 5]),
        (easy, &[2, 3, 4, 6, 7]),
        (typed, &[7]),
        (easy_art, &[2, 4]),
        (nothing, &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|at| ids[*at]).collect();
        for limit in [1, 2, 3, 100] {
            let mut seen = Vec::new();
            let mut page = Page::first(limit);
            loop {
                let questions = game.store.questions().list(&filter, page).await.unwrap();
                assert!(questions.len() <= limit as usize);
                let Some(last) = questions.last() else { break };
                page = Page::after(last.id.get(), limit);
                seen.extend(questions.iter().map(|question| question.id));
                assert!(seen.len() <= expected.len(), "the pages go on for ever");
            }
            assert_eq!(seen, expected, "{filter:?} in pages of {limit}");
        }
    }
}

pub(crate) async fn groups_are_counted_in_order(game: Game) {
    let ids = mixed(&game).await;
    let group = |name: &str, difficulty, kind, size| (name.to_owned(), difficulty, kind, size);
    let (choice, truth, typed) = (QuestionKind::MultipleChoice, QuestionKind::TrueFalse, QuestionKind::FillBlank);
    let expected = [
        group("Art", Difficulty::Easy, truth, 2),
        group("Art", Difficulty::Medium, truth, 1),
        group("Art", Difficulty::Hard, truth, 1),
        group("General", Difficulty::Easy, choice, 1),
        group("General", Difficulty::Easy, typed, 1),
        group("Zoo", Difficulty::Hard, truth, 1),
        group("art", Difficulty::Easy, truth, 1),
    ];
    assert_eq!(game.group_sizes().await, expected);
    for at in [2, 5] {
        game.store.questions().retire(ids[at]).await.unwrap();
    }
    let mut fewer = expected.to_vec();
    fewer[0].3 = 1;
    fewer.remove(1);
    assert_eq!(game.group_sizes().await, fewer, "an empty group is none");
    for at in [5, 2] {
        game.store.questions().restore(ids[at]).await.unwrap();
    }
    assert_eq!(game.group_sizes().await, expected);
}

pub(crate) async fn l17_an_update_makes_a_new_version(game: Game) {
    let user = game.user(1).await;
    let id = game.add(statement("It is so.", true)).await;
    game.play(user, id, true).await;
    let before = game.question(id).await;
    game.wait(TimeDelta::hours(1));
    let content = statement("It is not so.", false).with_points(Points::small(25));
    let after = game.store.questions().update(id, content.clone()).await.unwrap();
    assert_eq!(after, Question { version: 2, content, ..before });
    assert_eq!(game.question(id).await, after);
    // the same identity in other words is an edit, not a conflict
    let louder = statement("IT IS NOT SO.", false);
    assert_eq!(game.store.questions().update(id, louder.clone()).await.unwrap().version, 3);
    assert_eq!(game.question(id).await.content, louder);
    assert_eq!(game.all_questions().await.len(), 1);
}

pub(crate) async fn l17_an_update_to_what_is_there_changes_nothing(game: Game) {
    let content = typed("What?", "This", &["that"]);
    let id = game.add(content.clone()).await;
    let before = game.snapshot().await;
    assert_eq!(game.store.questions().update(id, content).await.unwrap().version, 1);
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l17_an_update_to_another_questions_content_conflicts(game: Game) {
    let one = game.add(statement("One.", true)).await;
    let two = game.add(statement("Two.", true)).await;
    let before = game.snapshot().await;
    assert_conflict(game.store.questions().update(two, statement("ONE.", true)).await);
    game.store.questions().retire(one).await.unwrap();
    assert_conflict(game.store.questions().update(two, statement("One.", true)).await);
    game.store.questions().restore(one).await.unwrap();
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l17_an_update_frees_the_old_content(game: Game) {
    let (old, new) = (statement("Old.", true), statement("New.", true));
    let first = game.add(old.clone()).await;
    game.store.questions().update(first, new.clone()).await.unwrap();
    assert_eq!(game.outcomes(std::slice::from_ref(&new)).await, [AddOutcome::Duplicate { of: first }]);
    let second = game.add(old.clone()).await;
    assert_conflict(game.store.questions().update(first, old.clone()).await);
    game.store.questions().update(second, statement("Newest.", true)).await.unwrap();
    let back = game.store.questions().update(first, old.clone()).await.unwrap();
    assert_eq!((back.version, back.content), (3, old));
    // the stem is looked up among the newest versions only
    assert!(matches!(game.outcomes(&[statement("New.", false)]).await[..], [AddOutcome::Added { .. }]));
}

pub(crate) async fn an_update_moves_the_question_to_another_group(game: Game) {
    let ids = game.statements(3).await;
    let moved = statement_of("Moved.", "Elsewhere", Difficulty::Hard);
    game.store.questions().update(ids[0], moved).await.unwrap();
    let truth = QuestionKind::TrueFalse;
    let expected =
        [("Elsewhere".to_owned(), Difficulty::Hard, truth, 1), ("General".to_owned(), Difficulty::Easy, truth, 2)];
    assert_eq!(game.group_sizes().await, expected);
    for (name, ids) in [("Elsewhere", &ids[..1]), ("General", &ids[1..])] {
        let filter = QuestionFilter { category: Some(category(name)), ..QuestionFilter::default() };
        let count = u32::try_from(ids.len()).unwrap();
        let request = PickRequest { filter, count, exclude: Vec::new(), seed: 1, scope: None };
        let picked = game.store.questions().pick(&request).await;
        let picked: BTreeSet<_> = picked.unwrap().into_iter().map(|question| question.id).collect();
        assert_eq!(picked, ids.iter().copied().collect());
    }
}

pub(crate) async fn l17_a_retired_question_can_be_updated(game: Game) {
    let id = game.add(statement("It is so.", true)).await;
    game.store.questions().retire(id).await.unwrap();
    let moved = statement_of("It is so.", "Elsewhere", Difficulty::Hard);
    let updated = game.store.questions().update(id, moved).await.unwrap();
    assert_eq!(updated.version, 2);
    assert!(updated.retired_at.is_some());
    assert_eq!(game.group_sizes().await, []);
    game.store.questions().restore(id).await.unwrap();
    assert_eq!(game.group_sizes().await, [("Elsewhere".to_owned(), Difficulty::Hard, QuestionKind::TrueFalse, 1)]);
}

pub(crate) async fn l17_running_sessions_keep_their_version(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let id = game.add(statement("It is so.", true)).await;
    let before = game.start(1, ann, &[id]).await;
    let hard = QuestionContent::new(
        statement("It is so.", false).body().clone(),
        "It is so.",
        category("General"),
        Difficulty::Hard,
    );
    game.store.questions().update(id, hard.unwrap()).await.unwrap();
    let after = game.start(2, ann, &[id]).await;
    assert_eq!((before.questions[0].version, after.questions[0].version), (1, 2));
    assert_eq!(game.store.sessions().get(before.id).await.unwrap(), before);

    let easy = game.answer(ann, &before, true).await.unwrap();
    assert_eq!((easy.correct, easy.points.get()), (Some(true), 10));
    let wrong = game.answer(ann, &after, true).await.unwrap();
    assert_eq!(wrong.correct, Some(false));
    let right = game.answer(bob, &after, false).await.unwrap();
    assert_eq!((right.correct, right.points.get()), (Some(true), 30));
    let breakdown = game.store.users().breakdown(ann).await.unwrap();
    assert_eq!(breakdown.by_difficulty.keys().copied().collect::<Vec<_>>(), [Difficulty::Easy, Difficulty::Hard]);
    let question = game.question(id).await;
    assert_eq!((question.times_asked, question.times_correct), (3, 2), "over all versions");
}

pub(crate) async fn concurrent_updates_get_different_versions(game: Game) {
    let id = game.add(statement("Version 1.", true)).await;
    let updates = together(12, |at| {
        let game = game.clone();
        async move { game.store.questions().update(id, statement(&format!("Update {at}."), true)).await.unwrap() }
    })
    .await;
    let versions: BTreeSet<u32> = updates.iter().map(|question| question.version).collect();
    assert_eq!(versions, (2..=13).collect());
    let last = updates.into_iter().max_by_key(|question| question.version).unwrap();
    assert_eq!(game.question(id).await, last);
    // none of the overwritten contents is kept as if it were there
    let stems: Vec<_> = (0..12).map(|at| statement(&format!("Update {at}."), true)).collect();
    let duplicates = game.outcomes(&stems).await;
    assert_eq!(duplicates.iter().filter(|outcome| matches!(outcome, AddOutcome::Duplicate { .. })).count(), 1);
}

pub(crate) async fn retiring_and_restoring_twice_is_once(game: Game) {
    let ids = game.statements(3).await;
    let questions = game.store.questions();
    let retired_at = game.clock.now();
    questions.retire(ids[1]).await.unwrap();
    game.wait(TimeDelta::hours(1));
    questions.retire(ids[1]).await.unwrap();
    assert_eq!(game.question(ids[1]).await.retired_at, Some(retired_at));
    assert_eq!(game.group_sizes().await[0].3, 2);
    for _ in 0..2 {
        questions.restore(ids[1]).await.unwrap();
        assert_eq!(game.question(ids[1]).await.retired_at, None);
        assert_eq!(game.question(ids[1]).await.version, 1);
        assert_eq!(game.group_sizes().await[0].3, 3);
    }
    questions.restore(ids[0]).await.unwrap();
    assert_eq!(game.group_sizes().await[0].3, 3, "one that was not retired");
}

pub(crate) async fn t11_retiring_never_cascades_into_facts(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(2).await;
    game.play(user, ids[0], true).await;
    let running = game.start(1, user, &ids).await;
    let before = game.snapshot().await;
    for id in &ids {
        game.store.questions().retire(*id).await.unwrap();
    }
    assert_eq!(game.group_sizes().await, []);
    let question = game.question(ids[0]).await;
    assert_eq!((question.times_asked, question.times_correct), (1, 1));
    assert_eq!(game.store.sessions().get(running.id).await.unwrap(), running);
    assert_eq!(game.answer(user, &running, true).await.unwrap().correct, Some(true), "the session goes on");
    for id in &ids {
        game.store.questions().restore(*id).await.unwrap();
    }
    let after = game.snapshot().await;
    assert_ne!(after, before);
    assert_eq!(game.profile(user).await.questions_answered, 2);
    assert_eq!(game.store.users().breakdown(user).await.unwrap().recent.len(), 2);
}

pub(crate) async fn s18_answers_are_counted_at_the_question(game: Game) {
    let users = [game.user(1).await, game.user(2).await, game.user(3).await];
    let ids = game.statements(2).await;
    let session = game.start(1, users[0], &ids).await;
    let submission = game.submission(users[0], &session, Given::Truth(true));
    for _ in 0..3 {
        game.store.play().submit_answer(submission.clone()).await.unwrap();
    }
    assert!(game.answer(users[0], &session, false).await.is_err(), "answered before");
    game.answer(users[1], &session, false).await.unwrap();
    game.answer(users[2], &session, true).await.unwrap();
    let counts = |question: Question| (question.times_asked, question.times_correct);
    assert_eq!(counts(game.question(ids[0]).await), (3, 2));
    assert_eq!(counts(game.question(ids[1]).await), (0, 0));
    assert!((game.question(ids[0]).await.success_rate().percent() - 200.0 / 3.0).abs() < 1e-9);
    game.reset(users[0]).await;
    assert_eq!(counts(game.question(ids[0]).await), (3, 2), "a reset keeps the statistics of questions");
    let listed = game.all_questions().await;
    assert_eq!(listed.into_iter().map(counts).collect::<Vec<_>>(), [(3, 2), (0, 0)]);
}
