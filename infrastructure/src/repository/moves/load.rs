//! What moves are judged against.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use trivia_domain::StoreResult;
use trivia_domain::model::{
    Board, DayKey, Fact, GameSession, Language, Period, QuestionId, SessionId, SessionQuestion, SessionStatus, UserId,
};
use trivia_domain::play::{Command, Touched, WorkingSet};
use trivia_domain::ports::AnswerSubmission;

use crate::dialect;
use crate::entity::{closed_periods, ledger, live_sessions, questions};
use crate::error::{During, bad_row};
use crate::read_model::{Known, Needed, Warm};
use crate::repository::players::{self, Part};
use crate::repository::{challenges, questions as stored_questions, rows, score_counts, sessions};

/// Loads what moves touch, but no facts, and says how much is known of each player; `language` is that of new
/// challenges.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
    touched: &Touched,
    periods: &BTreeSet<(Period, DayKey)>,
    moves: &[(&Command, DateTime<Utc>)],
    language: Option<&Language>,
    warm: &mut Warm,
) -> StoreResult<(WorkingSet, HashMap<UserId, Arc<Known>>)> {
    let mut set = WorkingSet::default();
    let mut session_ids = touched.sessions.clone();
    dialect::lock_players(connection, &touched.users).await?;
    if !touched.channels.is_empty() {
        let live = live_sessions::Entity::find()
            .filter(live_sessions::Column::ChannelId.is_in(touched.channels.iter().map(|channel| channel.get())))
            .all(connection)
            .await
            .during("loading live sessions")?;
        session_ids.extend(live.iter().map(|row| SessionId::new(row.session_id)));
    }
    let changes = moves.iter().any(|(command, _)| command.changes_sessions());
    dialect::lock_sessions(connection, &session_ids, changes).await?;
    for id in std::mem::take(&mut session_ids) {
        match warm.session(id) {
            Some(session) => drop(set.sessions.insert(id, session)),
            None => drop(session_ids.insert(id)),
        }
    }
    set.sessions.extend(sessions::load(connection, &session_ids).await?);
    set.live = set
        .sessions
        .values()
        .filter(|session| session.status == SessionStatus::Live)
        .map(|session| (session.channel_id, session.id))
        .collect();
    load_questions(connection, touched, moves, &mut set, warm).await?;
    let known = load_players(connection, touched, periods, moves, &mut set, warm).await?;
    challenges::load(connection, &touched.challenges, language, &mut set).await?;
    load_closings(connection, &touched.periods, &mut set).await?;
    Ok((set, known))
}

/// Loads the players who are not at hand, or of whom too little is.
async fn load_players(
    connection: &impl ConnectionTrait,
    touched: &Touched,
    periods: &BTreeSet<(Period, DayKey)>,
    moves: &[(&Command, DateTime<Utc>)],
    set: &mut WorkingSet,
    warm: &mut Warm,
) -> StoreResult<HashMap<UserId, Arc<Known>>> {
    let mut needed: HashMap<UserId, Needed<'_>> = HashMap::new();
    for (command, _) in moves {
        let Command::Answer(submission) = command else { continue };
        let Some(session) = set.sessions.get(&submission.session_id) else { continue };
        let needed = needed.entry(submission.user_id).or_default();
        let asked = answered(session, submission);
        let content = asked.and_then(|asked| set.contents.get(&(asked.question_id, asked.version)));
        needed.categories.extend(content.map(|content| content.category()));
        needed.challenges.extend(session.challenge);
    }
    let nothing = Needed::default();
    // what a batch after this one is likely to need as well
    let usual = Arc::new(Known {
        categories: set.contents.values().map(|content| content.category().clone()).collect(),
        periods: periods.clone(),
        challenges: set.sessions.values().filter_map(|session| session.challenge).collect(),
    });
    let Known { categories, periods, challenges } = &*usual;
    let part = || Part::Touched { categories, periods, challenges };
    let (mut known, mut partly, mut missing) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
    for id in &touched.users {
        let Some(player) = warm.player(*id) else {
            missing.insert(*id);
            known.insert(*id, Arc::clone(&usual));
            continue;
        };
        set.players.insert(*id, player.state);
        if player.known.has(needed.get(id).unwrap_or(&nothing), periods) {
            known.insert(*id, player.known);
        } else {
            partly.insert(*id);
            known.insert(*id, Arc::new(player.known.and(&usual)));
        }
    }
    players::load_part(connection, &mut set.players, &partly, part()).await?;
    set.players.extend(players::load(connection, &missing, part()).await?);
    Ok(known)
}

