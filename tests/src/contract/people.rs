use chrono::TimeDelta;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{
    Board, ChallengeKind, Fact, GameSession, Given, PersonalRecord, Points, QuestionId, SessionStatus, UserId,
    UserProfile,
};
use trivia_domain::ports::{
    Clock, PickOwner, PickRequest, PickScope, QuestionFilter, RandomSource, ResetRequest, UserBreakdown, WhenExhausted,
};
use trivia_domain::{Refusal, StoreResult};

use super::Game;
use super::content::statement_of;
use super::game::{assert_invalid, assert_missing, channel_id, refusal, together, user_id, zone};
use super::snapshot::Player;

impl Game {
    async fn erase(&self, user: UserId) -> StoreResult<()> {
        self.store.people().erase(user).await
    }

    async fn merge(&self, from: UserId, into: UserId) -> StoreResult<UserProfile> {
        self.store.people().merge(from, into).await
    }

    async fn export(&self, user: UserId) -> PersonalRecord {
        self.store.people().export(user).await.unwrap()
    }

    /// Picks for a player or a channel without repeats; what was picked is refused.
    async fn pick_new(&self, of: PickOwner, count: u32) -> StoreResult<Vec<QuestionId>> {
        let scope = Some(PickScope { of, exhausted: WhenExhausted::Error });
        let request = PickRequest { filter: QuestionFilter::default(), count, exclude: Vec::new(), seed: 3, scope };
        let picked = self.store.questions().pick(&request).await?;
        Ok(picked.into_iter().map(|question| question.id).collect())
    }
}

/// Three players with answers, challenges, awards and achievements; the first hosts an open session with the
/// answers of all in channel 1.
async fn three(game: &Game) -> ([UserId; 3], GameSession) {
    let users = [game.user(11).await, game.user(12).await, game.user(13).await];
    let ids = game.statements(5).await;
    for (n, user) in (1..).zip(users) {
        for at in 0..6 {
            game.wait(TimeDelta::seconds(1));
            game.play(user, ids[at % 5], at != 4).await;
        }
        game.award(user, 7 * n).await.unwrap();
        game.play_challenge(user, ChallengeKind::Daily, &[true]).await;
        game.play_challenge(user, ChallengeKind::Weekly, &[true, true, false, true, true]).await;
        game.pick_new(PickOwner::Player(user), 2).await.unwrap();
    }
    let session = game.start(1, users[0], &ids).await;
    for user in users {
        game.answer(user, &session, true).await.unwrap();
    }
    (users, session)
}

/// What a snapshot shows of these.
fn of<'a>(players: &'a [Player], users: &[UserId]) -> Vec<&'a Player> {
    players.iter().filter(|player| users.contains(&player.profile.user_id)).collect()
}

pub(crate) async fn l23_an_erased_person_is_missing_everywhere(game: Game) {
    let ([erased, ..], session) = three(&game).await;
    let challenge = game.store.challenges().present(ChallengeKind::Weekly).await.unwrap();
    assert_missing(game.erase(user_id(404)).await, "user");
    game.erase(erased).await.unwrap();
    let store = game.store.as_ref();
    assert_eq!(store.users().find(erased).await.unwrap(), None);
    assert_missing(store.users().get(erased).await, "user");
    assert_missing(store.users().breakdown(erased).await, "user");
    assert_missing(store.users().set_time_zone(erased, zone("UTC")).await, "user");
    assert_eq!(store.achievements().of(erased).await.unwrap(), []);
    assert_missing(store.achievements().progress(erased).await, "user");
    for kind in ChallengeKind::ALL {
        assert_eq!(store.challenges().history(erased, kind, 10).await.unwrap(), []);
    }
    assert_eq!(store.challenges().attempt(erased, challenge).await.unwrap(), None);
    assert_eq!(store.rankings().weekly_history(erased, 10).await.unwrap(), []);
    assert_missing(store.people().export(erased).await, "user");
    assert_missing(game.merge(erased, user_id(12)).await, "user");
    assert_missing(game.award(erased, 1).await, "user");
    assert_missing(game.answer(erased, &session, true).await, "user");
    let listed: Vec<_> = game.snapshot().await.players.iter().map(|player| player.profile.user_id.get()).collect();
    assert_eq!(listed, [12, 13]);
}

