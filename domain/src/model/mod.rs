//! Entities and value objects. An invalid value cannot be built.

mod achievement;
mod adoption;
mod backup;
mod calendar;
mod category;
mod challenge;
mod difficulty;
mod drift;
mod id;
mod labels;
mod ledger;
mod names;
mod pack;
mod page;
mod period;
mod person;
mod points;
mod question;
mod ranking;
mod recovery;
mod report;
mod session;
mod task;
mod text;
mod user;

pub use achievement::{AchievementCategory, AchievementDefinition, AchievementId, AchievementRule, UserAchievement};
pub use adoption::{AdoptionReport, BackupNotes, OddRow, OriginalBackup, OriginalExport, ServerClock};
pub use backup::{
    BackupId, BackupInfo, BackupKind, BackupManifest, Compression, Drill, DumpOrigin, Encryption, LedgerHead, Packed,
    RetentionPolicy, RowCounts, Verification,
};
pub use calendar::{Calendar, TimeZone, Weekday};
pub use category::Category;
pub use challenge::{
    Badge, Challenge, ChallengeAnswer, ChallengeAttempt, ChallengeId, ChallengeKind, ChallengeQuestion,
};
pub use difficulty::Difficulty;
pub use drift::Drift;
pub use id::{ChannelId, IdempotencyKey, QuestionId, ReportId, SessionId, UserId};
pub use labels::{Labels, Tag};
pub use ledger::{
    AnswerFact, Fact, InChallenge, LedgerEntry, OpeningAchievement, OpeningBalance, OpeningWeek, Receipt,
};
pub use pack::{Pack, PackName, PackPart};
pub use page::Page;
pub use period::{DayKey, Period, WeekStart};
pub use person::{PersonalRecord, RecordedFact};
pub use points::{Accuracy, Points, Tally};
pub use question::{ContentKey, Given, Language, Question, QuestionBody, QuestionContent, QuestionKind, StemKey};
pub use ranking::{Board, Closing, Cursor, LeaderboardEntry, LeaderboardPage, PeriodScore, Standing, WeeklyRanking};
pub use recovery::{RecoveredTable, RecoveryReport, RecoverySource};
pub use report::{QuestionReport, ReportNote, ReportOutcome, ReportReason, Settlement};
pub use session::{GameSession, SessionQuestion, SessionStatus, TimeLimit};
pub use task::{Failing, Task, TaskRecord};
pub(crate) use text::checked as checked_text;
pub use text::{fold_identity, fold_match};
pub use user::UserProfile;
