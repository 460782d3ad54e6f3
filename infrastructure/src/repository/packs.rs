use async_trait::async_trait;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::model::{Pack, PackName, PackPart};
use trivia_domain::ports::{ListedPack, PackRepository};
use trivia_domain::{StoreError, StoreResult};

use super::{Repository, rows};
use crate::database::Needs;
use crate::entity::{pack_questions, packs};
use crate::error::{During, bad_row};
use crate::read_model::Effects;

#[async_trait]
impl PackRepository for Repository {
    async fn find(&self, name: &PackName) -> StoreResult<Option<Pack>> {
        let reading = self.scope.read("finding a pack").await?;
        find(&reading.connection(), name).await
    }

    async fn get(&self, name: &PackName) -> StoreResult<Pack> {
        PackRepository::find(self, name).await?.ok_or_else(|| StoreError::missing("pack", name))
    }

    async fn list(&self) -> StoreResult<Vec<ListedPack>> {
        let action = "listing packs";
        let snapshot = self.scope.snapshot(action).await?;
        let packs = packs::Entity::find().order_by_asc(packs::Column::Name).all(&*snapshot).await.during(action)?;
        let mut listed = Vec::with_capacity(packs.len());
        for row in packs {
            let size: Vec<i64> = pack_questions::Entity::find()
                .select_only()
                .column_as(pack_questions::Column::QuestionId.count(), "size")
                .filter(pack_questions::Column::PackId.eq(row.id))
                .into_tuple()
                .all(&*snapshot)
                .await
                .during(action)?;
            let size = size.first().copied().unwrap_or(0);
            let questions = u64::try_from(size).map_err(|error| bad_row("pack_questions", row.id, error))?;
            listed.push(ListedPack { pack: rows::pack(row)?, questions });
        }
        Ok(listed)
    }

    async fn put(&self, pack: Pack) -> StoreResult<()> {
        use packs::Column;

        let writing = self.scope.write("storing a pack", Needs::Alone, Effects::NONE).await?;
        if find(&*writing, pack.name()).await?.as_ref() != Some(&pack) {
            let said = |part| ActiveValue::Set(pack.part(part).map(str::to_owned));
            let row = packs::ActiveModel {
                id: ActiveValue::NotSet,
                name: ActiveValue::Set(pack.name().as_str().to_owned()),
                title: said(PackPart::Title),
                source: said(PackPart::Source),
                author: said(PackPart::Author),
                licence: said(PackPart::Licence),
                attribution: said(PackPart::Attribution),
                changed_at: ActiveValue::Set(self.scope.core().clock.now()),
            };
            let replace = OnConflict::column(Column::Name)
                .update_columns([
                    Column::Title,
                    Column::Source,
                    Column::Author,
                    Column::Licence,
                    Column::Attribution,
                    Column::ChangedAt,
                ])
                .to_owned();
            let insert = packs::Entity::insert(row).on_conflict(replace);
            insert.exec_without_returning(&*writing).await.during("storing a pack")?;
        }
        writing.commit().await
    }
}

async fn find(connection: &impl ConnectionTrait, name: &PackName) -> StoreResult<Option<Pack>> {
    let found = packs::Entity::find().filter(packs::Column::Name.eq(name.as_str()));
    let mut found = found.all(connection).await.during("finding a pack")?;
    found.pop().map(rows::pack).transpose()
}
