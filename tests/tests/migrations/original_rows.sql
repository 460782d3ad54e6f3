-- every oddity that was seen in databases of the replaced system
INSERT INTO schema_version VALUES (1, '2025-09-08 15:59:00');

-- users: 1 to 12 are sound
INSERT INTO users VALUES
    (1, 340, 20, 12, 2, 5, '2025-09-09 09:18:12.538327', '2025-10-30', '2025-10-27', 'hard', '2025-09-08 09:00:00.000001'),
    (2, 120, 9, 6, 0, 3, '2025-10-17 17:29:47', NULL, NULL, 'easy', '2025-09-08 09:00:00'),
    (3, 120, 7, 6, 1, 3, '2025-09-19T10:01:05.001001', '2025-09-19', NULL, 'medium', '2025-09-19T10:00:05.500000'),
    (4, 20, 2, 1, 1, 1, '2025-09-19T10:00:05', NULL, NULL, 'easy', '2025-09-19T10:00:05'),
    (5, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL),
    (6, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, '2025-09-20 01:02:03'),
    (7, 0, 0, 0, 0, 0, '2025-10-01 10:00:00.250000', NULL, NULL, 'medium', '2025-09-08 09:00:00.300000'),
    (8, 0, 3, 0, 0, 0, '2025-10-02 10:00:00.000002', NULL, NULL, 'easy', '2025-09-08 09:00:00.300000'),
    (9, 10, 1, 1, 1, 1, NULL, NULL, NULL, NULL, NULL),
    (10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2025-09-20 01:02:03'),
    (12345, 100, 10, 0, 0, 0, NULL, NULL, NULL, NULL, '2025-09-08 16:00:00'),
    (1399999999999999999, 4149, 300, 278, 0, 178, '2025-10-31 21:04:17.512345', '2025-10-31', '2025-10-28', 'hard', '2025-09-08 09:00:00'),
    (9223372036854775807, 30, 1, 1, 1, 1, '2025-10-31 21:04:17.512345', NULL, NULL, 'hard', '2025-09-08 09:00:00');
-- users: these must be put right
INSERT INTO users VALUES
    (20, 75, 5, 5, 5, 5, '2025-10-01 10:00:00.000001', '2025-10-01', '2025-10-01', 'mixed', '2025-09-08 09:00:00'),
    (21, -999, 4, 2, 0, 1, '2025-10-01 10:00:00.000001', NULL, NULL, 'easy', '2025-09-08 09:00:00'),
    (22, 50, 1, 500, 0, 1, '2025-10-01 10:00:00.000001', NULL, NULL, 'easy', '2025-09-08 09:00:00'),
    (23, 50, 5, 4, 4, 3, '2025-10-01 10:00:00.000001', NULL, NULL, 'easy', '2025-09-08 09:00:00'),
    (24, 50, 5, 4, 4, 4, 'yesterday-ish', '2025-9-8', 'soon', 'impossible', 1757404692),
    (25, 'many', 1.5, 1, 0, 1, '2025-10-01 10:00:00.000001', NULL, NULL, x'00ff41', '2025-09-08 09:00:00');
-- a user that cannot be held at all
INSERT INTO users VALUES (-5, 60, 3, 2, 0, 1, '2025-10-01 10:00:00.000001', NULL, NULL, 'easy', '2025-09-08 09:00:00');

INSERT INTO questions VALUES
    (1, 'Pick the planet', 'multiple_choice', 'easy', 'Stadium', 'Opción 181 🎯', '["Opci\u00f3n 181 \ud83c\udfaf", "Player \"104\""]', NULL, NULL, 10, 4, 2, NULL),
    (2, 'Best striker?', 'multiple_choice', 'easy', 'stadium', 'Zlatan Ibrahimović', '["Zlatan Ibrahimović", "Pelé", "Robert''); DROP TABLE users;-- n"]', NULL, '', 20, 3, 3, '2025-09-08 15:59:00'),
    (3, 'When did Java appear?', 'multiple_choice', 'medium', 'Tech', '1995', '["3", "1995", "1991", "2001"]', NULL, 'It was Oak first', 30, 0, 0, '2025-09-08T10:00:00.123456'),
    (6, 'The goal is 7.32 m wide.', 'true_false', 'easy', '⚽ fútbol', 'true', NULL, NULL, '', 10, 9, 8, '2025-09-08 15:59:00'),
    (7, 'The ball is square.', 'true_false', 'hard', '🏆🌟', 'false', NULL, NULL, NULL, 30, 0, 0, '2025-09-08 15:59:00'),
    (8, 'Capital of Japan? "quoted"
	and a tab', 'fill_blank', 'medium', '歴史', 'Tokyo', NULL, '["Tōkyō", "東京"]', 'Explained 🎌', 20, 2, 1, '2025-09-08 15:59:00'),
    (9, 'Robert''); DROP TABLE users;-- n', 'fill_blank', 'hard', 'الملاعب', 'Bobby', NULL, NULL, NULL, 0, 0, 0, '2025-09-08 15:59:00'),
    (10, 'Test question?', 'fill_blank', 'easy', 'Stadium', 'A', '[]', '[]', NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (11, 'Second of the group?', 'true_false', 'easy', '⚽ fútbol', 'true', NULL, NULL, NULL, NULL, NULL, NULL, '2025-09-08 15:59:00');
-- questions: these must be put right
INSERT INTO questions VALUES
    (20, 'Which letter is third?', 'multiple_choice', 'easy', 'Stadium', '2', '["w", "x", "y", "z"]', NULL, NULL, 10, 19, 7, '2025-09-08 15:59:00'),
    (21, '  Blanks  around ', 'multiple_choice', 'easy', 'Two  words', ' b ', '[" a ", " b "]', '["unused"]', ' why ', 10, 0, 0, '2025-09-08 15:59:00'),
    (22, 'A year in numbers', 'multiple_choice', 'easy', 'Stadium', '2001', '[1995, 2001]', NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (23, 'Counted wrongly', 'true_false', 'easy', 'Stadium', 'True', '["True", "False"]', NULL, NULL, 10, 3, 5, 'long ago'),
    (24, 'Counted below zero', 'true_false', 'easy', 'Stadium', 'yes', NULL, NULL, NULL, 10, -3, 'x', '2025-09-08 15:59:00');
-- questions that cannot be held
INSERT INTO questions VALUES
    (300, 'Test?', 'multiple_choice', 'easy', 'test', 'A', NULL, NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (301, 'the BALL is   square.', 'true_false', 'easy', 'again', 'false', NULL, NULL, NULL, 10, 1, 1, '2025-09-08 15:59:00'),
    (302, '   ', 'fill_blank', 'easy', 'Stadium', 'x', NULL, NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (303, 'Not a list', 'multiple_choice', 'easy', 'Stadium', 'x', 'x, y', NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (304, 'Below zero', 'fill_blank', 'easy', 'Stadium', 'x', NULL, NULL, NULL, -5, 0, 0, '2025-09-08 15:59:00'),
    (305, 'Neither', 'true_false', 'easy', 'Stadium', 'maybe', NULL, NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (306, x'00ff', 'true_false', 'easy', 'Stadium', 'true', NULL, NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (307, 'Same twice', 'multiple_choice', 'easy', 'Stadium', 'a', '["a", "a"]', NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00'),
    (-3, 'Negative id', 'true_false', 'easy', 'Stadium', 'true', NULL, NULL, NULL, 10, 0, 0, '2025-09-08 15:59:00');
UPDATE sqlite_sequence SET seq = 400 WHERE name = 'questions';

INSERT INTO user_achievements VALUES
    (1, 1, 'hot_streak', '2025-09-09 16:18:12'),
    (2, 1, 'weekly_perfect', '2025-09-19T10:01:05.001001'),
    (3, 1399999999999999999, 'unstoppable', '2025-10-01 00:00:00'),
    (4, 5, 'trivia_rookie', NULL);
INSERT INTO user_achievements VALUES (20, 2, 'galaxy_expert', 'some day');
INSERT INTO user_achievements VALUES
    (30, 2, 'Not An Id!', '2025-10-01 00:00:00'),
    (31, -5, 'hot_streak', '2025-10-01 00:00:00');

INSERT INTO weekly_rankings VALUES
    (1, 1, '2025-09-08', 100, 1),
    (2, 2, '2025-09-08', 70, 2),
    (3, 3, '2025-09-08', 70, 3),
    (4, 4, '2025-09-08', 0, NULL),
    (5, 1399999999999999999, '2025-09-08', 30, NULL),
    (6, 7, '2025-09-15', 50, 1),
    (7, 6, '2025-09-15', NULL, NULL);
INSERT INTO weekly_rankings VALUES
    (30, 1, 'not a date', 10, 1),
    (31, 1, '2025-09-10', 10, 1),
    (32, 1, '2025-9-8', 10, 1),
    (33, 1, '2025-09-22', -10, 1),
    (34, -5, '2025-09-08', 10, 4);

INSERT INTO game_sessions VALUES
    (1, 500, 1, 1, 'easy', '2025-09-09 09:18:00.000001', '2025-09-09 09:18:12.538327', 1, 0),
    (2, 500, 1, 2, 'easy', '2025-09-09 09:19:00', '2025-09-09 09:19:10', 1, 1),
    (3, 501, 2, 3, 'medium', '2025-09-09T09:19:00.250000', '2025-09-09T09:19:10.500000', TRUE, FALSE),
    (4, 501, 2, 3, 'medium', '2025-10-31 21:04:00.000001', NULL, 0, 0),
    (5, 9223372036854775807, 3, 6, 'easy', '2025-10-31 21:04:00', NULL, 0, 1);
-- sessions: these must be put right
INSERT INTO game_sessions VALUES
    (20, 500, 1, NULL, 'hard', '2025-09-09 09:20:00', '2025-09-09 09:20:10', 1, 0),
    (21, 500, 1, 1, 'hard', '2025-09-09 09:21:00', '2025-09-09 09:21:10', 1, 0),
    (22, 500, 1, 1, 'impossible', '2025-09-09 09:22:00', '2025-09-09 09:22:10', 1, 0),
    (23, 500, 1, 1, 'easy', '2025-09-09 16:23:00', '2025-09-09 09:23:10.000001', 1, 0),
    (24, 500, 1, 1, 'easy', '2025-09-09 09:24:00', NULL, 1, 0),
    (25, 500, 1, 1, 'easy', '2025-09-09 09:25:00', '2025-09-09 09:25:10', 0, 0),
    (26, 500, 1, 1, 'easy', '2025-09-09 09:26:00', '2025-09-09 09:26:10', 'maybe', 7),
    (27, 500, 1, 1, 'easy', NULL, NULL, NULL, NULL),
    (28, 500, 1, 1, 'easy', 'noon', 'later', 1, 0),
    (29, 500, 1, 300, 'easy', '2025-09-09 09:29:00', '2025-09-09 09:29:10', 1, 0),
    (30, 500, 1, 301, 'easy', '2025-09-09 09:30:00', '2025-09-09 09:30:10', 1, 0);
-- sessions that cannot be held
INSERT INTO game_sessions VALUES
    (40, -100200300, 1, 1, 'easy', '2025-09-09 09:40:00', '2025-09-09 09:40:10', 1, 0),
    (41, 500, -5, 1, 'easy', '2025-09-09 09:41:00', '2025-09-09 09:41:10', 1, 0),
    (42, 'general', 1, 1, 'easy', '2025-09-09 09:42:00', '2025-09-09 09:42:10', 1, 0);
