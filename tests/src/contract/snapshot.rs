//! Everything that the ports show, to tell whether something changed.

use trivia_domain::model::{
    AchievementDefinition, Board, Calendar, ChallengeAttempt, ChallengeKind, DayKey, GameSession, LeaderboardPage,
    Page, Period, Question, QuestionReport, UserAchievement, UserProfile, WeeklyRanking,
};
use trivia_domain::ports::{
    AchievementProgress, Clock, QuestionFilter, QuestionGroup, ReportFilter, Repositories, UserBreakdown,
};

use super::Game;
use super::game::channel_id;

/// Most rows of a list that a test makes.
const ALL: u32 = 10_000;

/// What one look at all ports shows.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) players: Vec<Player>,
    definitions: Vec<AchievementDefinition>,
    pub(crate) questions: Vec<Question>,
    groups: Vec<QuestionGroup>,
    reports: Vec<QuestionReport>,
    boards: Vec<LeaderboardPage>,
    live: Vec<Option<GameSession>>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Player {
    pub(crate) profile: UserProfile,
    pub(crate) breakdown: UserBreakdown,
    pub(crate) achievements: Vec<UserAchievement>,
    progress: Vec<AchievementProgress>,
    weeks: Vec<WeeklyRanking>,
    challenges: Vec<ChallengeAttempt>,
}

/// All boards of an instant's day.
pub(crate) fn boards(day: DayKey) -> [Board; 4] {
    let [daily, weekly, monthly] = Period::ALL.map(|period| Calendar::default().board(period, day));
    [Board::AllTime, daily, weekly, monthly]
}

impl Game {
    /// The boards of now.
    pub(crate) fn boards(&self) -> [Board; 4] {
        boards(DayKey::of(self.clock.now()))
    }

    /// Everything that the store shows now, with the sessions of channels 1 to 4.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let store: &dyn Repositories = self.store.as_ref();
        let mut players = Vec::new();
        for profile in store.users().list(Page::first(ALL)).await.unwrap() {
            let user = profile.user_id;
            let mut challenges = Vec::new();
            for kind in ChallengeKind::ALL {
                challenges.extend(store.challenges().history(user, kind, ALL).await.unwrap());
            }
            players.push(Player {
                profile,
                breakdown: store.users().breakdown(user).await.unwrap(),
                achievements: store.achievements().of(user).await.unwrap(),
                progress: store.achievements().progress(user).await.unwrap(),
                weeks: store.rankings().weekly_history(user, ALL).await.unwrap(),
                challenges,
            });
        }
        let mut boards = Vec::new();
        for board in self.boards() {
            boards.push(store.rankings().page(board, None, ALL).await.unwrap());
        }
        let mut live = Vec::new();
        for channel in 1..=4 {
            live.push(store.sessions().live(channel_id(channel)).await.unwrap());
        }
        Snapshot {
            players,
            definitions: store.achievements().definitions().await.unwrap(),
            questions: store.questions().list(&QuestionFilter::default(), Page::first(ALL)).await.unwrap(),
            groups: store.questions().groups().await.unwrap(),
            reports: self.reports(ReportFilter { question: None, settled: true }).await,
            boards,
            live,
        }
    }
}
