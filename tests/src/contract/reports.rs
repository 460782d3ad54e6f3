use std::collections::BTreeMap;

use chrono::TimeDelta;
use trivia_domain::model::{
    Page, QuestionId, QuestionReport, ReportNote, ReportOutcome, ReportReason, Settlement, UserId,
};
use trivia_domain::ports::{Clock, FileReport, ReportFilter, execute};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::Game;
use super::content::statement;
use super::game::{WorkFuture, assert_conflict, assert_missing, question_id, refusal, together, user_id, work};

use ReportReason::{Duplicate, Offensive, Other, Outdated, Unclear, WrongAnswer};

pub(crate) fn note(text: &str) -> Option<ReportNote> {
    Some(ReportNote::new(text).unwrap())
}

fn says(user_id: UserId, question_id: QuestionId, reason: ReportReason) -> FileReport {
    FileReport { question_id, version: 1, user_id, reason, note: None }
}

const ALL: ReportFilter = ReportFilter { question: None, settled: true };

impl Game {
    pub(crate) async fn report(&self, user: UserId, question: QuestionId, reason: ReportReason) -> QuestionReport {
        self.store.reports().file(says(user, question, reason)).await.unwrap()
    }

    pub(crate) async fn settle(&self, question: QuestionId, outcome: ReportOutcome) -> u64 {
        self.store.reports().settle(question, outcome).await.unwrap()
    }

    /// All that matches.
    pub(crate) async fn reports(&self, filter: ReportFilter) -> Vec<QuestionReport> {
        self.store.reports().list(&filter, Page::first(10_000)).await.unwrap()
    }
}

pub(crate) async fn a_report_reads_back_whole(game: Game) {
    let (user, question) = (game.user(i64::MAX).await, game.statements(1).await[0]);
    game.store.questions().update(question, statement("It was changed", true)).await.unwrap();
    for (version, reason) in (1..=2).cycle().zip(ReportReason::ALL) {
        let note = note("Sjá  „bls. 7“\n🦊");
        let said = FileReport { version, note: note.clone(), ..says(user, question, reason) };
        let report = game.store.reports().file(said).await.unwrap();
        let expected = QuestionReport {
            id: report.id,
            question_id: question,
            version,
            user_id: user,
            reason,
            note,
            reported_at: game.clock.now(),
            settled: None,
        };
        assert_eq!(report, expected);
        assert_eq!(game.reports(ReportFilter::default()).await, [expected]);
        game.wait(TimeDelta::microseconds(1));
    }
    // what is not asked any more can be reported by who was asked
    game.store.questions().retire(question).await.unwrap();
    game.report(user, question, Other).await;
}

pub(crate) async fn a_player_has_one_open_report_of_a_question(game: Game) {
    let (user, other) = (game.user(1).await, game.user(2).await);
    let [one, two] = game.statements(2).await[..] else { panic!("two questions") };
    let first = game.report(user, one, Unclear).await;
    game.report(user, two, Unclear).await;
    game.report(other, one, Unclear).await;
    game.wait(TimeDelta::minutes(1));
    assert_eq!(game.report(user, one, Unclear).await, first, "the same again changes nothing");
    let said = FileReport { note: note("more"), ..says(user, one, WrongAnswer) };
    let second = game.store.reports().file(said).await.unwrap();
    assert_eq!((second.id, second.reason, second.note.clone()), (first.id, WrongAnswer, note("more")));
    assert_eq!(second.reported_at, game.clock.now());
    // without a note there is none
    let third = game.report(user, one, WrongAnswer).await;
    assert_eq!(third, QuestionReport { note: None, ..second });
    let of_one = ReportFilter { question: Some(one), ..ReportFilter::default() };
    assert_eq!(game.reports(of_one).await[0], third);
    assert_eq!(game.reports(ReportFilter::default()).await.len(), 3);
}

pub(crate) async fn reports_name_what_is_missing(game: Game) {
    let (user, question) = (game.user(1).await, game.statements(1).await[0]);
    let file = async |report| game.store.reports().file(report).await;
    assert_missing(file(says(user_id(404), question, Other)).await, "user");
    for unknown in [0, i64::MAX].map(question_id) {
        assert_missing(file(says(user, unknown, Other)).await, "question");
        assert_missing(game.store.reports().settle(unknown, ReportOutcome::Accepted).await, "question");
    }
    for version in [0, 2, u32::MAX] {
        let never = FileReport { version, ..says(user, question, Other) };
        assert_missing(file(never).await, "version of a question");
    }
    assert_eq!(game.reports(ALL).await, []);
}

