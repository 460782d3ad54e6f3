//! The service of the README and its test, word for word.

use std::sync::Arc;

use chrono::DateTime;
use trivia_domain::StoreResult;
use trivia_domain::mock::MockUnitOfWork;
use trivia_domain::model::{IdempotencyKey, Points, Receipt, UserId, UserProfile};
use trivia_domain::ports::{AwardRequest, Store};
use uuid::Uuid;

pub(crate) struct Bonus {
    store: Arc<dyn Store>,
}

impl Bonus {
    /// Gives a player ten points for inviting a friend. The same invitation counts once.
    pub(crate) async fn invited(&self, user_id: UserId, invitation: IdempotencyKey) -> StoreResult<String> {
        self.store.users().get_or_create(user_id).await?;
        let (points, reason) = (Points::small(10), "an invitation".to_owned());
        let award = AwardRequest { key: invitation, user_id, points, reason };
        let receipt = self.store.play().award(award).await?;
        Ok(format!("Thank you! You have {} points now.", receipt.total_points))
    }
}

#[tokio::test]
async fn an_invitation_is_thanked() {
    let mut store = MockUnitOfWork::new();
    store.users.expect_get_or_create().returning(|id| Ok(UserProfile::new(id, DateTime::UNIX_EPOCH)));
    store.play.expect_award().returning(|award| Ok(receipt_of(&award, 30)));
    let bonus = Bonus { store: Arc::new(store) };
    let thanks = bonus.invited(UserId::new(7).unwrap(), IdempotencyKey::new(Uuid::nil())).await.unwrap();
    assert_eq!(thanks, "Thank you! You have 30 points now.");
}

fn receipt_of(award: &AwardRequest, total: u32) -> Receipt {
    Receipt {
        user_id: award.user_id,
        key: award.key,
        seq: 1,
        at: DateTime::UNIX_EPOCH,
        correct: None,
        points: award.points,
        total_points: Points::small(total),
        streak: 0,
        unlocked: Vec::new(),
    }
}

#[test]
fn the_readme_shows_this_code() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<&str> =
        readme.split("```rust,ignore\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    assert_eq!(blocks.len(), 2);
    // visibility is that of a program here, and of a library there
    let here = include_str!("readme.rs").replace("pub(crate) ", "pub ");
    for block in blocks {
        assert!(here.contains(block), "not in this file:\n{block}");
    }
}