pub(crate) async fn l23_erasing_again_is_harmless(game: Game) {
    let ([erased, ..], _) = three(&game).await;
    game.erase(erased).await.unwrap();
    let before = game.snapshot().await;
    game.erase(erased).await.unwrap();
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l23_only_a_player_can_be_erased(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(2).await;
    // a channel, not a person
    let session = game.start(404, host, &ids).await;
    let picked = game.pick_new(PickOwner::Channel(channel_id(404)), 1).await.unwrap();
    assert_missing(game.erase(user_id(404)).await, "user");
    assert_eq!(game.store.sessions().live(channel_id(404)).await.unwrap(), Some(session));
    assert_ne!(game.pick_new(PickOwner::Channel(channel_id(404)), 1).await.unwrap(), picked);
}

pub(crate) async fn l23_erasing_changes_nothing_of_others(game: Game) {
    let (users, _) = three(&game).await;
    let before = game.snapshot().await;
    let records = [game.export(users[1]).await, game.export(users[2]).await];
    game.erase(users[0]).await.unwrap();
    let after = game.snapshot().await;
    // ranks of weeks are those of others, too: they close up
    let without_ranks = |players: &[Player]| -> Vec<_> {
        of(players, &users[1..])
            .iter()
            .map(|p| (p.profile.clone(), p.breakdown.clone(), p.achievements.clone()))
            .collect()
    };
    assert_eq!(without_ranks(&after.players), without_ranks(&before.players));
    assert_eq!(after.questions, before.questions, "how often they were answered stays");
    assert_eq!([game.export(users[1]).await, game.export(users[2]).await], records);
}

pub(crate) async fn t7_an_erased_player_leaves_a_board_that_closes_up(game: Game) {
    let question = game.statements(1).await[0];
    for (id, points) in [(1, 40), (2, 30), (3, 30), (4, 20), (5, 10)] {
        let user = game.user(id).await;
        game.play(user, question, true).await;
        game.award(user, points).await.unwrap();
    }
    let boards = game.boards();
    for (erased, expected) in
        [(1, vec![(1, 2), (1, 3), (3, 4), (4, 5)]), (4, vec![(1, 2), (1, 3), (3, 5)]), (2, vec![(1, 3), (2, 5)])]
    {
        game.erase(user_id(erased)).await.unwrap();
        for board in boards {
            let entries = game.board(board).await;
            let ranks: Vec<_> = entries.iter().map(|entry| (entry.rank, entry.user_id.get())).collect();
            assert_eq!(ranks, expected, "{board}");
            assert_eq!(game.store.rankings().standing(board, user_id(erased)).await.unwrap(), None);
            assert_eq!(game.store.rankings().around(board, user_id(erased), 5).await.unwrap(), []);
            for entry in entries {
                let standing = game.store.rankings().standing(board, entry.user_id).await.unwrap().unwrap();
                assert_eq!((standing.rank, standing.total), (entry.rank, expected.len() as u64));
            }
        }
    }
}

pub(crate) async fn l21_a_session_outlives_its_host(game: Game) {
    let ([host, ann, bob], session) = three(&game).await;
    assert_eq!(session.host, Some(host));
    game.erase(host).await.unwrap();
    let expected = GameSession { host: None, ..session.clone() };
    assert_eq!(game.store.sessions().get(session.id).await.unwrap(), expected);
    assert_eq!(game.store.sessions().live(session.channel_id).await.unwrap(), Some(expected));
    // what others have answered stays, and they can go on
    assert_eq!(refusal(game.answer(ann, &session, true).await), Refusal::AlreadyAnswered);
    let next = game.store.play().advance(session.id, 0).await.unwrap();
    assert_eq!((next.host, next.position), (None, 1));
    let before = game.profile(bob).await.questions_answered;
    game.answer(bob, &next, true).await.unwrap();
    assert_eq!(game.profile(bob).await.questions_answered, before + 1);
    let over = game.store.play().finish(session.id).await.unwrap();
    assert_eq!((over.host, over.status), (None, SessionStatus::Finished));
}

pub(crate) async fn l23_a_private_channel_goes_with_its_person(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(5).await;
    // some platforms number a private chat like its person
    let private = game.start(1, bob, &ids).await;
    game.answer(bob, &private, true).await.unwrap();
    let own = PickOwner::Channel(channel_id(1));
    let picked = game.pick_new(own, 3).await.unwrap();
    assert_eq!(game.export(ann).await.sessions, std::slice::from_ref(&private));
    game.erase(ann).await.unwrap();
    assert_eq!(game.store.sessions().live(channel_id(1)).await.unwrap(), None);
    assert_eq!(game.store.sessions().find(private.id).await.unwrap(), None);
    assert_eq!(game.profile(bob).await.questions_answered, 1, "what he did there stays");
    assert_eq!(game.pick_new(own, 3).await.unwrap(), picked, "nothing is remembered");
    game.start(1, bob, &ids).await;
}

pub(crate) async fn l23_an_erased_id_comes_back_as_a_new_player(game: Game) {
    let ([erased, ..], session) = three(&game).await;
    let key = game.export(erased).await.facts[0].entry.key;
    game.erase(erased).await.unwrap();
    game.wait(TimeDelta::seconds(1));
    let user = game.user(erased.get()).await;
    assert_eq!(game.profile(user).await, UserProfile::new(user, game.clock.now()));
    let record = game.export(user).await;
    let empty = PersonalRecord {
        profile: game.profile(user).await,
        breakdown: UserBreakdown::default(),
        facts: vec![],
        achievements: vec![],
        scores: vec![],
        challenges: vec![],
        sessions: vec![],
        picks: vec![],
        reports: vec![],
        originals: vec![],
        exported_at: game.clock.now(),
    };
    assert_eq!(record, empty);
    // nothing remembers what was played, answered, requested or picked
    game.answer(user, &session, true).await.unwrap();
    game.play_challenge(user, ChallengeKind::Daily, &[true]).await;
    assert_eq!(game.store.play().reset(ResetRequest { key, user_id: user }).await.unwrap().seq, 3);
    assert_eq!(game.pick_new(PickOwner::Player(user), 5).await.unwrap().len(), 5);
}

pub(crate) async fn l23_erasing_while_others_play_loses_nothing(game: Game) {
    let question = game.statements(1).await[0];
    for id in 0..6 {
        let user = game.user(id).await;
        game.play(user, question, true).await;
    }
    together(12, |at| {
        let game = game.clone();
        async move {
            let user = user_id(i64::try_from(at % 6).unwrap());
            if at < 3 {
                game.erase(user).await.unwrap();
            } else if at % 6 >= 3 {
                for _ in 0..5 {
                    game.play(user, question, true).await;
                }
            } else if let Ok(receipt) = game.award(user, 1).await {
                assert_eq!(receipt.seq, 2);
            }
        }
    })
    .await;
    let players = game.snapshot().await.players;
    let found: Vec<_> = players.iter().map(|p| (p.profile.user_id.get(), p.profile.questions_answered)).collect();
    assert_eq!(found[0], (3, 11));
    assert_eq!(found.len(), 3);
    let asked = game.store.questions().get(question).await.unwrap().times_asked;
    assert_eq!(asked, 3 + found.iter().map(|(_, answered)| answered).sum::<u64>(), "the answers of all");
}

pub(crate) async fn l23_an_export_is_whole(game: Game) {
    let ids = game.statements(5).await;
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.store.users().set_time_zone(ann, zone("Europe/Berlin")).await.unwrap();
    let mut told = Vec::new();
    for id in &ids {
        told.push(game.play(ann, *id, true).await);
    }
    told.push(game.award(ann, 100).await.unwrap());
    told.push(game.grant(ann, "super_fan").await.unwrap());
    told.push(game.reset(ann).await);
    told.extend(game.play_challenge(ann, ChallengeKind::Weekly, &[true; 5]).await);
    told.push(game.award(ann, 5).await.unwrap());
    let hosted = game.start(3, ann, &ids).await;
    let private = game.start(1, bob, &ids).await;
    let picked = game.pick_new(PickOwner::Player(ann), 2).await.unwrap();
    game.pick_new(PickOwner::Player(bob), 3).await.unwrap();
    game.play_challenge(bob, ChallengeKind::Weekly, &[true; 5]).await;
    game.grant(bob, "super_fan").await.unwrap();
    game.wait(TimeDelta::hours(1));

    let before = game.snapshot().await;
    let record = game.export(ann).await;
    assert_eq!(game.snapshot().await, before, "reading never writes");
    assert_eq!(record.profile, game.profile(ann).await);
    assert_eq!(record.breakdown, game.store.users().breakdown(ann).await.unwrap());
    assert_eq!(record.facts.iter().map(|fact| fact.receipt.clone()).collect::<Vec<_>>(), told, "oldest first");
    for (fact, seq) in record.facts.iter().zip(1..) {
        let entry = &fact.entry;
        assert_eq!((entry.user_id, entry.seq, entry.key, entry.at), (ann, seq, fact.receipt.key, fact.receipt.at));
    }
    let reasons: Vec<_> = record
        .facts
        .iter()
        .filter_map(|fact| if let Fact::Award { reason, .. } = &fact.entry.fact { Some(reason.as_str()) } else { None })
        .collect();
    assert_eq!(reasons, ["contract"; 2]);
    assert_eq!(record.achievements, game.store.achievements().of(ann).await.unwrap());
    assert!(!record.achievements.is_empty());
    let [_, day, week, month] = game.boards();
    let scores: Vec<(Board, i64)> =
        record.scores.iter().map(|(board, score)| (*board, score.tally.points.get())).collect();
    assert_eq!(scores, [(day, 155), (week, 155), (month, 155)]);
    let weekly = game.store.challenges().history(ann, ChallengeKind::Weekly, 10).await.unwrap();
    assert_eq!((record.challenges.clone(), weekly.len()), (weekly, 1));
    // those of hers, and that in her own channel
    assert_eq!(record.sessions.len(), 5 + 1 + 1 + 1);
    for session in &record.sessions {
        assert!(session.host == Some(ann) || session.id == private.id, "{session:?}");
    }
    assert!(record.sessions.contains(&hosted) && record.sessions.contains(&private));
    assert_eq!((record.picks.clone(), record.originals.len()), (picked, 0));
    assert_eq!(record.exported_at, game.clock.now());

    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<PersonalRecord>(&json).unwrap(), record);
    assert_missing(game.store.people().export(user_id(404)).await, "user");
}

