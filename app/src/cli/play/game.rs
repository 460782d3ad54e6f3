//! A game of one player.

use std::time::Duration;

use trivia_domain::model::{
    ChannelId, GameSession, Given, IdempotencyKey, Question, QuestionBody, QuestionContent, QuestionId, Receipt,
    SessionQuestion, TimeLimit, UserId,
};
use trivia_domain::play::points_for;
use trivia_domain::ports::{
    AnswerSubmission, PickOwner, PickRequest, PickScope, StartChallenge, StartSession, Store, WhenExhausted,
};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::input::{Input, Line};
use super::shown::Shown;
use super::{Args, End, Score};
use crate::error::Failure;
use crate::output::{Output, printable};
use crate::wiring::App;

/// A question of a session, as it was when the session or the challenge was made.
#[derive(Clone)]
pub(super) struct Asked {
    /// Its place in the session.
    at: usize,
    id: QuestionId,
    content: QuestionContent,
}

/// A session of one player in a channel of his own.
pub(super) struct Game<'a> {
    app: &'a App,
    store: &'a dyn Store,
    user: UserId,
    seed: u64,
    pub(super) session: GameSession,
    /// What this player has still to answer.
    pub(super) questions: Vec<Asked>,
    pub(super) score: Score,
}

impl<'a> Game<'a> {
    /// Picks the questions, or takes those of the challenge, and opens the first one.
    pub(super) async fn start(app: &'a App, store: &'a dyn Store, args: &Args) -> Result<Self, Failure> {
        let seed = args.seed.unwrap_or_else(|| app.random.next_u64());
        let user = store.users().get_or_create(args.user).await?.user_id;
        let (channel_id, host) = (ChannelId::new(user.get())?, user);
        let time_limit = TimeLimit::new(Duration::from_secs(args.time_limit))?;
        let session = match args.challenge {
            Some(kind) => {
                let request = StartChallenge { channel_id, host, kind, time_limit };
                let session = occupy(store, channel_id, async || store.play().start_challenge(request.clone()).await);
                session.await.map_err(too_few("run `trivia-db init` or `trivia-db import`"))?
            }
            None => {
                let questions = pick(store, user, seed, args).await?;
                let ids = questions.iter().map(|question| question.id).collect();
                let request = StartSession { channel_id, host, questions: ids, time_limit };
                occupy(store, channel_id, async || store.play().start_session(request.clone()).await).await?
            }
        };
        let questions = not_answered(store, user, &session).await?;
        Ok(Self { app, store, user, seed, session, questions, score: Score::default() })
    }

    /// Asks all questions.
    pub(super) async fn play(&mut self, input: &mut Input, output: &mut Output) -> Result<End, Failure> {
        let style = output.style();
        writeln!(output, "{}", style.faint("Answer by letter or by text; Ctrl-D ends the game."))?;
        for question in &self.questions.clone() {
            let at = question.at;
            // what was answered in an earlier game is passed over
            while self.session.position < at {
                self.session = self.store.play().advance(self.session.id, self.session.position).await?;
            }
            let shown = Shown::new(&question.content, self.seed.wrapping_add(at as u64))?;
            self.ask(at, &shown, output)?;
            let given = loop {
                write!(output, "> ")?;
                output.flush()?;
                let line = match input.line().await {
                    Line::Text(line) => line,
                    Line::End => return Ok(End::Stopped),
                    Line::Interrupted => return Ok(End::Interrupted),
                };
                match shown.read(&line) {
                    Some(given) => break given,
                    None => writeln!(output, "That is not one of the answers; {}.", shown.hint())?,
                }
            };
            match self.answer(question, given).await {
                Ok(receipt) => self.tell_result(&question.content, &receipt, output).await?,
                Err(StoreError::Refused(Refusal::Late { late_by_ms })) => {
                    let seconds = late_by_ms / 1_000 + 1;
                    let told = match self.session.challenge {
                        Some(_) => "play the challenge again to answer it".to_owned(),
                        None => answer(&question.content),
                    };
                    writeln!(output, "{} by {seconds} s: {told}", style.bad("Too late"))?;
                }
                Err(StoreError::Refused(Refusal::AlreadyAnswered)) => {
                    writeln!(output, "You have answered this one elsewhere; the first answer counts.")?;
                }
                Err(StoreError::Refused(Refusal::SessionOver)) => {
                    writeln!(output, "This game was ended by another one of the same player.")?;
                    return Ok(End::Stopped);
                }
                Err(error) => return Err(error.into()),
            }
            self.session = self.store.play().advance(self.session.id, at).await?;
        }
        Ok(End::Complete)
    }