/// Loads facts that may make a move a retry or a second answer.
pub(super) async fn load_facts(
    connection: &impl ConnectionTrait,
    touched: &Touched,
    set: &mut WorkingSet,
) -> StoreResult<()> {
    if !touched.keys.is_empty() {
        let keys = touched.keys.iter().map(|(user, key)| (user.get(), key.get()));
        let known = Expr::tuple([Expr::col(ledger::Column::UserId), Expr::col(ledger::Column::Key)]).in_tuples(keys);
        remember(connection, known, set).await?;
    }
    if !touched.answers.is_empty() {
        let answers =
            touched.answers.iter().map(|(session, user, question)| (session.get(), user.get(), question.get()));
        let columns = [ledger::Column::SessionId, ledger::Column::UserId, ledger::Column::QuestionId];
        let known = Expr::tuple(columns.map(Expr::col)).in_tuples(answers);
        remember(connection, known, set).await?;
    }
    Ok(())
}

async fn remember(connection: &impl ConnectionTrait, known: Expr, set: &mut WorkingSet) -> StoreResult<()> {
    let rows = ledger::Entity::find().filter(known).all(connection).await.during("loading facts")?;
    for row in rows {
        let (entry, receipt) = rows::ledger_entry(row)?;
        if let Fact::Answer(answer) = &entry.fact {
            set.answered.insert((answer.session_id, entry.user_id, answer.question_id));
        }
        set.recorded.insert((entry.user_id, entry.key), (entry, receipt));
    }
    Ok(())
}

/// Loads the newest version of questions, and older ones that a session asks for.
async fn load_questions(
    connection: &impl ConnectionTrait,
    touched: &Touched,
    moves: &[(&Command, DateTime<Utc>)],
    set: &mut WorkingSet,
    warm: &mut Warm,
) -> StoreResult<()> {
    // a move before an answer may open its question
    let answered = moves.iter().filter_map(|(command, _)| match command {
        Command::Answer(submission) => answered(set.sessions.get(&submission.session_id)?, submission),
        _ => None,
    });
    let open: Vec<_> = set.sessions.values().filter_map(GameSession::open_question).chain(answered).cloned().collect();
    let mut ids = touched.questions.clone();
    for asked in &open {
        match warm.content(asked.question_id, asked.version) {
            Some(content) => {
                set.contents.insert((asked.question_id, asked.version), content);
                // it is there, and whoever only answers need not know whether there is a newer version
                set.versions.insert(asked.question_id, asked.version);
                ids.remove(&asked.question_id);
            }
            None => {
                ids.insert(asked.question_id);
            }
        }
    }
    for (command, _) in moves {
        if let Command::Start { request, .. } = command {
            ids.extend(&request.questions);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let rows = questions::Entity::find()
        .filter(questions::Column::Id.is_in(ids.iter().map(|id| id.get())))
        .all(connection)
        .await
        .during("loading questions")?;
    for row in rows {
        let id = QuestionId::new(row.id)?;
        let version = u32::try_from(row.version).map_err(|error| bad_row("questions", row.id, error))?;
        set.versions.insert(id, version);
        set.contents.insert((id, version), rows::content(&row)?);
    }
    let older: BTreeSet<_> = open
        .iter()
        .map(|asked| (asked.question_id, asked.version))
        .filter(|asked| !set.contents.contains_key(asked))
        .collect();
    for (id, version) in older {
        if let Some(content) = stored_questions::earlier(connection, id, version).await? {
            set.contents.insert((id, version), content);
        }
    }
    Ok(())
}

/// The question of a session that somebody answers.
fn answered<'a>(session: &'a GameSession, submission: &AnswerSubmission) -> Option<&'a SessionQuestion> {
    session.questions.iter().find(|asked| asked.question_id == submission.question_id)
}

/// Loads what is known of periods that somebody wants to close.
async fn load_closings(
    connection: &impl ConnectionTrait,
    periods: &BTreeSet<(Period, DayKey)>,
    set: &mut WorkingSet,
) -> StoreResult<()> {
    for (period, start) in periods {
        let key = (period.as_str().to_owned(), start.date());
        let found = closed_periods::Entity::find_by_id(key).all(connection).await.during("loading a closed period")?;
        for row in found {
            set.closed.insert((*period, *start), rows::closing(row)?);
        }
        let board = Board::Period { period: *period, start: *start };
        set.ranked.insert((*period, *start), score_counts::total(connection, board).await?);
    }
    Ok(())
}