/// Moves of three players, chosen by chance; the second plays as another one if that is wanted. All choices
/// are made before anything is done, so that they are the same whatever becomes of it.
async fn random_moves(game: &Game, seed: u64, second: UserId) {
    let random = SeededRandom::new(seed);
    let below = |n: u64| usize::try_from(random.next_u64() % n).unwrap();
    let mut ids = Vec::new();
    for (n, level) in trivia_domain::model::Difficulty::ALL.into_iter().cycle().take(6).enumerate() {
        ids.push(game.add(statement_of(&format!("Question {n}"), ["Art", "Sport"][n % 2], level)).await);
    }
    let players = [user_id(1), second, user_id(3)];
    // who was first seen first counts, and days turn where the one who stays is
    for player in [second, user_id(1), user_id(3)] {
        game.user(player.get()).await;
        game.store.users().set_time_zone(player, zone("Asia/Tokyo")).await.unwrap();
        game.wait(TimeDelta::seconds(1));
    }
    let mut sessions: Vec<GameSession> = Vec::new();
    let start = async |at: usize, choice: usize, host| {
        let channel = 101 + i64::try_from(at).unwrap();
        match choice {
            0 => game.try_challenge(channel, host, ChallengeKind::Daily).await,
            1 => game.try_challenge(channel, host, ChallengeKind::Weekly).await,
            n => game.store.play().start_session(game.request(channel, host, &ids[n % 4..])).await,
        }
    };
    for (at, host) in players[..2].iter().enumerate() {
        sessions.push(start(at, at, *host).await.unwrap());
    }
    for _ in 0..150 {
        let (kind, at, player, correct, choice) = (below(16), below(2), players[below(3)], below(4) > 0, below(6));
        let wait = if below(12) == 0 { below(40 * 3_600_000) } else { 1 + below(3_000) };
        game.wait(TimeDelta::milliseconds(i64::try_from(wait).unwrap()));
        match kind {
            0 => drop(game.award(player, i64::try_from(choice).unwrap()).await.unwrap()),
            1 => drop(game.grant(player, ["super_fan", "hot_streak"][choice % 2]).await.unwrap()),
            2 | 3 => {
                game.store.play().finish(sessions[at].id).await.unwrap();
                sessions[at] = start(at, choice, player).await.unwrap();
            }
            4..=6 => {
                let position = sessions[at].position;
                sessions[at] = game.store.play().advance(sessions[at].id, position).await.unwrap();
            }
            _ if sessions[at].open_question().is_some() => match game.answer(player, &sessions[at], correct).await {
                Ok(_) => {}
                result => {
                    let refusal = refusal(result);
                    assert!(matches!(refusal, Refusal::AlreadyAnswered | Refusal::Late { .. }), "{refusal:?}");
                }
            },
            _ => {}
        }
    }
    for session in sessions {
        game.store.play().finish(session.id).await.unwrap();
    }
}

