//! `test`: everything once, on a scratch database. The real one is not even opened.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use tokio::task::JoinSet;
use trivia_domain::model::{
    AchievementCategory, AchievementDefinition, AchievementId, AchievementRule, BackupKind, Board, Calendar,
    ChallengeKind, ChannelId, GameSession, Given, IdempotencyKey, Labels, Pack, PackName, PackPart, Page, Points,
    QuestionContent, QuestionId, SessionStatus, Tag, TimeLimit, UserId, Weekday,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, AwardRequest, CheckOutcome, GrantRequest, MaintenancePort, PickRequest,
    QuestionFilter, ResetRequest, StartChallenge, StartSession, Store, UnitOfWork, Work, execute,
};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count};
use crate::scratch::Scratch;
use crate::wiring::App;

/// One question of each kind; the first two are used in games.
const QUESTIONS: [&str; 3] = [
    r#"{"kind":"multiple_choice","category":"Test","difficulty":"easy","question":"Which is a year?","options":["1995","north"],"answer":"1995"}"#,
    r#"{"kind":"true_false","category":"Test","difficulty":"medium","question":"This is a test.","answer":true}"#,
    r#"{"kind":"fill_blank","category":"Test","difficulty":"hard","question":"Type the word seven.","answer":"seven"}"#,
];

/// What was tried and how it went.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

#[derive(Serialize)]
struct Report {
    checks: Vec<Check>,
}

pub(super) async fn run(app: &App, output: &mut Output) -> CommandResult {
    let scratch = Scratch::new(app.random.as_ref())?;
    let checks = all(&app.moved_to(scratch.path())).await;
    let style = output.style();
    for Check { name, ok, detail } in &checks {
        let label = if *ok { style.good("ok    ") } else { style.bad("FAILED") };
        writeln!(output, "{label} {name}: {detail}")?;
    }
    let failed = checks.iter().filter(|check| !check.ok).count();
    writeln!(output, "\n{}, {failed} failed. Your data was not touched.", count(checks.len(), "check"))?;
    output.report(&Report { checks })?;
    Ok(Verdict::of(failed == 0))
}

async fn all(app: &App) -> Vec<Check> {
    let mut checks = vec![check("schema", schema(app).await)];
    let on_open_database = app
        .with_database(async |database| {
            let bench = Bench { app, store: Arc::new(database.clone()) };
            Ok([
                check("users", bench.users().await),
                check("questions", bench.questions().await),
                check("packs", bench.packs().await),
                check("sessions", bench.sessions().await),
                check("answers", bench.answers().await),
                check("idempotency", bench.idempotency().await),
                check("concurrency", bench.concurrency().await),
                check("achievements", bench.achievements().await),
                check("rankings", bench.rankings().await),
                check("challenges", bench.challenges().await),
                check("rules", bench.rules().await),
                check("people", bench.people().await),
                check("reset", bench.reset().await),
                check("constraints", bench.constraints().await),
                check("atomicity", bench.atomicity().await),
                check("integrity", integrity(database).await),
            ])
        })
        .await;
    match on_open_database {
        Ok(more) => checks.extend(more),
        Err(failure) => checks.push(check("open", Err(failure))),
    }
    checks.push(check("backup and restore", backup_and_restore(app).await));
    checks.push(check("damaged backup", damaged_backup(app).await));
    checks
}

fn check(name: &'static str, finding: Finding) -> Check {
    match finding {
        Ok(detail) => Check { name, ok: true, detail: detail.to_owned() },
        Err(failure) => Check { name, ok: false, detail: failure.to_string() },
    }
}

/// What was proved, in words.
type Finding = Result<&'static str, Failure>;

fn expect(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(otherwise, "report this as a defect")) }
}

/// A scratch database that is open.
struct Bench<'a> {
    app: &'a App,
    store: Arc<dyn Store>,
}

