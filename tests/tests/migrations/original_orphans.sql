-- broken references, as a program with foreign keys off leaves them
INSERT INTO user_achievements VALUES (900, 777, 'hot_streak', '2025-10-01 00:00:00');
INSERT INTO weekly_rankings VALUES (900, 777, '2025-09-08', 10, 5);
INSERT INTO game_sessions VALUES
    (900, 500, 777, 1, 'easy', '2025-09-09 09:50:00', '2025-09-09 09:50:10', 1, 0),
    (901, 500, 1, 888, 'easy', '2025-09-09 09:31:00', '2025-09-09 09:31:10', 1, 0);
