//! Random histories, played on a store and on the naive model at the same time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use trivia_domain::model::{
    AchievementRule, Board, Calendar, ChallengeId, ChallengeKind, Difficulty, GameSession, Given, Points, QuestionId,
    Receipt, SessionStatus, UserId, Weekday,
};
use trivia_domain::ports::{AnswerSubmission, AwardRequest, Clock, GrantRequest, ResetRequest};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::Game;
use super::content::{category, statement_of};
use super::game::{assert_invalid, definition, refusal, user_id, zone};
use super::model::{Answer, Expected, Player, Rules, What};

/// Replays the histories of a run that failed: it prints this variable.
const SEED: &str = "TRIVIA_TEST_SEED";

const PLAYERS: usize = 3;
const CHANNELS: usize = 2;
/// Difficulty, category and points of the questions; 0 means those of the difficulty.
const QUESTIONS: [(Difficulty, &str, u32); 5] = [
    (Difficulty::Easy, "Art", 0),
    (Difficulty::Medium, "Art", 0),
    (Difficulty::Hard, "Sport", 0),
    (Difficulty::Hard, "Art", 333),
    (Difficulty::Easy, "Sport", 1),
];
const ZONES: [&str; 4] = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"];
/// What a history plays by; the next one on its turn.
const CALENDARS: [(&str, Weekday); 4] = [
    ("UTC", Weekday::Monday),
    ("UTC", Weekday::Sunday),
    ("America/New_York", Weekday::Sunday),
    ("Pacific/Kiritimati", Weekday::Thursday),
];
/// Longer than any history.
const DAYS_OF_A_HISTORY: i64 = 1_000;