pub(crate) async fn l23_a_merge_equals_having_played_everything_as_one(game: Game) {
    for seed in 0..4 {
        let (two, one) = (game.fresh().await, game.fresh().await);
        let (into, from) = (user_id(1), user_id(2));
        random_moves(&two, seed, from).await;
        random_moves(&one, seed, into).await;
        // both games make the same ids from the same chance, so that all of it can be compared
        assert_eq!(two.clock.now(), one.clock.now());
        let (ours, theirs) = (two.export(into).await.facts.len(), two.export(from).await.facts.len());
        let profile = two.merge(from, into).await.unwrap();
        assert_eq!(two.export(into).await, one.export(into).await, "seed {seed}");
        assert_eq!(two.export(user_id(3)).await, one.export(user_id(3)).await, "seed {seed}");
        assert_eq!(two.snapshot().await, one.snapshot().await, "seed {seed}");
        assert_eq!(profile, one.profile(into).await);
        assert!(ours.min(theirs) > 10 && profile.last_seq < (ours + theirs) as u64, "{ours} and {theirs} facts");
        two.verify().await;
    }
}

pub(crate) async fn t7_a_merged_player_has_no_rank(game: Game) {
    let ([into, from, _], _) = three(&game).await;
    game.merge(from, into).await.unwrap();
    assert_eq!(game.store.users().find(from).await.unwrap(), None);
    for board in game.boards() {
        assert_eq!(game.store.rankings().standing(board, from).await.unwrap(), None);
        let ranks: Vec<_> = game.board(board).await.iter().map(|entry| (entry.rank, entry.user_id.get())).collect();
        assert_eq!(ranks, [(1, into.get()), (2, 13)]);
    }
    // the id can come back, with nothing
    let back = game.user(from.get()).await;
    assert_eq!(game.profile(back).await, UserProfile::new(from, game.clock.now()));
    assert_eq!(game.export(back).await.facts, []);
}

