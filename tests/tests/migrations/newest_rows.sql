-- rows in every table of the newest schema, beside those that may be there already
INSERT INTO users (user_id, last_seq, total_points, points_reached_at, questions_answered, questions_correct,
                   current_streak, best_streak, day_streak, best_day_streak, last_day, last_played,
                   preferred_difficulty, daily_challenges, weekly_challenges, daily_challenge_completed,
                   weekly_challenge_completed, time_zone, created_at) VALUES
    (5001, 6, 1070, '2026-11-02T10:00:05.000001+00:00', 3, 2, 0, 2, 2, 2, '2026-11-02',
     '2026-11-02T10:00:05.000001+00:00', 'easy', 1, 1, '2026-11-01', '2026-11-02', 'Atlantic/Reykjavik',
     '2026-11-01T09:00:00+00:00'),
    (5002, 0, 0, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, NULL, NULL, 'UTC',
     '2026-11-01T09:00:00.500+00:00');
INSERT INTO questions (id, version, content_key, stem_key, language, category, difficulty, question_type, question_text,
                       correct_answer, options, answer_variations, explanation, point_value, ordinal, created_at,
                       retired_at) VALUES
    (7001, 2, x'01', x'01', 'en', 'New', 'easy', 'multiple_choice', 'Pick b', 'b', '["a","b"]', NULL, NULL, NULL, 0,
     '2026-11-01T09:00:00+00:00', NULL),
    (7002, 1, x'02', x'02', 'is', 'New', 'hard', 'fill_blank', 'Say c', 'c', NULL, '["C","see"]', 'why', 45, 0,
     '2026-11-01T09:00:00.123+00:00', NULL),
    (7003, 1, x'03', x'03', 'en', 'New', 'easy', 'true_false', 'So it is', 'true', NULL, NULL, NULL, NULL, NULL,
     '2026-11-01T09:00:00+00:00', '2026-11-02T09:00:00+00:00'),
    (7004, 1, x'04', x'04', 'is', 'New', 'easy', 'multiple_choice', 'Veldu b', 'b', '["a","b"]', NULL, NULL, NULL,
     4294967296, '2026-11-01T09:00:00+00:00', NULL);