#[derive(Debug, Clone)]
enum Step {
    Start { channel: usize, questions: Vec<usize> },
    Challenge { channel: usize, kind: ChallengeKind },
    Answer { channel: usize, player: usize, correct: bool },
    Advance { channel: usize },
    Finish { channel: usize },
    Expire { channel: usize },
    Forget { hours: i64 },
    Award { player: usize, points: i64 },
    Grant { player: usize, which: Index },
    Reset { player: usize },
    Zone { player: usize, zone: &'static str },
    Erase { player: usize },
    Merge { from: usize, into: usize },
    Retry { which: Index },
    Wait { milliseconds: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (channel, player) = (0..CHANNELS, 0..PLAYERS);
    let questions = proptest::sample::subsequence((0..QUESTIONS.len()).collect::<Vec<_>>(), 1..=3);
    let kind = proptest::sample::select(ChallengeKind::ALL.to_vec());
    let wait = prop_oneof![
        9 => 0..8_000_i64,
        1 => Just(30_001),
        2 => Just(86_400_000),
        1 => 0..4 * 86_400_000_i64,
        1 => -90_000_000..0_i64,
    ];
    prop_oneof![
        8 => (channel.clone(), questions.prop_shuffle())
            .prop_map(|(channel, questions)| Step::Start { channel, questions }),
        6 => (channel.clone(), kind).prop_map(|(channel, kind)| Step::Challenge { channel, kind }),
        40 => (channel.clone(), player.clone(), proptest::bool::weighted(0.9))
            .prop_map(|(channel, player, correct)| Step::Answer { channel, player, correct }),
        20 => channel.clone().prop_map(|channel| Step::Advance { channel }),
        4 => channel.clone().prop_map(|channel| Step::Finish { channel }),
        2 => channel.prop_map(|channel| Step::Expire { channel }),
        1 => (0..48_i64).prop_map(|hours| Step::Forget { hours }),
        4 => (player.clone(), 0..1_500_i64).prop_map(|(player, points)| Step::Award { player, points }),
        2 => (player.clone(), any::<Index>()).prop_map(|(player, which)| Step::Grant { player, which }),
        1 => player.clone().prop_map(|player| Step::Reset { player }),
        2 => (player.clone(), proptest::sample::select(ZONES.to_vec()))
            .prop_map(|(player, zone)| Step::Zone { player, zone }),
        1 => player.clone().prop_map(|player| Step::Erase { player }),
        1 => (player.clone(), player).prop_map(|(from, into)| Step::Merge { from, into }),
        4 => any::<Index>().prop_map(|which| Step::Retry { which }),
        8 => wait.prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

/// A session as the model knows it.
#[derive(Debug)]
struct Round {
    session: GameSession,
    questions: Vec<QuestionId>,
    position: usize,
    opened_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    answered: BTreeSet<(usize, QuestionId)>,
}

impl Round {
    fn new(session: GameSession, questions: Vec<QuestionId>, opened_at: DateTime<Utc>) -> Self {
        Self { session, questions, position: 0, opened_at, ended_at: None, answered: BTreeSet::new() }
    }

    fn deadline(&self) -> DateTime<Utc> {
        self.opened_at + TimeDelta::seconds(30)
    }

    fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }
}

/// A move that was acknowledged and may be sent again.
#[derive(Debug, Clone)]
enum Request {
    Answer(AnswerSubmission),
    Award(AwardRequest),
    Grant(GrantRequest),
    Reset(ResetRequest),
}

/// A store on which one history is played after the other, each by other players at another time.
struct World {
    game: Game,
    rules: Rules,
    ids: Vec<QuestionId>,
    played: u32,
}

impl World {
    /// A new store with a calendar, the questions, and achievements that a short history can reach.
    async fn new(game: Game, number: u32) -> Self {
        let (zone_name, week_start) = CALENDARS[number as usize % CALENDARS.len()];
        let calendar = Calendar { zone: zone(zone_name), week_start };
        game.store.rules().set_calendar(calendar).await.unwrap();
        for (n, rule) in (1..).zip([
            AchievementRule::Accuracy { percent: 75, answered: 8 },
            AchievementRule::DayStreak { at_least: 2 },
            AchievementRule::DifficultyCorrect { difficulty: Difficulty::Hard, at_least: 3 },
            AchievementRule::DailyChallenges { at_least: 2 },
            AchievementRule::WeeklyChallenges { at_least: 1 },
        ]) {
            let definition = definition(&format!("short_{n}"), rule, 10 * n);
            game.store.rules().define_achievement(definition).await.unwrap();
        }
        let mut ids = Vec::new();
        for (n, (difficulty, name, own)) in QUESTIONS.into_iter().enumerate() {
            let content = statement_of(&format!("Question {n}"), name, difficulty).with_points(Points::small(own));
            ids.push(game.add(content).await);
        }
        let definitions = game.store.achievements().definitions().await.unwrap();
        Self { game, rules: Rules { definitions, calendar }, ids, played: 0 }
    }

    async fn play(&mut self, steps: Vec<Step>) {
        let mut history = History::new(self).await;
        for step in steps {
            history.take(step).await;
        }
        history.compare().await;
        self.played += 1;
    }
}

struct History<'a> {
    game: &'a Game,
    rules: &'a Rules,
    ids: &'a [QuestionId],
    /// Ids of players and channels start here.
    first: i64,
    players: Vec<Player>,
    /// What each has now.
    expected: Vec<Expected>,
    rounds: BTreeMap<usize, Round>,
    challenges: BTreeMap<ChallengeId, Vec<QuestionId>>,
    acknowledged: Vec<(usize, Request, Receipt)>,
    asked: BTreeMap<QuestionId, (u64, u64)>,
    boards: HashSet<Board>,
}

/// Points of the rule, counted in milliseconds.
fn points(question: usize, challenge: Option<ChallengeKind>, elapsed: TimeDelta) -> i64 {
    let (difficulty, _, own) = QUESTIONS[question];
    let base = match (own, difficulty) {
        (0, Difficulty::Easy) => 10,
        (0, Difficulty::Medium) => 20,
        (0, Difficulty::Hard) => 30,
        (own, _) => i64::from(own),
    };
    match challenge {
        None => (base * (50_000 - elapsed.num_milliseconds().clamp(0, 25_000)) / 50_000).max(1),
        Some(ChallengeKind::Daily) => base * 2,
        Some(ChallengeKind::Weekly) => base * 3,
    }
}

impl<'a> History<'a> {
    async fn new(world: &'a World) -> Self {
        let World { game, rules, ids, played } = world;
        let first = i64::from(*played) * 10;
        game.clock.set("2026-03-04T12:00:00Z".parse().unwrap());
        game.wait(TimeDelta::days(DAYS_OF_A_HISTORY * i64::from(*played)));
        let mut asked = BTreeMap::new();
        for question in game.all_questions().await {
            asked.insert(question.id, (question.times_asked, question.times_correct));
        }
        let mut history = Self {
            game,
            rules,
            ids,
            first,
            players: Vec::new(),
            expected: Vec::new(),
            rounds: BTreeMap::new(),
            challenges: BTreeMap::new(),
            acknowledged: Vec::new(),
            asked,
            boards: HashSet::from([Board::AllTime]),
        };
        for player in 0..PLAYERS {
            let nobody = Player::new(user_id(first + i64::try_from(player).unwrap()), game.clock.now());
            history.expected.push(nobody.nothing());
            history.players.push(nobody);
            history.start_anew(player).await;
        }
        history
    }

    /// A player who has not played, with the id of this one.
    async fn start_anew(&mut self, player: usize) {
        let user = self.user(player);
        self.players[player] = Player::new(user, self.game.clock.now());
        self.expected[player] = self.players[player].nothing();
        self.game.user(user.get()).await;
        assert_eq!(self.game.profile(user).await, self.expected[player].profile);
    }

    fn user(&self, player: usize) -> UserId {
        self.players[player].user
    }

    fn channel(&self, channel: usize) -> i64 {
        // not the channel of a person
        2_000_000_000 + self.first + i64::try_from(channel).unwrap()
    }

    async fn send(&self, request: Request) -> StoreResult<Receipt> {
        let play = self.game.store.play();
        match request {
            Request::Answer(submission) => play.submit_answer(submission).await,
            Request::Award(request) => play.award(request).await,
            Request::Grant(request) => play.grant(request).await,
            Request::Reset(request) => play.reset(request).await,
        }
    }

    /// Sends a move that must be accepted, and compares the receipt with the model.
    async fn accept(&mut self, player: usize, request: Request, what: What) {
        let at = self.game.clock.now();
        let receipt = self.send(request.clone()).await.unwrap();
        self.players[player].play(at, what);
        let day = self.rules.day(at);
        self.boards.extend(
            trivia_domain::model::Period::ALL
                .map(|period| Board::Period { period, start: self.rules.start(period, day) }),
        );
        let seq = self.players[player].events.len();
        self.players[player].step(seq, &mut self.expected[player], self.rules);
        assert_eq!(receipt, self.receipt(player, seq, &self.expected[player], &receipt));
        self.acknowledged.push((player, request, receipt));
    }

    /// What the player must be told about event number `seq`, after which this is there.
    fn receipt(&self, player: usize, seq: usize, expected: &Expected, told: &Receipt) -> Receipt {
        let event = &self.players[player].events[seq - 1];
        Receipt {
            user_id: self.user(player),
            key: told.key,
            seq: seq as u64,
            at: event.at,
            correct: if let What::Answer(answer) = &event.what { Some(answer.correct) } else { None },
            points: Points::new(event.what.points()).unwrap(),
            total_points: expected.profile.total_points,
            streak: expected.profile.current_streak,
            unlocked: expected.unlocked.clone(),
        }
    }

    async fn take(&mut self, step: Step) {
        let now = self.game.clock.now();
        let play = self.game.store.play();
        match step {
            Step::Wait { milliseconds } => self.game.wait(TimeDelta::milliseconds(milliseconds)),
            Step::Start { channel, questions } => {
                let asked: Vec<_> = questions.iter().map(|at| self.ids[*at]).collect();
                let request = self.game.request(self.channel(channel), self.user(0), &asked);
                let result = play.start_session(request).await;
                self.started(channel, result, |_| asked);
            }
            Step::Challenge { channel, kind } => {
                let result = self.game.try_challenge(self.channel(channel), self.user(0), kind).await;
                let id = self.rules.challenge(kind, now);
                let mut challenges = std::mem::take(&mut self.challenges);
                self.started(channel, result, |session| {
                    assert_eq!(session.challenge, Some(id));
                    let asked = session.questions.iter().map(|asked| asked.question_id).collect();
                    challenges.entry(id).or_insert(asked).clone()
                });
                self.challenges = challenges;
            }
            Step::Answer { channel, player, correct } => self.answer(channel, player, correct).await,
            Step::Advance { channel } => {
                let Some(round) = self.rounds.get_mut(&channel) else { return };
                let session = play.advance(round.session.id, round.position).await.unwrap();
                if !round.is_over() && round.position + 1 == round.questions.len() {
                    round.ended_at = Some(now);
                    assert_eq!(session.status, SessionStatus::Finished);
                } else if !round.is_over() {
                    (round.position, round.opened_at) = (round.position + 1, now);
                    assert_eq!(session.open_question().unwrap().opened_at, Some(now));
                }
                assert_eq!((session.position, session.ended_at), (round.position, round.ended_at));
            }
            Step::Finish { channel } => {
                let Some(round) = self.rounds.get_mut(&channel) else { return };
                let session = play.finish(round.session.id).await.unwrap();
                round.ended_at = round.ended_at.or(Some(now));
                assert_eq!(session.ended_at, round.ended_at);
            }
            Step::Expire { channel } => {
                let Some(round) = self.rounds.get_mut(&channel) else { return };
                let result = play.expire(round.session.id).await;
                if !round.is_over() && now <= round.deadline() {
                    assert_eq!(refusal(result), Refusal::TimeNotUp);
                    return;
                }
                round.ended_at = round.ended_at.or(Some(round.deadline()));
                assert_eq!(result.unwrap().ended_at, round.ended_at);
            }
            Step::Forget { hours } => self.forget(now - TimeDelta::hours(hours)).await,
            Step::Award { player, points } => {
                let request = self.game.award_request(self.user(player), points);
                self.accept(player, Request::Award(request), What::Award(points)).await;
            }
            Step::Grant { player, which } => {
                let achievement_id = which.get(&self.rules.definitions).id.clone();
                let what = What::Grant(achievement_id.clone());
                let request = GrantRequest { key: self.game.key(), user_id: self.user(player), achievement_id };
                self.accept(player, Request::Grant(request), what).await;
            }
            Step::Reset { player } => {
                let request = ResetRequest { key: self.game.key(), user_id: self.user(player) };
                self.accept(player, Request::Reset(request), What::Reset).await;
            }
            Step::Zone { player, zone: name } => {
                self.players[player].zone = zone(name);
                self.expected[player].profile.time_zone = zone(name);
                let profile = self.game.store.users().set_time_zone(self.user(player), zone(name)).await.unwrap();
                assert_eq!(profile, self.expected[player].profile);
            }
            Step::Erase { player } => {
                self.game.store.people().erase(self.user(player)).await.unwrap();
                self.acknowledged.retain(|(of, ..)| *of != player);
                for round in self.rounds.values_mut() {
                    round.answered.retain(|(of, _)| *of != player);
                }
                self.start_anew(player).await;
            }
            Step::Merge { from, into } => self.merge(from, into).await,
            Step::Retry { which } => {
                if !self.acknowledged.is_empty() {
                    let (_, request, receipt) = which.get(&self.acknowledged).clone();
                    assert_eq!(self.send(request).await.unwrap(), receipt);
                }
            }
        }
    }

    /// Expects a session with the questions in a free channel, and a refusal in another.
    fn started(
        &mut self,
        channel: usize,
        result: StoreResult<GameSession>,
        questions: impl FnOnce(&GameSession) -> Vec<QuestionId>,
    ) {
        let now = self.game.clock.now();
        if self.rounds.get(&channel).is_some_and(|round| !round.is_over() && now <= round.deadline()) {
            assert_eq!(refusal(result), Refusal::ChannelOccupied);
            return;
        }
        let session = result.unwrap();
        let questions = questions(&session);
        let asked: Vec<_> = session.questions.iter().map(|asked| asked.question_id).collect();
        assert_eq!(asked, questions);
        self.rounds.insert(channel, Round::new(session, questions, now));
    }

    async fn answer(&mut self, channel: usize, player: usize, correct: bool) {
        let now = self.game.clock.now();
        let user_id = self.user(player);
        let Some(round) = self.rounds.get_mut(&channel) else { return };
        let question_id = round.questions[round.position];
        let session_id = round.session.id;
        let challenge = round.session.challenge;
        let key = self.game.key();
        let submission = AnswerSubmission { key, user_id, session_id, question_id, given: Given::Truth(correct) };
        let attempts = challenge.map(|id| self.players[player].attempts(id.kind)).unwrap_or_default();
        let attempt = attempts.iter().find(|attempt| Some(attempt.challenge) == challenge);
        let in_challenge = attempt.is_some_and(|attempt| attempt.has_answered(question_id));
        let refused = if in_challenge || round.answered.contains(&(player, question_id)) {
            Some(Refusal::AlreadyAnswered)
        } else if round.is_over() {
            Some(Refusal::SessionOver)
        } else if now > round.deadline() {
            Some(Refusal::Late { late_by_ms: (now - round.deadline()).num_milliseconds() })
        } else {
            None
        };
        if let Some(expected) = refused {
            let result = self.game.store.play().submit_answer(submission).await;
            assert_eq!(refusal(result), expected);
            return;
        }
        round.answered.insert((player, question_id));
        let question = self.ids.iter().position(|id| *id == question_id).unwrap();
        let (difficulty, category, _) = QUESTIONS[question];
        let kind = challenge.map(|challenge| challenge.kind);
        let what = What::Answer(Answer {
            correct,
            points: if correct { points(question, kind, now - round.opened_at) } else { 0 },
            difficulty,
            category,
            session: session_id,
            question: question_id,
            challenge: challenge.map(|id| (id, round.questions.len())),
        });
        let (asked, right) = self.asked.get_mut(&question_id).unwrap();
        *asked += 1;
        *right += u64::from(correct);
        self.accept(player, Request::Answer(submission), what).await;
    }

    async fn forget(&mut self, before: DateTime<Utc>) {
        let sessions = self.game.store.sessions();
        sessions.forget_ended(before).await.unwrap();
        for round in self.rounds.values() {
            let is_forgotten = round.ended_at.is_some_and(|ended_at| ended_at < before);
            let found = sessions.find(round.session.id).await.unwrap();
            assert_eq!(found.is_none(), is_forgotten, "{:?} before {before}", round.ended_at);
        }
        self.rounds.retain(|_, round| round.ended_at.is_none_or(|ended_at| ended_at >= before));
    }

    async fn merge(&mut self, from: usize, into: usize) {
        let result = self.game.store.people().merge(self.user(from), self.user(into)).await;
        if from == into {
            assert_invalid(result, "user id");
            return;
        }
        let (merged, dropped) = Player::merge(&self.players[into], &self.players[from]);
        for answer in dropped {
            let (asked, right) = self.asked.get_mut(&answer.question).unwrap();
            *asked -= 1;
            *right -= u64::from(answer.correct);
        }
        self.expected[into] = merged.replay(self.rules);
        self.players[into] = merged;
        assert_eq!(result.unwrap(), self.expected[into].profile);
        for round in self.rounds.values_mut() {
            let answered = std::mem::take(&mut round.answered);
            let now_of = |player| if player == from { into } else { player };
            round.answered = answered.into_iter().map(|(player, question)| (now_of(player), question)).collect();
        }
        // their receipts are others now: `compare` looks at them
        self.acknowledged.retain(|(player, ..)| ![from, into].contains(player));
        let missing = self.game.store.users().get(self.user(from)).await;
        assert!(matches!(missing, Err(StoreError::Missing { .. })));
        self.start_anew(from).await;
    }

    /// Compares everything that is stored with the model.
    async fn compare(&self) {
        let store = self.game.store.as_ref();
        for (at, player) in self.players.iter().enumerate() {
            let Expected { profile, mut achievements, .. } = self.expected[at].clone();
            assert_eq!(store.users().get(player.user).await.unwrap(), profile);
            achievements.sort_by_key(|unlocked| (Reverse(unlocked.seq), unlocked.achievement_id.clone()));
            assert_eq!(store.achievements().of(player.user).await.unwrap(), achievements);
            for kind in ChallengeKind::ALL {
                let attempts = store.challenges().history(player.user, kind, 10_000).await.unwrap();
                assert_eq!(attempts, player.attempts(kind));
            }

            let breakdown = store.users().breakdown(player.user).await.unwrap();
            for difficulty in Difficulty::ALL {
                let stored = breakdown.by_difficulty.get(&difficulty).copied().unwrap_or_default();
                assert_eq!(stored, player.tally(|answer| answer.difficulty == difficulty), "{difficulty}");
            }
            for name in ["Art", "Sport"] {
                let stored = breakdown.by_category.get(&category(name)).copied().unwrap_or_default();
                assert_eq!(stored, player.tally(|answer| answer.category == name), "{name}");
            }
            let recent: Vec<_> = breakdown.recent.iter().map(|a| (a.correct, a.points.get(), a.at)).collect();
            assert_eq!(recent, player.recent());

            let facts = store.people().export(player.user).await.unwrap().facts;
            assert_eq!(facts.len(), player.events.len());
            let mut so_far = player.nothing();
            for ((fact, event), seq) in facts.iter().zip(&player.events).zip(1..) {
                player.step(seq, &mut so_far, self.rules);
                assert_eq!((fact.entry.seq, fact.entry.at, fact.entry.day), (seq as u64, event.at, event.day));
                assert_eq!(fact.receipt, self.receipt(at, seq, &so_far, &fact.receipt));
            }
        }
        for board in &self.boards {
            self.compare_board(*board).await;
        }
        for question in self.game.all_questions().await {
            assert_eq!((question.times_asked, question.times_correct), self.asked[&question.id]);
        }
    }

    async fn compare_board(&self, board: Board) {
        let mut expected = Vec::new();
        for (player, Expected { profile, .. }) in self.players.iter().zip(&self.expected) {
            let line = match board {
                Board::AllTime => {
                    let (answered, correct) = (profile.questions_answered, profile.questions_correct);
                    profile.points_reached_at.map(|at| (profile.total_points.get(), answered, correct, at))
                }
                Board::Period { .. } => player.on_board(board, self.rules),
            };
            if let Some((points, answered, correct, at)) = line {
                expected.push((Reverse(points), at, player.user, answered, correct));
            }
        }
        expected.sort_unstable();
        let mut entries = self.game.board(board).await;
        // the players of other histories stand between them
        entries.retain(|entry| self.players.iter().any(|player| player.user == entry.user_id));
        let stored: Vec<_> = entries
            .iter()
            .map(|e| (Reverse(e.points.get()), e.reached_at, e.user_id, e.questions_answered, e.questions_correct))
            .collect();
        assert_eq!(stored, expected, "{board}");
    }
}

/// The seed of this run: a new one, or that of a run to see again.
fn seed() -> u64 {
    let seed = std::env::var(SEED).map_or_else(|_| rand_seed(), |text| text.parse().expect("the seed is a number"));
    eprintln!("{SEED}={seed} plays these histories again");
    seed
}

fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

pub(crate) async fn l4_random_histories_match_a_naive_model(game: Game) {
    let runtime = tokio::runtime::Handle::current();
    let super::Histories { cases, per_store } = game.histories();
    let rng_seed = RngSeed::Fixed(seed());
    let config = Config { failure_persistence: None, rng_seed, ..Config::with_cases(cases) };
    let histories = proptest::collection::vec(step(), 1..200);
    let world: Mutex<(u32, Option<World>)> = Mutex::default();
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&histories, |steps| {
                // after a history that failed, the next one gets a store of its own
                let is_whole = !world.is_poisoned();
                world.clear_poison();
                let mut opened = world.lock().unwrap_or_else(PoisonError::into_inner);
                let (stores, current) = &mut *opened;
                runtime.block_on(async {
                    let mut world = match current.take().filter(|_| is_whole) {
                        Some(world) if world.played < per_store => world,
                        last => {
                            if let Some(world) = last {
                                world.game.verify().await;
                            }
                            *stores += 1;
                            World::new(game.fresh().await, *stores).await
                        }
                    };
                    world.play(steps).await;
                    *current = Some(world);
                });
                Ok(())
            })
            .unwrap();
    });
    let (_, last) = world.into_inner().unwrap_or_else(PoisonError::into_inner);
    last.expect("a history was played").game.verify().await;
}