impl Bench<'_> {
    fn key(&self) -> IdempotencyKey {
        IdempotencyKey::generate(self.app.clock.now(), self.app.random.as_ref())
    }

    async fn player(&self, id: i64) -> Result<UserId, Failure> {
        Ok(self.store.users().get_or_create(UserId::new(id)?).await?.user_id)
    }

    async fn points(&self, user: UserId) -> Result<i64, Failure> {
        Ok(self.store.users().get(user).await?.total_points.get())
    }

    /// The first two questions, in order of id.
    async fn game(&self, channel: i64, host: UserId) -> Result<GameSession, Failure> {
        let questions = self.store.questions().list(&QuestionFilter::default(), Page::first(2)).await?;
        let request = StartSession {
            channel_id: ChannelId::new(channel)?,
            host,
            questions: questions.iter().map(|question| question.id).collect(),
            time_limit: TimeLimit::default(),
        };
        Ok(self.store.play().start_session(request).await?)
    }

    fn answer(&self, user_id: UserId, session: &GameSession, at: usize, given: Given) -> AnswerSubmission {
        let question_id = session.questions[at].question_id;
        AnswerSubmission { key: self.key(), user_id, session_id: session.id, question_id, given }
    }

    async fn users(&self) -> Finding {
        let users = self.store.users();
        let id = UserId::new(i64::MAX)?;
        expect(users.find(id).await?.is_none(), "a player is there before being created")?;
        expect(is_missing(&users.get(id).await), "an unknown player is not reported as missing")?;
        let created = users.get_or_create(id).await?;
        expect(users.get_or_create(id).await? == created, "a second creation gives another profile")?;
        expect(users.list(Page::first(10)).await?.contains(&created), "the player is not in the list")?;
        Ok("created once, found, listed")
    }

    async fn questions(&self) -> Finding {
        let questions = self.store.questions();
        let contents = contents()?;
        let added = questions.add(contents.clone()).await?;
        expect(added.iter().all(|one| matches!(one, AddOutcome::Added { .. })), "a new question is not added")?;
        let again = questions.add(contents.clone()).await?;
        expect(again.iter().all(|one| matches!(one, AddOutcome::Duplicate { .. })), "a question is added twice")?;
        let request =
            |count| PickRequest { filter: QuestionFilter::default(), count, exclude: Vec::new(), seed: 7, scope: None };
        let picked = questions.pick(&request(3)).await?;
        expect(picked == questions.pick(&request(3)).await?, "the same seed picks other questions")?;
        let last = picked.last().map(|question| question.id).unwrap_or(QuestionId::new(0)?);
        questions.retire(last).await?;
        let too_few = questions.pick(&request(3)).await;
        let refused = matches!(too_few, Err(StoreError::Refused(Refusal::NotEnoughQuestions { available: 2, .. })));
        expect(refused, "a retired question can still be picked")?;
        questions.restore(last).await?;
        expect(questions.get(last).await?.retired_at.is_none(), "a question cannot be put back")?;
        Ok("added once, picked by seed, retired, put back")
    }

    async fn packs(&self) -> Finding {
        let pack = Pack::new(PackName::new("selftest")?).with(PackPart::Licence, "CC0-1.0")?;
        self.store.packs().put(pack.clone()).await?;
        let known = self.store.packs().get(pack.name()).await?;
        expect(known == pack, "a pack does not read back as it was stored")?;
        let one = self.store.questions().list(&QuestionFilter::default(), Page::first(1)).await?;
        let tag: Tag = "selftest".parse()?;
        let labels = Labels { tags: [tag.clone()].into(), packs: [pack.name().clone()].into() };
        let labelled = one.iter().map(|question| (question.id, labels.clone())).collect();
        self.store.questions().label(labelled).await?;
        let filter = QuestionFilter { tag: Some(tag), pack: Some(pack.name().clone()), ..QuestionFilter::default() };
        let request = PickRequest { filter, count: 1, exclude: Vec::new(), seed: 7, scope: None };
        expect(self.store.questions().pick(&request).await? == one, "a question is not found by its tag and its pack")?;
        Ok("a question is found by its tag and its pack")
    }

    async fn sessions(&self) -> Finding {
        let host = self.player(1).await?;
        let play = self.store.play();
        let session = self.game(1, host).await?;
        let live = self.store.sessions().live(session.channel_id).await?;
        expect(live.as_ref() == Some(&session), "a started session is not the live one")?;
        let second = self.game(1, host).await;
        let occupied = matches!(second, Err(Failure::Store(StoreError::Refused(Refusal::ChannelOccupied))));
        expect(occupied, "a channel takes two sessions")?;
        play.advance(session.id, 0).await?;
        let over = play.advance(session.id, 1).await?;
        expect(over.status == SessionStatus::Finished, "the last question does not end the session")?;
        expect(self.store.sessions().live(session.channel_id).await?.is_none(), "the channel is not free")?;
        Ok("one per channel, advanced, finished, channel free")
    }

    async fn answers(&self) -> Finding {
        let user = self.player(2).await?;
        let session = self.game(2, user).await?;
        let play = self.store.play();
        let right = play.submit_answer(self.answer(user, &session, 0, Given::Choice(0))).await?;
        expect(right.correct == Some(true) && right.points > Points::ZERO, "a right answer gives no points")?;
        play.advance(session.id, 0).await?;
        let wrong = play.submit_answer(self.answer(user, &session, 1, Given::Truth(false))).await?;
        expect(wrong.correct == Some(false) && wrong.points == Points::ZERO, "a wrong answer gives points")?;
        expect((right.streak, wrong.streak) == (1, 0), "the streak does not follow the answers")?;
        play.finish(session.id).await?;
        let profile = self.store.users().get(user).await?;
        expect((profile.questions_answered, profile.questions_correct) == (2, 1), "the profile counts wrongly")?;
        let asked = self.store.questions().get(session.questions[0].question_id).await?;
        expect(asked.times_correct >= 1, "the question does not count its answers")?;
        Ok("right and wrong counted, streak kept")
    }

    async fn idempotency(&self) -> Finding {
        let user = self.player(3).await?;
        let session = self.game(3, user).await?;
        let play = self.store.play();
        let answer = self.answer(user, &session, 0, Given::Choice(0));
        let receipt = play.submit_answer(answer.clone()).await?;
        expect(play.submit_answer(answer.clone()).await? == receipt, "a retry gets another receipt")?;
        let changed = play.submit_answer(AnswerSubmission { given: Given::Choice(1), ..answer.clone() }).await;
        expect(is_refused(&changed, &Refusal::KeyReused), "a key can be used for another answer")?;
        let second = play.submit_answer(AnswerSubmission { key: self.key(), ..answer }).await;
        expect(is_refused(&second, &Refusal::AlreadyAnswered), "a question can be answered twice")?;
        play.finish(session.id).await?;
        expect(self.points(user).await? == receipt.total_points.get(), "a retry counted")?;
        Ok("a retry gets the same receipt and counts once")
    }

    async fn concurrency(&self) -> Finding {
        let user = self.player(4).await?;
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let store = Arc::clone(&self.store);
            let (key, reason) = (self.key(), "twenty at once".to_owned());
            let request = AwardRequest { key, user_id: user, points: Points::small(10), reason };
            tasks.spawn(async move { store.play().award(request).await });
        }
        let receipts: Vec<_> = tasks.join_all().await.into_iter().collect::<StoreResult<_>>()?;
        expect(receipts.len() == 20 && self.points(user).await? == 200, "points were lost between callers")?;
        Ok("20 callers at once, 200 of 200 points")
    }

    async fn achievements(&self) -> Finding {
        let user = self.player(5).await?;
        let definition = self.store.achievements().definitions().await?.into_iter().next();
        let definition =
            definition.ok_or_else(|| Failure::new("there are no achievements", "report this as a defect"))?;
        for _ in 0..2 {
            let request = GrantRequest { key: self.key(), user_id: user, achievement_id: definition.id.clone() };
            self.store.play().grant(request).await?;
        }
        expect(self.points(user).await? == definition.bonus.get(), "a bonus is not paid exactly once")?;
        expect(self.store.achievements().of(user).await?.len() == 1, "an achievement is not there exactly once")?;
        let progress = self.store.achievements().progress(user).await?;
        expect(progress.iter().any(|one| one.unlocked), "progress does not show what is unlocked")?;
        Ok("granted twice, paid once")
    }

    async fn rankings(&self) -> Finding {
        let rankings = self.store.rankings();
        for (id, points) in [(11, 5_000), (12, 4_000), (13, 4_000), (14, 3_000)] {
            let user_id = self.player(id).await?;
            let (key, points, reason) = (self.key(), Points::small(points), "for the board".to_owned());
            self.store.play().award(AwardRequest { key, user_id, points, reason }).await?;
        }
        let page = rankings.page(Board::AllTime, None, 4).await?;
        let ranks: Vec<u64> = page.entries.iter().map(|entry| entry.rank).collect();
        expect(ranks == [1, 2, 2, 4], "equal points do not share a rank")?;
        let third = rankings.standing(Board::AllTime, UserId::new(13)?).await?;
        expect(third.is_some_and(|standing| standing.rank == 2), "board and standing disagree")?;
        let around = rankings.around(Board::AllTime, UserId::new(12)?, 1).await?;
        expect(around.len() == 3, "the neighbours of a player are not shown")?;
        Ok("ties share a rank, board and standing agree")
    }

    async fn challenges(&self) -> Finding {
        let mut seen = Vec::new();
        for id in [6, 7] {
            let (user, kind) = (self.player(id).await?, ChallengeKind::Daily);
            let (channel_id, time_limit) = (ChannelId::new(id)?, TimeLimit::default());
            let request = StartChallenge { channel_id, host: user, kind, time_limit };
            for attempt in 0..2 {
                let session = self.store.play().start_challenge(request.clone()).await?;
                let question = self.store.questions().get(session.questions[0].question_id).await?;
                let Some(given) = question.content.read(question.content.answer()) else {
                    return Err(Failure::new("a right answer cannot be read", "report this as a defect"));
                };
                let answered = self.store.play().submit_answer(self.answer(user, &session, 0, given)).await;
                match attempt {
                    0 => expect(answered?.correct == Some(true), "a right answer to a challenge is wrong")?,
                    _ => expect(is_refused(&answered, &Refusal::AlreadyAnswered), "a challenge can be played twice")?,
                }
                self.store.play().finish(session.id).await?;
                seen.push((session.challenge, question.id));
            }
            expect(self.store.users().get(user).await?.daily_challenges == 1, "a challenge is not counted once")?;
        }
        seen.dedup();
        expect(seen.len() == 1, "two players are asked different questions of the day")?;
        Ok("the same for everybody, one attempt a player")
    }

    async fn rules(&self) -> Finding {
        let rules = self.store.rules();
        let before = rules.rules().await?.calendar;
        let calendar = Calendar { zone: "Pacific/Kiritimati".parse()?, week_start: Weekday::Sunday };
        rules.set_calendar(calendar).await?;
        expect(rules.rules().await?.calendar == calendar, "the calendar is not kept")?;
        rules.set_calendar(before).await?;
        let newcomer = AchievementDefinition {
            id: AchievementId::new("self_test")?,
            name: "Self-test".into(),
            emoji: "T".into(),
            category: AchievementCategory::Participation,
            rule: AchievementRule::Answered { at_least: 1 },
            bonus: Points::small(1),
            hidden: false,
        };
        let (user, id) = (self.player(2).await?, newcomer.id.clone());
        let points = self.points(user).await?;
        expect(rules.define_achievement(newcomer.clone()).await? > 0, "a new achievement is given to nobody")?;
        expect(self.points(user).await? > points, "who has earned a new achievement does not get it")?;
        expect(rules.define_achievement(newcomer).await? == 0, "the same definition changes something")?;
        rules.retire_achievement(&id).await?;
        let has = self.store.achievements().of(user).await?.iter().any(|one| one.achievement_id == id);
        expect(has, "who has an achievement loses it when it is retired")?;
        Ok("calendar set, an achievement earned before it was there")
    }

    async fn people(&self) -> Finding {
        let people = self.store.people();
        let (one, other) = (self.player(2).await?, self.player(3).await?);
        let facts = people.export(one).await?.facts.len() + people.export(other).await?.facts.len();
        let profile = people.merge(other, one).await?;
        expect(is_missing(&people.export(other).await), "a merged player is still there")?;
        expect(people.export(one).await?.facts.len() == facts, "a merge loses what was played")?;
        expect(self.store.users().get(one).await? == profile, "a merge shows another profile than it stores")?;
        people.erase(one).await?;
        expect(is_missing(&people.export(one).await), "an erased player is still there")?;
        let standing = self.store.rankings().standing(Board::AllTime, one).await?;
        expect(standing.is_none(), "an erased player is on the board")?;
        Ok("exported, merged, erased")
    }

    async fn reset(&self) -> Finding {
        let user = self.player(11).await?;
        self.store.play().reset(ResetRequest { key: self.key(), user_id: user }).await?;
        expect(self.points(user).await? == 0, "a player who starts over keeps points")?;
        let standing = self.store.rankings().standing(Board::AllTime, user).await?;
        expect(standing.is_none(), "a player who starts over stays on the board")?;
        Ok("points and board are cleared")
    }

    async fn constraints(&self) -> Finding {
        let play = self.store.play();
        let (key, points) = (self.key(), Points::small(1));
        let nobody = AwardRequest { key, user_id: UserId::new(404)?, points, reason: "nobody".to_owned() };
        expect(is_missing(&play.award(nobody).await), "an unknown player gets points")?;
        let host = self.player(1).await?;
        let unknown = StartSession {
            channel_id: ChannelId::new(9)?,
            host,
            questions: vec![QuestionId::new(i64::MAX)?],
            time_limit: TimeLimit::default(),
        };
        expect(is_missing(&play.start_session(unknown).await), "an unknown question can be asked")?;
        let questions = self.store.questions().list(&QuestionFilter::default(), Page::first(2)).await?;
        let [first, second] = questions.as_slice() else {
            return Err(Failure::new("the questions are gone", "report this as a defect"));
        };
        let update = self.store.questions().update(second.id, first.content.clone()).await;
        expect(matches!(update, Err(StoreError::Conflict { .. })), "two questions can become the same")?;
        Ok("unknown players and questions and equal questions are refused")
    }

    async fn atomicity(&self) -> Finding {
        let user = UserId::new(21)?;
        let failed = execute(self.store.as_ref(), &CreateAndFail(user)).await;
        expect(failed.is_err(), "a failing unit of work succeeds")?;
        expect(self.store.users().find(user).await?.is_none(), "a failed unit of work left something behind")?;
        Ok("a failed unit of work leaves nothing")
    }
}