pub(crate) async fn l23_whoever_came_back_is_merged_again(game: Game) {
    let (ann, bob, cid) = (game.user(1).await, game.user(2).await, game.user(3).await);
    // to the same player twice, to another one, and that one to the first
    for (from, into) in [(ann, cid), (ann, cid), (ann, bob), (bob, cid)] {
        game.user(from.get()).await;
        game.award(from, 10).await.unwrap();
        game.merge(from, into).await.unwrap();
        assert_eq!(game.store.users().find(from).await.unwrap(), None);
    }
    assert_eq!(game.points(cid).await, 40);
    // erasing the one who is left does not stand in the way of those who come back
    game.erase(cid).await.unwrap();
    assert!(game.snapshot().await.players.is_empty());
    for user in [ann, bob, cid] {
        game.user(user.get()).await;
        assert_eq!(game.points(user).await, 0);
    }
}

pub(crate) async fn l23_a_reset_of_one_takes_nothing_from_the_other(game: Game) {
    let question = game.statements(1).await[0];
    // who started over: the one who goes, the one who stays, both
    for (n, resets) in (0..).zip([[true, false], [false, true], [true, true]]) {
        let users = [game.user(10 * n + 1).await, game.user(10 * n + 2).await];
        for round in 0..2 {
            for user in users {
                for _ in 0..3 {
                    game.wait(TimeDelta::seconds(1));
                    game.play(user, question, true).await;
                }
                game.award(user, 100).await.unwrap();
            }
            for (user, resets) in users.into_iter().zip(resets) {
                if resets && round == 0 {
                    game.wait(TimeDelta::seconds(1));
                    game.reset(user).await;
                }
            }
        }
        let kept = resets.map(|resets| if resets { 3 } else { 6 });
        let profile = game.merge(users[0], users[1]).await.unwrap();
        assert_eq!(profile.questions_answered, kept[0] + kept[1], "{resets:?}");
        assert_eq!(profile.current_streak, kept[0] + kept[1]);
        assert_eq!(profile, game.profile(users[1]).await);
    }
}