pub(crate) async fn reports_are_listed_by_question_in_pages(game: Game) {
    let ids = game.statements(3).await;
    let mut open = Vec::new();
    for (n, user) in (1..=5).enumerate() {
        let user = game.user(user).await;
        game.report(user, ids[0], Other).await;
        if n == 2 {
            assert_eq!(game.settle(ids[0], ReportOutcome::Dismissed).await, 3);
        }
        open.push(game.report(user, ids[1], Outdated).await);
    }
    let of = |at: usize, settled| ReportFilter { question: Some(ids[at]), settled };
    for (filter, expected) in [
        (ReportFilter::default(), 2 + 5),
        (ALL, 5 + 5),
        (of(0, false), 2),
        (of(0, true), 5),
        (of(1, false), 5),
        (of(2, true), 0),
    ] {
        let whole = game.reports(filter).await;
        assert_eq!(whole.len(), expected, "{filter:?}");
        assert!(whole.is_sorted_by_key(|report| report.id));
        assert!(whole.iter().all(|report| filter.settled || report.is_open()));
        for limit in [1, 2, 3, 10] {
            let mut seen: Vec<QuestionReport> = Vec::new();
            loop {
                let after = seen.last().map(|last| last.id.get());
                let page = game.store.reports().list(&filter, Page { after, limit }).await.unwrap();
                assert!(page.len() <= limit as usize && seen.len() <= whole.len());
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            assert_eq!(seen, whole, "{filter:?} in pages of {limit}");
        }
    }
    assert_eq!(game.reports(of(1, false)).await, open);
}

pub(crate) async fn questions_with_the_most_reports_come_first(game: Game) {
    let ids = game.statements(5).await;
    let since = game.clock.now();
    for (user, at, reason) in [
        (1, 4, Unclear),
        (1, 2, WrongAnswer),
        (2, 2, WrongAnswer),
        (3, 2, Offensive),
        (1, 1, Duplicate),
        (2, 1, Duplicate),
        (1, 0, Other),
        (2, 0, Other),
        (3, 0, Other),
        (4, 0, Other),
    ] {
        let user = game.user(user).await;
        game.report(user, ids[at], reason).await;
        game.wait(TimeDelta::seconds(1));
    }
    game.settle(ids[0], ReportOutcome::Accepted).await;
    let reported = game.store.reports().reported(10).await.unwrap();
    let order: Vec<_> = reported.iter().map(|one| (one.question_id, one.open)).collect();
    assert_eq!(order, [(ids[2], 3), (ids[1], 2), (ids[4], 1)]);
    assert_eq!(reported[0].reasons, BTreeMap::from([(WrongAnswer, 2), (Offensive, 1)]));
    assert_eq!(reported[0].since, since + TimeDelta::seconds(1));
    // as many come later
    game.report(user_id(2), ids[4], Unclear).await;
    let order: Vec<_> = game.store.reports().reported(2).await.unwrap().iter().map(|one| one.question_id).collect();
    assert_eq!(order, [ids[2], ids[1]], "equal numbers are in order of id");
    assert_eq!(game.store.reports().reported(0).await.unwrap(), []);
}

pub(crate) async fn settling_closes_what_is_open(game: Game) {
    let [one, two] = game.statements(2).await[..] else { panic!("two questions") };
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    assert_eq!(game.settle(one, ReportOutcome::Accepted).await, 0, "there is nothing to settle");
    for user in [ann, bob] {
        game.report(user, one, Other).await;
        game.report(user, two, Other).await;
    }
    game.wait(TimeDelta::hours(1));
    let settled = Some(Settlement { outcome: ReportOutcome::Accepted, at: game.clock.now() });
    assert_eq!(game.settle(one, ReportOutcome::Accepted).await, 2);
    game.wait(TimeDelta::hours(1));
    assert_eq!(game.settle(one, ReportOutcome::Dismissed).await, 0, "what is settled stays as it is");
    let again = game.report(ann, one, Other).await;
    let of_one = game.reports(ReportFilter { question: Some(one), settled: true }).await;
    assert_eq!(of_one.iter().map(|report| report.settled).collect::<Vec<_>>(), [settled, settled, None]);
    assert_eq!((of_one[2].clone(), again.reported_at), (again, game.clock.now()));
    assert_eq!(game.reports(ReportFilter { question: Some(two), ..ReportFilter::default() }).await.len(), 2);
}

pub(crate) async fn a_player_cannot_flood_the_moderators(game: Game) {
    let most = usize::try_from(QuestionReport::MOST_OPEN).unwrap();
    let ids = game.statements(most + 1).await;
    let (user, other) = (game.user(1).await, game.user(2).await);
    for id in &ids[..most] {
        game.report(user, *id, Other).await;
    }
    let refused = refusal(game.store.reports().file(says(user, ids[most], Other)).await);
    assert_eq!(refused, Refusal::TooManyReports { most: QuestionReport::MOST_OPEN });
    assert_eq!(game.reports(ALL).await.len(), most);
    // another word on what is reported is no new report, and others are not concerned
    game.report(user, ids[0], Unclear).await;
    game.report(other, ids[most], Other).await;
    game.settle(ids[1], ReportOutcome::Dismissed).await;
    game.report(user, ids[most], Other).await;
}

pub(crate) async fn concurrent_reports_of_one_player_are_one(game: Game) {
    let (user, question) = (game.user(1).await, game.statements(1).await[0]);
    let reports = together(8, |at| {
        let game = game.clone();
        async move { game.report(user, question, ReportReason::ALL[at % 6]).await }
    })
    .await;
    assert!(reports.iter().all(|report| report.id == reports[0].id));
    let [open] = &game.reports(ALL).await[..] else { panic!("one report") };
    assert!(reports.contains(open));
}

pub(crate) async fn l2_a_failed_work_reports_and_settles_nothing(game: Game) {
    let [one, two] = game.statements(2).await[..] else { panic!("two questions") };
    let user = game.user(1).await;
    game.report(user, one, Other).await;
    let before = game.reports(ALL).await;
    let broken = work(move |uow| -> WorkFuture<'_, ()> {
        Box::pin(async move {
            uow.reports().file(says(user, two, Other)).await?;
            uow.reports().settle(one, ReportOutcome::Accepted).await?;
            let open = uow.reports().list(&ReportFilter::default(), Page::first(9)).await?;
            assert_eq!(open.iter().map(|report| report.question_id).collect::<Vec<_>>(), [two], "it sees its own");
            Err(StoreError::conflict("question", two))
        })
    });
    let failed: StoreResult<()> = execute(game.store.as_ref(), &broken).await;
    assert_conflict(failed);
    assert_eq!(game.reports(ALL).await, before);
}