/// Makes a player and then fails.
struct CreateAndFail(UserId);

#[async_trait]
impl Work for CreateAndFail {
    type Output = ();

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()> {
        uow.users().get_or_create(self.0).await?;
        Err(StoreError::invalid("test", "it is meant to fail"))
    }
}

async fn schema(app: &App) -> Finding {
    app.migrate_up(None).await?;
    expect(app.schema_status().await?.pending.is_empty(), "migrations are pending after all were applied")?;
    expect(app.migrate_up(None).await?.is_empty(), "migrations run twice")?;
    Ok("all migrations applied, each once")
}

async fn integrity(database: &dyn MaintenancePort) -> Finding {
    match database.check().await {
        CheckOutcome::Ok => Ok("pages, keys, constraints and sums are right"),
        CheckOutcome::Bad { problems } => Err(Failure::new(problems.join("; "), "report this as a defect")),
        CheckOutcome::CouldNotCheck { reason } => Err(Failure::new(reason, "try again")),
    }
}

async fn backup_and_restore(app: &App) -> Finding {
    let backups = app.backups();
    let before = snapshot(app).await?;
    let backup = backups.create(BackupKind::Manual, "self-test").await?;
    expect(backups.verify(&backup.manifest.id).await?.ok, "a new backup does not pass verification")?;
    app.with_database(async |database| {
        let store: &dyn Store = database;
        store.users().get_or_create(UserId::new(99)?).await?;
        Ok(())
    })
    .await?;
    expect(snapshot(app).await? != before, "a new player is not stored")?;
    let report = backups.restore(&backup.manifest.id).await?;
    expect(report.previous.is_some(), "the state before a restore is not kept")?;
    expect(snapshot(app).await? == before, "a restore does not bring back what was there")?;
    Ok("backed up, changed, restored, the same as before")
}