pub(crate) async fn l23_a_merge_names_what_is_wrong(game: Game) {
    let ([ann, bob, _], _) = three(&game).await;
    let before = game.snapshot().await;
    assert_invalid(game.merge(ann, ann).await, "user id");
    assert_missing(game.merge(user_id(404), ann).await, "user");
    assert_missing(game.merge(ann, user_id(404)).await, "user");
    assert_eq!(game.snapshot().await, before);
    game.award(ann, i64::MAX / 2).await.unwrap();
    game.award(bob, i64::MAX / 2 + 1).await.unwrap();
    let before = game.snapshot().await;
    assert_eq!(refusal(game.merge(ann, bob).await), Refusal::Overflow);
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l23_second_answers_of_one_person_do_not_count(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(2).await;
    let session = game.start(1, ann, &ids).await;
    let first = game.answer(bob, &session, false).await.unwrap();
    game.wait(TimeDelta::seconds(1));
    game.answer(ann, &session, true).await.unwrap();
    // and the same challenge in two sessions
    game.play_challenge(ann, ChallengeKind::Daily, &[true]).await;
    game.wait(TimeDelta::seconds(1));
    game.play_challenge(bob, ChallengeKind::Daily, &[true]).await;

    let profile = game.merge(bob, ann).await.unwrap();
    assert_eq!((profile.last_seq, profile.questions_answered, profile.questions_correct), (2, 2, 1));
    assert_eq!((profile.daily_challenges, profile.total_points.get()), (1, 20));
    let facts = game.export(ann).await.facts;
    assert_eq!((facts[0].receipt.key, facts[0].receipt.correct), (first.key, Some(false)), "the first one is final");
    let asked: u64 = game.all_questions().await.iter().map(|question| question.times_asked).sum();
    let right: u64 = game.all_questions().await.iter().map(|question| question.times_correct).sum();
    assert_eq!((asked, right), (2, 1), "what does not count is not counted at the question");
    assert_eq!(refusal(game.answer(ann, &session, true).await), Refusal::AlreadyAnswered);
}

pub(crate) async fn l23_requests_of_a_merged_player_stay_answered(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(1).await;
    game.award(ann, 5).await.unwrap();
    game.wait(TimeDelta::seconds(1));
    let session = game.start(1, bob, &ids).await;
    let mut submission = game.submission(bob, &session, Given::Truth(true));
    let told = game.store.play().submit_answer(submission.clone()).await.unwrap();
    game.merge(bob, ann).await.unwrap();
    assert_missing(game.store.play().submit_answer(submission.clone()).await, "user");
    submission.user_id = ann;
    let receipt = game.store.play().submit_answer(submission).await.unwrap();
    assert_eq!((receipt.user_id, receipt.seq, receipt.total_points.get()), (ann, 2, 15));
    assert_eq!((receipt.key, receipt.at, receipt.points), (told.key, told.at, Points::small(10)));
    assert_eq!(refusal(game.answer(ann, &session, true).await), Refusal::AlreadyAnswered);
    assert_eq!(game.store.sessions().get(session.id).await.unwrap().host, Some(ann));
}

pub(crate) async fn l23_picks_are_united(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(6).await;
    let of_ann = game.pick_new(PickOwner::Player(ann), 2).await.unwrap();
    let mut of_bob = game.pick_new(PickOwner::Player(bob), 3).await.unwrap();
    assert!(of_bob.iter().any(|id| of_ann.contains(id)), "the same seed picks some of the same");
    game.merge(bob, ann).await.unwrap();
    of_bob.retain(|id| !of_ann.contains(id));
    let expected = [of_bob, of_ann].concat();
    assert_eq!(game.export(ann).await.picks, expected, "each once, those of the other one first");
    let left = u32::try_from(ids.len() - expected.len()).unwrap();
    let rest = game.pick_new(PickOwner::Player(ann), left).await.unwrap();
    assert!(rest.iter().all(|id| !expected.contains(id)));
    let none = game.pick_new(PickOwner::Player(ann), 1).await;
    assert_eq!(refusal(none), Refusal::NotEnoughQuestions { available: 0, wanted: 1 });
}

pub(crate) async fn t9_the_smallest_and_the_largest_id_are_merged_and_erased(game: Game) {
    let (least, most) = (game.user(0).await, game.user(i64::MAX).await);
    let ids = game.statements(2).await;
    for (channel, user) in [(0, least), (i64::MAX, most)] {
        let session = game.start(channel, user, &ids).await;
        game.answer(user, &session, true).await.unwrap();
        assert_eq!(game.export(user).await.sessions, [session]);
    }
    assert_eq!(game.merge(most, least).await.unwrap().total_points.get(), 20);
    game.erase(least).await.unwrap();
    assert!(game.snapshot().await.players.is_empty());
    assert_eq!(game.store.sessions().live(channel_id(0)).await.unwrap(), None);
}

pub(crate) async fn l23_concurrent_merges_happen_once(game: Game) {
    let ([ann, bob, _], session) = three(&game).await;
    game.store.play().finish(session.id).await.unwrap();
    let answered = game.profile(ann).await.questions_answered + game.profile(bob).await.questions_answered;
    let results = together(8, |_| {
        let game = game.clone();
        async move { game.merge(bob, ann).await }
    })
    .await;
    let (merged, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(merged.len(), 1);
    for result in refused {
        assert_missing(result, "user");
    }
    // one open question, one daily and five weekly ones were answered by both
    assert_eq!(game.profile(ann).await.questions_answered, answered - 7);
}