    fn ask(&self, at: usize, shown: &Shown, output: &mut Output) -> Result<(), Failure> {
        let style = output.style();
        let content = &shown.content;
        writeln!(
            output,
            "\n{}",
            style.strong(format_args!("Question {} of {}", at + 1, self.session.questions.len()))
        )?;
        let kind = self.session.challenge.map(|challenge| challenge.kind);
        let about = format!(
            "{}, {}, {} points, {} s",
            printable(content.category().as_str()),
            content.difficulty(),
            points_for(content.base_points(), true, 0, kind)?,
            self.session.time_limit.millis() / 1_000
        );
        writeln!(output, "{}\n{}", style.faint(about), printable(content.text()))?;
        match content.body() {
            QuestionBody::MultipleChoice { options, .. } => {
                for (letter, option) in ('a'..='z').zip(options) {
                    writeln!(output, "  {letter}) {}", printable(option))?;
                }
                Ok(())
            }
            QuestionBody::TrueFalse { .. } => writeln!(output, "  true or false?"),
            QuestionBody::FillBlank { .. } => Ok(()),
        }
    }

    async fn answer(&mut self, question: &Asked, given: Given) -> StoreResult<Receipt> {
        let submission = AnswerSubmission {
            key: IdempotencyKey::generate(self.app.clock.now(), self.app.random.as_ref()),
            user_id: self.user,
            session_id: self.session.id,
            question_id: question.id,
            given,
        };
        let receipt = self.store.play().submit_answer(submission).await?;
        self.score.answered += 1;
        self.score.correct += usize::from(receipt.correct == Some(true));
        self.score.points += receipt.points.get();
        self.score.best_streak = self.score.best_streak.max(receipt.streak);
        self.score.unlocked.extend(receipt.unlocked.iter().cloned());
        Ok(receipt)
    }

    async fn tell_result(
        &self,
        content: &QuestionContent,
        receipt: &Receipt,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let style = output.style();
        if receipt.correct == Some(true) {
            writeln!(output, "{} +{} points, streak {}", style.good("Right!"), receipt.points, receipt.streak)?;
        } else {
            writeln!(output, "{} {}", style.bad("Wrong:"), answer(content))?;
        }
        if let Some(explanation) = content.explanation() {
            writeln!(output, "{}", style.faint(printable(explanation)))?;
        }
        if receipt.unlocked.is_empty() {
            return Ok(());
        }
        let definitions = self.store.achievements().definitions().await?;
        for one in definitions.iter().filter(|definition| receipt.unlocked.contains(&definition.id)) {
            let (emoji, name) = (printable(&one.emoji), style.strong(printable(&one.name)));
            writeln!(output, "{emoji} {name} unlocked: +{} points", one.bonus)?;
        }
        Ok(())
    }
}

async fn pick(store: &dyn Store, user: UserId, seed: u64, args: &Args) -> Result<Vec<Question>, Failure> {
    let filter = args.filter.checked(store).await?;
    // nobody is asked the same twice while there is something new
    let scope = PickScope { of: PickOwner::Player(user), exhausted: WhenExhausted::ReuseOldest };
    let request = PickRequest { filter, count: args.questions, exclude: Vec::new(), seed, scope: Some(scope) };
    let hint = "ask for fewer with --questions, or for another category, difficulty, language, tag or pack";
    store.questions().pick(&request).await.map_err(too_few(hint))
}

/// The questions of a session that this player has still to answer.
async fn not_answered(store: &dyn Store, user: UserId, session: &GameSession) -> Result<Vec<Asked>, Failure> {
    let attempt = match session.challenge {
        Some(challenge) => store.challenges().attempt(user, challenge).await?,
        None => None,
    };
    let mut questions = Vec::new();
    for (at, SessionQuestion { question_id, version, .. }) in session.questions.iter().enumerate() {
        if !attempt.as_ref().is_some_and(|attempt| attempt.has_answered(*question_id)) {
            let content = store.questions().version(*question_id, *version).await?;
            questions.push(Asked { at, id: *question_id, content });
        }
    }
    Ok(questions)
}

/// Starts a session; a game in the channel whose terminal was closed is ended first.
async fn occupy(
    store: &dyn Store,
    channel: ChannelId,
    start: impl AsyncFn() -> StoreResult<GameSession>,
) -> StoreResult<GameSession> {
    match start().await {
        Err(StoreError::Refused(Refusal::ChannelOccupied)) => {
            if let Some(left) = store.sessions().live(channel).await? {
                store.play().finish(left.id).await?;
            }
            start().await
        }
        other => other,
    }
}

/// What to do when there are not enough questions.
fn too_few(hint: &'static str) -> impl Fn(StoreError) -> Failure {
    move |error| match error {
        StoreError::Refused(refusal @ Refusal::NotEnoughQuestions { .. }) => Failure::new(refusal.to_string(), hint),
        other => other.into(),
    }
}

fn answer(content: &QuestionContent) -> String {
    format!("the answer is {}", printable(content.answer()))
}
