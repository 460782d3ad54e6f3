//! Where questions come from, and what they are found by.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::original::{self, drop_all};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Takes back what `down` kept in quarantine, as far as its questions are still there.
const TAKE_BACK: [&str; 4] = [
    "INSERT INTO packs (id, name, title, source, author, licence, attribution, changed_at) SELECT content ->> 'id', \
     source_id, content ->> 'title', content ->> 'source', content ->> 'author', content ->> 'licence', \
     content ->> 'attribution', content ->> 'changed_at' FROM quarantine WHERE source = 'packs'",
    "INSERT INTO pack_questions (pack_id, question_id) SELECT content ->> 'id', value \
     FROM quarantine, json_each(content, '$.questions') WHERE source = 'packs' AND value IN (SELECT id FROM questions)",
    "INSERT INTO question_tags (question_id, tag) SELECT value, source_id \
     FROM quarantine, json_each(content, '$.questions') WHERE source = 'question_tags' \
     AND value IN (SELECT id FROM questions)",
    "DELETE FROM quarantine WHERE source IN ('packs', 'question_tags')",
];

/// Keeps in quarantine what no earlier schema has a table for: a row for each pack and for each tag.
const KEEP: [&str; 2] = [
    "INSERT INTO quarantine (source, source_id, problem, content) SELECT 'packs', name, \
     'no earlier schema has packs; they come back with this one', json_object('id', id, 'title', title, \
     'source', source, 'author', author, 'licence', licence, 'attribution', attribution, 'changed_at', changed_at, \
     'questions', json((SELECT json_group_array(question_id) FROM pack_questions WHERE pack_id = packs.id))) \
     FROM packs ORDER BY id",
    "INSERT INTO quarantine (source, source_id, problem, content) SELECT 'question_tags', tag, \
     'no earlier schema has tags; they come back with this one', \
     json_object('questions', json(json_group_array(question_id))) FROM question_tags GROUP BY tag ORDER BY tag",
];

/// [`TAKE_BACK`] of PostgreSQL, whose numbers of rows do not follow those that somebody gives.
const TAKE_BACK_ON_A_SERVER: [&str; 5] = [
    "INSERT INTO packs (id, name, title, source, author, licence, attribution, changed_at) SELECT \
     (content ->> 'id')::bigint, source_id, content ->> 'title', content ->> 'source', content ->> 'author', \
     content ->> 'licence', content ->> 'attribution', (content ->> 'changed_at')::timestamptz \
     FROM quarantine WHERE source = 'packs'",
    "SELECT setval(pg_get_serial_sequence('packs', 'id'), MAX(id)) FROM packs HAVING MAX(id) IS NOT NULL",
    "INSERT INTO pack_questions (pack_id, question_id) SELECT (content ->> 'id')::bigint, value::bigint \
     FROM quarantine, json_array_elements_text(content -> 'questions') WHERE source = 'packs' \
     AND value::bigint IN (SELECT id FROM questions)",
    "INSERT INTO question_tags (question_id, tag) SELECT value::bigint, source_id \
     FROM quarantine, json_array_elements_text(content -> 'questions') WHERE source = 'question_tags' \
     AND value::bigint IN (SELECT id FROM questions)",
    "DELETE FROM quarantine WHERE source IN ('packs', 'question_tags')",
];

/// [`KEEP`] of PostgreSQL.
const KEEP_ON_A_SERVER: [&str; 2] = [
    "INSERT INTO quarantine (source, source_id, problem, content) SELECT 'packs', name, \
     'no earlier schema has packs; they come back with this one', json_build_object('id', id, 'title', title, \
     'source', source, 'author', author, 'licence', licence, 'attribution', attribution, 'changed_at', changed_at, \
     'questions', ARRAY(SELECT question_id FROM pack_questions WHERE pack_id = packs.id)) \
     FROM packs ORDER BY id",
    "INSERT INTO quarantine (source, source_id, problem, content) SELECT 'question_tags', tag, \
     'no earlier schema has tags; they come back with this one', \
     json_build_object('questions', json_agg(question_id)) FROM question_tags GROUP BY tag ORDER BY tag",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let packs = Table::create()
            .table("packs")
            .col(big_pk_auto("id"))
            .col(text_uniq("name"))
            .col(text_null("title"))
            .col(text_null("source"))
            .col(text_null("author"))
            .col(text_null("licence"))
            .col(text_null("attribution"))
            .col(timestamp_with_time_zone("changed_at"))
            .take();
        manager.create_table(packs).await?;
        let pack_questions = Table::create()
            .table("pack_questions")
            .col(big_integer("pack_id"))
            .col(big_integer("question_id"))
            .primary_key(Index::create().col("pack_id").col("question_id"))
            .foreign_key(ForeignKey::create().from("pack_questions", "pack_id").to("packs", "id"))
            .foreign_key(ForeignKey::create().from("pack_questions", "question_id").to("questions", "id"))
            .take();
        manager.create_table(pack_questions).await?;
        let by_question =
            Index::create().name("idx_pack_questions_question").table("pack_questions").col("question_id").take();
        manager.create_index(by_question).await?;
        let question_tags = Table::create()
            .table("question_tags")
            .col(big_integer("question_id"))
            .col(text("tag"))
            .primary_key(Index::create().col("question_id").col("tag"))
            .foreign_key(ForeignKey::create().from("question_tags", "question_id").to("questions", "id"))
            .take();
        manager.create_table(question_tags).await?;
        let by_tag =
            Index::create().name("idx_question_tags_tag").table("question_tags").col("tag").col("question_id").take();
        manager.create_index(by_tag).await?;
        if original::is_possible(manager) {
            run(manager, &TAKE_BACK).await
        } else {
            run(manager, &TAKE_BACK_ON_A_SERVER).await
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let keep = if original::is_possible(manager) { &KEEP } else { &KEEP_ON_A_SERVER };
        run(manager, keep).await?;
        drop_all(manager, &["question_tags", "pack_questions", "packs"]).await
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for sql in statements {
        manager.get_connection().execute_unprepared(sql).await?;
    }
    Ok(())
}
