use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;

use super::{State, Tables};
use crate::error::{StoreError, StoreResult};
use crate::model::{Board, ChannelId, Fact, LedgerEntry, PersonalRecord, UserId, UserProfile};
use crate::play::{PlayerState, merge};
use crate::ports::{PeoplePort, PickOwner};

impl State {
    fn person(&self, id: UserId) -> StoreResult<&PlayerState> {
        self.play.players.get(&id).map(Arc::as_ref).ok_or_else(|| StoreError::missing("user", id))
    }

    fn entries(&self, id: UserId) -> Vec<LedgerEntry> {
        self.facts(id).into_iter().map(|fact| fact.entry).collect()
    }

    /// Forgets a player and his ledger.
    fn remove(&mut self, id: UserId) {
        self.play.players.remove(&id);
        self.play.recorded.retain(|(user, _), _| *user != id);
        self.play.answered.retain(|(_, user, _)| *user != id);
    }
}

impl State {
    /// Forgets a private chat.
    fn forget_channel(&mut self, channel: ChannelId) {
        self.picks.remove(&PickOwner::Channel(channel));
        self.play.live.remove(&channel);
        self.play.sessions.retain(|_, session| session.channel_id != channel);
    }
}

/// A channel with the number of a person is that person's own: some platforms number private chats so.
fn own_channel(id: UserId) -> StoreResult<ChannelId> {
    ChannelId::new(id.get())
}

#[async_trait]
impl PeoplePort for Tables {
    async fn export(&self, id: UserId) -> StoreResult<PersonalRecord> {
        let state = self.read();
        let player = state.person(id)?;
        let own = own_channel(id)?;
        let mut achievements: Vec<_> = player.achievements.values().cloned().collect();
        achievements.sort_by_key(|achievement| Reverse(achievement.seq));
        let board = |(period, start)| Board::Period { period, start };
        let mut sessions: Vec<_> = state
            .play
            .sessions
            .values()
            .filter(|session| session.host == Some(id) || session.channel_id == own)
            .cloned()
            .collect();
        sessions.sort_unstable_by_key(|session| session.id);
        Ok(PersonalRecord {
            profile: player.profile.clone(),
            breakdown: state.breakdown(id)?,
            facts: state.facts(id),
            achievements,
            scores: player.scores.iter().map(|(key, score)| (board(*key), score.clone())).collect(),
            challenges: player.challenges.values().cloned().collect(),
            sessions,
            picks: state.picks.get(&PickOwner::Player(id)).cloned().unwrap_or_default(),
            reports: state.reports.of(id),
            originals: Vec::new(),
            exported_at: self.clock.now(),
        })
    }

    async fn erase(&self, id: UserId) -> StoreResult<()> {
        let mut state = self.write();
        let hosted = state.play.sessions.values().any(|session| session.host == Some(id));
        if !state.play.players.contains_key(&id) && !hosted && !state.picks.contains_key(&PickOwner::Player(id)) {
            return if state.erased.contains(&id) { Ok(()) } else { Err(StoreError::missing("user", id)) };
        }
        state.erased.insert(id);
        let own = own_channel(id)?;
        state.remove(id);
        state.reports.remove(id);
        state.picks.remove(&PickOwner::Player(id));
        state.forget_channel(own);
        for session in state.play.sessions.values_mut().filter(|session| session.host == Some(id)) {
            session.host = None;
        }
        Ok(())
    }

    async fn merge(&self, from: UserId, into: UserId) -> StoreResult<UserProfile> {
        if from == into {
            return Err(StoreError::invalid("user id", format!("{from} cannot be merged into itself")));
        }
        let mut state = self.write();
        let (one, other) = (&state.person(into)?.profile, &state.person(from)?.profile);
        let merged = merge(one, state.entries(into), other, state.entries(from), &state.rules)?;
        for user in [from, into] {
            state.remove(user);
        }
        state.reports.merge(from, into);
        let profile = merged.state.profile.clone();
        state.play.players.insert(into, Arc::new(merged.state));
        for (entry, receipt) in merged.entries {
            if let Fact::Answer(answer) = &entry.fact {
                state.play.answered.insert((answer.session_id, into, answer.question_id));
            }
            state.play.recorded.insert((into, entry.key), (entry, receipt));
        }
        for entry in merged.dropped {
            if let Fact::Answer(answer) = entry.fact {
                state.questions.uncount(answer.question_id, answer.correct);
            }
        }
        state.forget_channel(own_channel(from)?);
        for session in state.play.sessions.values_mut().filter(|session| session.host == Some(from)) {
            session.host = Some(into);
        }
        let theirs = state.picks.remove(&PickOwner::Player(from)).unwrap_or_default();
        let picks = state.picks.entry(PickOwner::Player(into)).or_default();
        // what the other one was asked counts as asked longer ago
        let mine = std::mem::take(picks);
        picks.extend(theirs.into_iter().filter(|question| !mine.contains(question)));
        picks.extend(mine);
        Ok(profile)
    }
}
