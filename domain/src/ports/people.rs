use async_trait::async_trait;

use crate::error::StoreResult;
use crate::model::{PersonalRecord, UserId, UserProfile};

/// What a person may ask for.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PeoplePort: Send + Sync {
    /// Everything that is stored about a person.
    ///
    /// Returns `Missing` when there is no such player.
    async fn export(&self, id: UserId) -> StoreResult<PersonalRecord>;

    /// Removes a person everywhere: nothing that is stored holds the id afterwards, and a backup from
    /// before does not bring the person back. How often questions were answered stays, and so do the
    /// answers of others; the places of others are counted without the person from then on. Erasing
    /// somebody again only removes what is left in unused parts of the file.
    ///
    /// Returns `Missing` when there never was such a player; `Busy` when somebody else reads the file: the
    /// person is removed then, and erasing again removes what is left.
    async fn erase(&self, id: UserId) -> StoreResult<()>;

    /// Lets `into` have played everything that `from` has played, and removes `from`; sessions in a private
    /// chat of `from` are forgotten, what was answered in them is not. See [`merge`](crate::play::merge()).
    ///
    /// Returns `Missing` when there is no such player, `Invalid` when both are the same,
    /// `Refused(Overflow)` when the points of both do not fit.
    async fn merge(&self, from: UserId, into: UserId) -> StoreResult<UserProfile>;
}
