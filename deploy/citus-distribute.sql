-- Spreads the migrated schema of trivia-store over the workers of a Citus cluster. Run it on the coordinator, in the
-- database of the game, after `trivia-db migrate up` and while no service is connected:
--
--     psql --set ON_ERROR_STOP=1 --single-transaction --file deploy/citus-distribute.sql "$DATABASE_URL"
--
-- It is all or nothing, and may be run again: what is distributed already stays as it is, so after a migration that
-- brought tables it distributes those. `tests/tests/sharding.rs` keeps the rules: every table has its place, each key of
-- a distributed table holds the column by which it is distributed, and foreign keys stay on one host.

-- keys that refer to reference tables are not changed on several connections at a time
SET LOCAL citus.multi_shard_modify_mode TO 'sequential';

CREATE TEMPORARY TABLE places (step SERIAL, name TEXT, shard_key TEXT, beside TEXT) ON COMMIT DROP;

INSERT INTO places (name, shard_key, beside) VALUES
    -- on every host: questions and rules, which all read and few write
    ('questions', NULL, NULL),
    ('question_versions', NULL, NULL),
    ('question_groups', NULL, NULL),
    ('question_tags', NULL, NULL),
    ('packs', NULL, NULL),
    ('pack_questions', NULL, NULL),
    ('challenges', NULL, NULL),
    ('challenge_questions', NULL, NULL),
    ('achievement_definitions', NULL, NULL),
    ('rule_book', NULL, NULL),
    ('closed_periods', NULL, NULL),
    ('erasures', NULL, NULL),
    -- by player: everything about one person is on one host
    ('users', 'user_id', 'none'),
    ('ledger', 'user_id', 'users'),
    ('rankings', 'user_id', 'users'),
    ('user_achievements', 'user_id', 'users'),
    ('user_tallies', 'user_id', 'users'),
    ('challenge_attempts', 'user_id', 'users'),
    ('question_reports', 'user_id', 'users'),
    ('merges', 'user_id', 'users'),
    ('unprojected', 'user_id', 'users'),
    -- by session, by channel, and by whom questions were picked for
    ('game_sessions', 'id', 'none'),
    ('session_questions', 'session_id', 'game_sessions'),
    ('live_sessions', 'channel_id', 'none'),
    ('picks', 'owner_id', 'none'),
    -- counts that many add to: each on one host, not on all
    ('question_counters', 'question_id', 'none'),
    ('score_counts', 'bucket', 'none');
-- `schema_version`, `commit_count`, `maintenance_runs` and `quarantine` stay on the coordinator: nothing refers to them

DO $$
DECLARE
    place RECORD;
    reference RECORD;
BEGIN
    IF NOT EXISTS (
        SELECT FROM places WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = name::regclass)
    ) THEN
        RAISE NOTICE 'all tables are distributed already';
        RETURN;
    END IF;
    -- foreign keys come back at the end: on the way they would join tables of different kinds
    CREATE TEMPORARY TABLE foreign_keys ON COMMIT DROP AS
        SELECT conrelid::regclass AS name, conname, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint
        WHERE contype = 'f' AND conrelid IN (SELECT places.name::regclass FROM places)
        ORDER BY conrelid, conname;
    FOR reference IN SELECT * FROM foreign_keys LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', reference.name, reference.conname);
    END LOOP;
    FOR place IN SELECT * FROM places ORDER BY step LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = place.name::regclass);
        IF place.shard_key IS NULL THEN
            PERFORM create_reference_table(place.name::regclass);
        ELSE
            PERFORM create_distributed_table(place.name::regclass, place.shard_key, colocate_with => place.beside);
        END IF;
        RAISE NOTICE '% is distributed', place.name;
    END LOOP;
    FOR reference IN SELECT * FROM foreign_keys LOOP
        EXECUTE format(
            'ALTER TABLE %s ADD CONSTRAINT %I %s', reference.name, reference.conname, reference.definition
        );
    END LOOP;
END
$$;