INSERT INTO question_versions VALUES (7001, 1, '{"kind":"multiple_choice"}', '2026-11-01T10:00:00+00:00');
INSERT INTO packs VALUES
    (8001, 'new', 'New ones', 'https://example.org', 'O''Brien', 'CC-BY-4.0', 'By O''Brien
and others', '2026-11-01T09:00:00.123+00:00'),
    (8000, 'empty', NULL, NULL, NULL, NULL, NULL, '2026-11-01T09:00:00+00:00');
INSERT INTO pack_questions VALUES (8001, 7001), (8001, 7003);
INSERT INTO question_tags VALUES (7001, 'odd'), (7002, 'odd'), (7002, 'b; ü');
INSERT INTO question_groups VALUES
    ('New', 'easy', 'multiple_choice', 'en', 0, 1), ('New', 'easy', 'multiple_choice', 'is', 4294967296, 1),
    ('New', 'hard', 'fill_blank', 'is', 0, 1), ('New', 'easy', 'true_false', 'en', 0, 0);
INSERT INTO question_reports VALUES
    (1, 7001, 1, 5001, 'wrong_answer', 'It is a', '2026-11-02T10:01:00+00:00', NULL, NULL),
    (2, 7001, 2, 5002, 'other', NULL, '2026-11-02T10:02:00.5+00:00', 'dismissed', '2026-11-02T11:00:00+00:00');
INSERT INTO question_counters VALUES (7001, 3, 2, 0, 0);
INSERT INTO game_sessions VALUES
    (x'019a0000000070008000000000000001', 600, 5001, 'normal', NULL, 'finished', 30000, 0, '2026-11-01T10:00:00+00:00', '2026-11-01T10:00:20.5+00:00'),
    (x'019a0000000070008000000000000002', 600, 5001, 'weekly', '2026-11-02', 'live', 30000, 1, '2026-11-02T10:00:00+00:00', NULL),
    (x'019a0000000070008000000000000003', 600, 5002, 'daily', '2026-11-01', 'expired', 5000, 0, '2026-11-01T11:00:00+00:00', '2026-11-01T11:00:05+00:00'),
    (x'019a0000000070008000000000000004', 600, 5999, 'normal', NULL, 'finished', 30000, 0, '2026-11-01T12:00:00+00:00', '2026-11-01T12:00:20+00:00'),
    (x'019a0000000070008000000000000005', 600, NULL, 'normal', NULL, 'finished', 30000, 0, '2026-11-01T13:00:00+00:00', '2026-11-01T13:00:20+00:00');
INSERT INTO session_questions VALUES
    (x'019a0000000070008000000000000001', 0, 7001, 1, '2026-11-01T10:00:00+00:00'),
    (x'019a0000000070008000000000000002', 0, 7001, 2, '2026-11-02T10:00:00+00:00'),
    (x'019a0000000070008000000000000002', 1, 7002, 1, NULL),
    (x'019a0000000070008000000000000003', 0, 7003, 1, '2026-11-01T11:00:00+00:00');
INSERT INTO live_sessions VALUES (600, x'019a0000000070008000000000000002');
INSERT INTO user_achievements VALUES (5001, 'hot_streak', 3, '2026-11-02T10:00:05.000001+00:00', 50);
INSERT INTO user_tallies VALUES (5001, 'difficulty', 'easy', 3, 2, 20), (5001, 'category', 'New', 3, 2, 20);
INSERT INTO rankings VALUES
    (5001, 'day', '2026-11-02', 20, 3, 2, '2026-11-02T10:00:05.000001+00:00'),
    (5001, 'week', '2026-11-02', 20, 3, 2, '2026-11-02T10:00:05.000001+00:00'),
    (5001, 'month', '2026-11-01', 20, 3, 2, '2026-11-02T10:00:05.000001+00:00'),
    (5002, 'week', '2026-11-02', 20, 1, 1, '2026-11-02T10:00:04+00:00'),
    (5002, 'week', '2026-11-09', 0, 1, 0, '2026-11-09T10:00:04+00:00');
INSERT INTO ledger (user_id, seq, key, kind, at, day, points, total_points, streak, unlocked, opening) VALUES
    (5001, 1, x'00000000000000000000000000001389', 'opening', '2026-11-01T09:00:00+00:00', '2026-11-01', 1000, 1000, 0, NULL, '{}');
INSERT INTO ledger (user_id, seq, key, kind, at, day, points, total_points, streak, unlocked, session_id, question_id,
                    question_version, difficulty, category, given, correct, rule_version, elapsed_us, challenge_kind,
                    challenge_on, challenge_size) VALUES
    (5001, 2, x'02', 'answer', '2026-11-02T10:00:05.000001+00:00', '2026-11-02', 20, 1020, 1, '["hot_streak"]',
     x'019a0000000070008000000000000001', 7001, 1, 'easy', 'New', '{"choice":1}', 1, 1, 5000001, NULL, NULL, NULL),
    (5001, 6, x'06', 'answer', '2026-11-02T10:00:06+00:00', '2026-11-02', 0, 0, 0, NULL,
     x'019a0000000070008000000000000002', 7001, 2, 'easy', 'New', '{"choice":0}', 0, 1, 6000000, 'weekly', '2026-11-02', 2);
INSERT INTO ledger (user_id, seq, key, kind, at, day, points, total_points, streak, achievement_id, reason) VALUES
    (5001, 3, x'03', 'grant', '2026-11-02T10:00:05.000001+00:00', '2026-11-02', 0, 1070, 1, 'hot_streak', NULL),
    (5001, 4, x'04', 'award', '2026-11-02T10:00:05.000001+00:00', '2026-11-02', 5, 1075, 1, NULL, 'thanks'),
    (5001, 5, x'05', 'reset', '2026-11-02T10:00:05.000001+00:00', '2026-11-02', 0, 0, 0, NULL, NULL);
INSERT INTO picks VALUES
    ('player', 5001, 7001, 3), ('player', 5001, 7003, 2), ('channel', 600, 7001, 1), ('channel', 5001, 7001, 1);
UPDATE rule_book SET revision = 3, zone = 'Atlantic/Reykjavik', week_start = 'sunday', challenge_language = 'is';
INSERT INTO achievement_definitions VALUES
    (19, 'regular', 'Regular', '☕', 'participation', '{"rule":"answered","at_least":10}', 10, 0, '2026-11-02T09:00:00+00:00'),
    (20, 'regular', 'Regular', '☕', 'participation', '{"rule":"answered","at_least":20}', 10, 1, NULL);
INSERT INTO challenges VALUES ('weekly', '2026-11-02', '2026-11-02T10:00:00+00:00');
INSERT INTO challenge_questions VALUES ('weekly', '2026-11-02', 0, 7001, 2), ('weekly', '2026-11-02', 1, 7002, 1);
INSERT INTO challenge_attempts VALUES
    (5001, 'weekly', '2026-11-02', 2, '[{"question_id":7001,"correct":false,"points":0}]', NULL),
    (5002, 'daily', '2026-11-01', 1, '[{"question_id":7003,"correct":true,"points":20}]', '2026-11-01T11:00:04+00:00');
INSERT INTO closed_periods VALUES
    ('day', '2026-11-01', x'019a0000000070008000000000000006', '2026-11-02T00:00:01+00:00', 1);
INSERT INTO erasures VALUES (x'0a', x'0b', '2026-11-02T10:00:00+00:00');
INSERT INTO maintenance_runs VALUES ('integrity check', '2026-11-02T10:00:00+00:00', 1, '');
INSERT INTO quarantine (source, source_id, problem, content) VALUES ('elsewhere', 'x', 'unreadable', '{"a":1}');
INSERT INTO merges VALUES (5001, x'0c', x'0d');