/// The players as they are stored.
async fn snapshot(app: &App) -> Result<String, Failure> {
    app.with_database(async |database| {
        let store: &dyn Store = database;
        Ok(format!("{:?}", store.users().list(Page::first(1_000)).await?))
    })
    .await
}

async fn damaged_backup(app: &App) -> Finding {
    let backups = app.backups();
    let backup = backups.create(BackupKind::Manual, "self-test").await?;
    flip_a_bit(&backup.path, backup.manifest.bytes / 2)
        .map_err(|error| Failure::because("cannot damage a backup", "look at TMPDIR", error))?;
    expect(!backups.verify(&backup.manifest.id).await?.ok, "a damaged backup passes verification")?;
    expect(backups.restore(&backup.manifest.id).await.is_err(), "a damaged backup can be restored")?;
    Ok("one flipped bit is found, and the backup refused")
}

fn flip_a_bit(path: &str, at: u64) -> std::io::Result<()> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 1;
    file.write_all_at(&byte, at)
}

fn contents() -> Result<Vec<QuestionContent>, Failure> {
    let parsed: Result<Vec<_>, _> = QUESTIONS.iter().map(|line| serde_json::from_str(line)).collect();
    parsed.map_err(|error| Failure::because("the test questions are broken", "report this as a defect", error))
}

fn is_missing<T>(result: &StoreResult<T>) -> bool {
    matches!(result, Err(StoreError::Missing { .. }))
}

fn is_refused<T>(result: &StoreResult<T>, refusal: &Refusal) -> bool {
    matches!(result, Err(StoreError::Refused(found)) if found == refusal)
}
