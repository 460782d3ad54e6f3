-- times as a server at UTC-7 leaves them; the other oddities are in ../../migrations
INSERT INTO users VALUES
    (601, 10, 1, 1, 1, 1, '2025-09-10 10:00:00.000001', '2025-09-10', NULL, 'easy', '2025-09-10 09:59:00.5'),
    -- the account of its self-test: the column's default is UTC
    (602, 100, 10, 0, 0, 0, NULL, NULL, NULL, NULL, '2025-10-30 04:04:17'),
    -- read as local it would have been made after it was last used
    (603, 10, 1, 1, 1, 1, '2025-09-10 03:00:00.000001', NULL, NULL, 'easy', '2025-09-10 09:30:00'),
    (604, 10, 1, 1, 1, 1, '2025-09-10T10:00:00+02:00', NULL, NULL, 'easy', '2025-09-10'),
    (605, 9e999, 1, 1, 1, 1, '2025-10-26 02:30:00.500000', NULL, NULL, CAST(x'6561737980' AS TEXT), '2025-09-10T09:59:00');
INSERT INTO user_achievements VALUES
    (600, 601, 'hot_streak', '2025-09-10 17:00:01'),
    (601, 601, 'weekly_good', '2025-09-10T10:00:00.250000'),
    (602, 601, 'of_a_plugin', '2025-09-10 17:00:01');
INSERT INTO weekly_rankings VALUES (600, 601, '2025-09-08', 10, 4), (601, 602, '2025-09-08', 0, NULL);
INSERT INTO game_sessions VALUES
    (600, 500, 601, 6, 'easy', '2025-09-10 09:59:50.000001', '2025-09-10 10:00:00.000001', 1, 0),
    -- whole seconds, local
    (601, 500, 601, 6, 'easy', '2025-09-10 09:59:50', '2025-09-10 10:00:00.000001', 1, 0),
    -- the column's default
    (602, 500, 601, 6, 'easy', '2025-09-10 16:59:50', '2025-09-10 10:00:00.000001', 1, 0),
    -- nothing tells
    (603, 500, 601, 6, 'easy', '2025-09-10 16:59:50', NULL, 0, 0),
    -- neither reading is a game of its length
    (604, 500, 601, 6, 'easy', '2025-09-10 08:00:00', '2025-09-10 10:00:00.000001', 1, 1);
