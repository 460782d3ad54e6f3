//! Random histories, played on a store and on the naive model at the same time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use trivia_domain::model::{
    Board, DayKey, Difficulty, GameSession, Given, Points, QuestionId, Receipt, SessionKind, SessionStatus, UserId,
};
use trivia_domain::ports::{AnswerSubmission, AwardRequest, Clock, GrantRequest, ResetRequest};
use trivia_domain::{Refusal, StoreResult};

use super::Game;
use super::content::{category, statement_of};
use super::game::refusal;
use super::model::{Answer, Event, Expected, Player, What};
use super::snapshot::boards;

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

#[derive(Debug, Clone)]
enum Step {
    Start { channel: usize, kind: SessionKind, questions: Vec<usize> },
    Answer { channel: usize, player: usize, correct: bool },
    Advance { channel: usize },
    Finish { channel: usize },
    Expire { channel: usize },
    Award { player: usize, points: i64 },
    Grant { player: usize, which: Index },
    Reset { player: usize },
    Retry { which: Index },
    Wait { milliseconds: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (channel, player) = (0..CHANNELS, 0..PLAYERS);
    let kind =
        prop_oneof![4 => Just(SessionKind::Normal), 1 => Just(SessionKind::Daily), 1 => Just(SessionKind::Weekly)];
    let questions = proptest::sample::subsequence((0..QUESTIONS.len()).collect::<Vec<_>>(), 1..=3);
    let wait = prop_oneof![
        9 => 0..8_000_i64,
        1 => Just(30_001),
        2 => Just(86_400_000),
        1 => 0..4 * 86_400_000_i64,
        1 => -90_000_000..0_i64,
    ];
    prop_oneof![
        6 => (channel.clone(), kind, questions.prop_shuffle())
            .prop_map(|(channel, kind, questions)| Step::Start { channel, kind, questions }),
        20 => (channel.clone(), player.clone(), proptest::bool::weighted(0.9))
            .prop_map(|(channel, player, correct)| Step::Answer { channel, player, correct }),
        8 => channel.clone().prop_map(|channel| Step::Advance { channel }),
        2 => channel.clone().prop_map(|channel| Step::Finish { channel }),
        1 => channel.prop_map(|channel| Step::Expire { channel }),
        2 => (player.clone(), 0..1_500_i64).prop_map(|(player, points)| Step::Award { player, points }),
        1 => (player.clone(), any::<Index>()).prop_map(|(player, which)| Step::Grant { player, which }),
        1 => player.prop_map(|player| Step::Reset { player }),
        2 => any::<Index>().prop_map(|which| Step::Retry { which }),
        4 => wait.prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

/// A session as the model knows it.
#[derive(Debug)]
struct Round {
    session: GameSession,
    questions: Vec<usize>,
    position: usize,
    opened_at: DateTime<Utc>,
    over: bool,
    answered: BTreeSet<(usize, usize)>,
}

impl Round {
    fn is_late(&self, now: DateTime<Utc>) -> bool {
        now - self.opened_at > TimeDelta::seconds(30)
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

struct History {
    game: Game,
    ids: Vec<QuestionId>,
    players: Vec<Player>,
    rounds: BTreeMap<usize, Round>,
    acknowledged: Vec<(Request, Receipt)>,
    asked: BTreeMap<QuestionId, (u64, u64)>,
    days: BTreeSet<DayKey>,
}

/// Points of the rule, counted in milliseconds.
fn points(question: usize, kind: SessionKind, elapsed: TimeDelta) -> i64 {
    let (difficulty, _, own) = QUESTIONS[question];
    let base = match (own, difficulty) {
        (0, Difficulty::Easy) => 10,
        (0, Difficulty::Medium) => 20,
        (0, Difficulty::Hard) => 30,
        (own, _) => i64::from(own),
    };
    match kind {
        SessionKind::Normal => (base * (50_000 - elapsed.num_milliseconds().clamp(0, 25_000)) / 50_000).max(1),
        SessionKind::Daily => base * 2,
        SessionKind::Weekly => base * 3,
    }
}

impl History {
    async fn new(game: Game) -> Self {
        let mut ids = Vec::new();
        for (n, (difficulty, name, own)) in QUESTIONS.into_iter().enumerate() {
            let content = statement_of(&format!("Question {n}"), name, difficulty).with_points(Points::small(own));
            ids.push(game.add(content).await);
        }
        let mut players = Vec::new();
        for id in 0..PLAYERS {
            let user = game.user(i64::try_from(id).unwrap()).await;
            players.push(Player::new(user, game.clock.now()));
        }
        let (rounds, asked) = (BTreeMap::new(), BTreeMap::new());
        Self { game, ids, players, rounds, acknowledged: Vec::new(), asked, days: BTreeSet::new() }
    }

    fn user(&self, player: usize) -> UserId {
        self.players[player].user
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
        self.players[player].events.push(Event { at, what: what.clone() });
        self.days.insert(DayKey::of(at));
        let Expected { profile, unlocked, .. } = self.expected(player);
        let expected = Receipt {
            user_id: profile.user_id,
            key: receipt.key,
            seq: profile.last_seq,
            at,
            correct: if let What::Answer(answer) = &what { Some(answer.correct) } else { None },
            points: Points::new(what.points()).unwrap(),
            total_points: profile.total_points,
            streak: profile.current_streak,
            unlocked,
        };
        assert_eq!(receipt, expected);
        self.acknowledged.push((request, receipt));
    }

    fn expected(&self, player: usize) -> Expected {
        self.players[player].replay(&self.game.store.achievements().definitions())
    }

    async fn take(&mut self, step: Step) {
        let now = self.game.clock.now();
        let play = self.game.store.play();
        match step {
            Step::Wait { milliseconds } => self.game.wait(TimeDelta::milliseconds(milliseconds)),
            Step::Start { channel, kind, questions } => {
                let asked: Vec<_> = questions.iter().map(|at| self.ids[*at]).collect();
                let mut request = self.game.request(i64::try_from(channel).unwrap(), self.user(0), &asked);
                request.kind = kind;
                let result = play.start_session(request).await;
                let occupied = self.rounds.get(&channel).is_some_and(|round| !round.over && !round.is_late(now));
                if occupied {
                    assert_eq!(refusal(result), Refusal::ChannelOccupied);
                    return;
                }
                let session = result.unwrap();
                let answered = BTreeSet::new();
                let round = Round { session, questions, position: 0, opened_at: now, over: false, answered };
                self.rounds.insert(channel, round);
            }
            Step::Answer { channel, player, correct } => self.answer(channel, player, correct).await,
            Step::Advance { channel } => {
                let Some(round) = self.rounds.get_mut(&channel) else { return };
                let session = play.advance(round.session.id, round.position).await.unwrap();
                if !round.over && round.position + 1 == round.questions.len() {
                    round.over = true;
                    assert_eq!((session.status, session.ended_at), (SessionStatus::Finished, Some(now)));
                } else if !round.over {
                    (round.position, round.opened_at) = (round.position + 1, now);
                    assert_eq!(session.open_question().unwrap().opened_at, Some(now));
                }
                assert_eq!((session.position, session.status == SessionStatus::Live), (round.position, !round.over));
            }
            Step::Finish { channel } => {
                let Some(round) = self.rounds.get_mut(&channel) else { return };
                let session = play.finish(round.session.id).await.unwrap();
                assert_ne!(session.status, SessionStatus::Live);
                round.over = true;
            }
            Step::Expire { channel } => {
                let Some(round) = self.rounds.get_mut(&channel) else { return };
                let result = play.expire(round.session.id).await;
                if !round.over && !round.is_late(now) {
                    assert_eq!(refusal(result), Refusal::TimeNotUp);
                    return;
                }
                assert_ne!(result.unwrap().status, SessionStatus::Live);
                round.over = true;
            }
            Step::Award { player, points } => {
                let request = self.game.award_request(self.user(player), points);
                self.accept(player, Request::Award(request), What::Award(points)).await;
            }
            Step::Grant { player, which } => {
                let achievement_id = which.get(&self.game.store.achievements().definitions()).id.clone();
                let what = What::Grant(achievement_id.clone());
                let request = GrantRequest { key: self.game.key(), user_id: self.user(player), achievement_id };
                self.accept(player, Request::Grant(request), what).await;
            }
            Step::Reset { player } => {
                let request = ResetRequest { key: self.game.key(), user_id: self.user(player) };
                self.accept(player, Request::Reset(request), What::Reset).await;
            }
            Step::Retry { which } => {
                if !self.acknowledged.is_empty() {
                    let (request, receipt) = which.get(&self.acknowledged).clone();
                    assert_eq!(self.send(request).await.unwrap(), receipt);
                }
            }
        }
    }

    async fn answer(&mut self, channel: usize, player: usize, correct: bool) {
        let now = self.game.clock.now();
        let user_id = self.user(player);
        let Some(round) = self.rounds.get_mut(&channel) else { return };
        let question = round.questions[round.position];
        let question_id = self.ids[question];
        let submission = AnswerSubmission {
            key: self.game.key(),
            user_id,
            session_id: round.session.id,
            question_id,
            given: Given::Truth(correct),
        };
        let refused = if round.answered.contains(&(player, question)) {
            Some(Refusal::AlreadyAnswered)
        } else if round.over {
            Some(Refusal::SessionOver)
        } else if round.is_late(now) {
            let late_by = now - round.opened_at - TimeDelta::seconds(30);
            Some(Refusal::Late { late_by_ms: late_by.num_milliseconds() })
        } else {
            None
        };
        if let Some(expected) = refused {
            let result = self.game.store.play().submit_answer(submission).await;
            assert_eq!(refusal(result), expected);
            return;
        }
        round.answered.insert((player, question));
        let kind = round.session.kind;
        let is_last = round.position + 1 == round.questions.len();
        let (difficulty, category, _) = QUESTIONS[question];
        let what = What::Answer(Answer {
            correct,
            points: if correct { points(question, kind, now - round.opened_at) } else { 0 },
            difficulty,
            category,
            completes: (is_last && kind != SessionKind::Normal).then_some(kind),
        });
        let (asked, right) = self.asked.entry(question_id).or_default();
        *asked += 1;
        *right += u64::from(correct);
        self.accept(player, Request::Answer(submission), what).await;
    }

    /// Compares everything that is stored with the model.
    async fn compare(&self) {
        let store = self.game.store.as_ref();
        for (at, player) in self.players.iter().enumerate() {
            let Expected { profile, mut achievements, .. } = self.expected(at);
            assert_eq!(store.users().get(player.user).await.unwrap(), profile);
            achievements.sort_by_key(|unlocked| (Reverse(unlocked.seq), unlocked.achievement_id.clone()));
            assert_eq!(store.achievements().of(player.user).await.unwrap(), achievements);

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
        }
        for board in self.days.iter().flat_map(|day| boards(*day)).collect::<Vec<_>>() {
            let mut expected = Vec::new();
            for (at, player) in self.players.iter().enumerate() {
                let line = match board {
                    Board::AllTime => {
                        let profile = self.expected(at).profile;
                        let (answered, correct) = (profile.questions_answered, profile.questions_correct);
                        profile.points_reached_at.map(|at| (profile.total_points.get(), answered, correct, at))
                    }
                    Board::Period { .. } => player.on_board(board),
                };
                if let Some((points, answered, correct, at)) = line {
                    expected.push((Reverse(points), at, player.user, answered, correct));
                }
            }
            expected.sort_unstable();
            let entries = self.game.board(board).await;
            let stored: Vec<_> = entries
                .iter()
                .map(|e| (Reverse(e.points.get()), e.reached_at, e.user_id, e.questions_answered, e.questions_correct))
                .collect();
            assert_eq!(stored, expected, "{board}");
        }
        for question in self.game.all_questions().await {
            let (asked, right) = self.asked.get(&question.id).copied().unwrap_or_default();
            assert_eq!((question.times_asked, question.times_correct), (asked, right));
        }
    }
}

pub(crate) async fn l4_random_histories_match_a_naive_model(game: Game) {
    let runtime = tokio::runtime::Handle::current();
    let config = Config { failure_persistence: None, ..Config::with_cases(32) };
    let histories = proptest::collection::vec(step(), 1..200);
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&histories, |steps| {
                runtime.block_on(async {
                    let mut history = History::new(game.fresh().await).await;
                    for step in steps {
                        history.take(step).await;
                    }
                    history.compare().await;
                });
                Ok(())
            })
            .unwrap();
    });
}