pub(crate) async fn l23_reports_go_with_their_player(game: Game) {
    let [one, two] = game.statements(2).await[..] else { panic!("two questions") };
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    for user in [ann, bob] {
        game.report(user, one, Other).await;
    }
    game.settle(one, ReportOutcome::Accepted).await;
    for user in [ann, bob] {
        game.report(user, two, Unclear).await;
    }
    let hers = game.store.people().export(ann).await.unwrap().reports;
    let bobs = game.store.people().export(bob).await.unwrap().reports;
    assert_eq!(hers.iter().map(|report| report.question_id).collect::<Vec<_>>(), [one, two]);
    game.store.people().erase(ann).await.unwrap();
    assert_eq!(game.reports(ALL).await, bobs);
    assert_eq!(game.store.reports().reported(9).await.unwrap()[0].open, 1);
    // whoever comes back has said nothing
    game.user(1).await;
    assert_eq!(game.store.people().export(ann).await.unwrap().reports, []);
    assert!(game.report(ann, two, Unclear).await.id > bobs[1].id, "ids are not given twice");
}

pub(crate) async fn l23_reports_of_two_are_united(game: Game) {
    let ids = game.statements(6).await;
    let (into, from) = (game.user(1).await, game.user(2).await);
    // settled ones of both
    for user in [into, from] {
        game.report(user, ids[0], Other).await;
    }
    game.settle(ids[0], ReportOutcome::Dismissed).await;
    // open ones: of each alone, and of both, where the later words count
    let mut said = Vec::new();
    for (user, at, reason) in [
        (into, 1, Other),
        (from, 2, Other),
        (into, 3, Unclear),
        (from, 3, Outdated),
        (from, 4, Duplicate),
        (into, 4, Offensive),
        (into, 5, Unclear),
        (from, 5, Unclear),
    ] {
        game.wait(TimeDelta::seconds(1));
        said.push(game.report(user, ids[at], reason).await);
    }
    game.store.people().merge(from, into).await.unwrap();
    let all = game.reports(ALL).await;
    assert!(all.iter().all(|report| report.user_id == into));
    assert_eq!(all, game.store.people().export(into).await.unwrap().reports);
    assert_eq!(all.iter().filter(|report| !report.is_open()).count(), 2);
    let mut open = game.reports(ReportFilter::default()).await;
    open.sort_by_key(|report| report.question_id);
    // as if one had said all of it; the same words again would have changed nothing
    let expected: Vec<_> =
        [0, 1, 3, 5, 6].map(|at| (said[at].question_id, said[at].reason, said[at].reported_at)).into();
    let found: Vec<_> = open.iter().map(|one| (one.question_id, one.reason, one.reported_at)).collect();
    assert_eq!(found, expected);
    let again = game.report(into, ids[3], Outdated).await;
    assert_eq!(again, open[2]);
}
