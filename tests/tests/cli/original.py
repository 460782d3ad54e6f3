"""Uses a database as the replaced system did: its statements, its text formats, the standard library only.

Prints what it read as one JSON document. Fails like the replaced system would: by an exception.
"""

import json
import sqlite3
import sys
from datetime import date, datetime, timedelta

db = sqlite3.connect(sys.argv[1], timeout=30.0)
db.row_factory = sqlite3.Row
for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-64000", "temp_store=MEMORY"):
    db.execute(f"PRAGMA {pragma}")


def rows(sql, *values):
    return [dict(row) for row in db.execute(sql, values)]


def one(sql, *values):
    return db.execute(sql, values).fetchone()[0]


def moment(text):
    return datetime.fromisoformat(text) if text else None


def day(text):
    return date.fromisoformat(text) if text else None


# start-up: integrity, tables, version
assert one("PRAGMA integrity_check") == "ok"
assert rows("PRAGMA foreign_key_check") == []
tables = {row["name"] for row in rows("SELECT name FROM sqlite_master WHERE type='table'")}
wanted = {"schema_version", "users", "questions", "user_achievements", "weekly_rankings", "game_sessions"}
assert wanted <= tables, tables
assert tables - wanted <= {"sqlite_sequence"}, tables
assert one("SELECT MAX(version) FROM schema_version") == 1
assert moment(rows("SELECT applied_at FROM schema_version")[0]["applied_at"])
db.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at TIMESTAMP)")

# models: from_dict of every row
users = rows("SELECT * FROM users")
for user in users:
    user["played"] = moment(user["last_played"])
    user["created"] = moment(user["created_at"])
    user["daily"] = day(user["daily_challenge_completed"])
    user["weekly"] = day(user["weekly_challenge_completed"])
    user["points"] = (user["total_points"] or 0) + 0
    answered = user["questions_answered"] or 0
    user["accuracy"] = (user["questions_correct"] or 0) / answered * 100 if answered else 0.0
questions = rows("SELECT * FROM questions")
for question in questions:
    question["list"] = json.loads(question["options"]) if question["options"] else []
    question["more"] = json.loads(question["answer_variations"]) if question["answer_variations"] else []
    question["value"] = (question["point_value"] or 0) or {"easy": 10, "medium": 20, "hard": 30}[question["difficulty"]]
    moment(question["created_at"])
achievements = rows("SELECT * FROM user_achievements ORDER BY unlocked_at DESC")
for achievement in achievements:
    moment(achievement["unlocked_at"])
rankings = rows("SELECT * FROM weekly_rankings")
for ranking in rankings:
    assert day(ranking["week_start"]).weekday() == 0
sessions = rows("SELECT * FROM game_sessions")
for session in sessions:
    session["start"] = moment(session["start_time"])
    session["end"] = moment(session["end_time"])
    assert session["is_completed"] in (0, 1) and session["is_challenge"] in (0, 1)

# boards
top = rows(
    "SELECT user_id, total_points, questions_answered, current_streak, "
    "ROUND(CASE WHEN questions_answered > 0 THEN questions_correct * 100.0 / questions_answered ELSE 0 END, 1) AS accuracy "
    "FROM users WHERE total_points > 0 ORDER BY total_points DESC LIMIT ? OFFSET ?",
    10,
    0,
)
weeks = rows(
    "SELECT week_start, COUNT(*) AS players, SUM(points) AS points FROM weekly_rankings wr "
    "JOIN users u ON u.user_id = wr.user_id GROUP BY week_start ORDER BY week_start"
)
month = rows(
    "SELECT gs.user_id, SUM(CASE q.difficulty WHEN 'easy' THEN 10 WHEN 'medium' THEN 20 WHEN 'hard' THEN 30 ELSE 0 END) AS points "
    "FROM game_sessions gs JOIN questions q ON q.id = gs.question_id "
    "WHERE gs.is_completed = TRUE AND DATE(gs.end_time) >= ? GROUP BY gs.user_id",
    "2025-10-01",
)
result = {
    "rows": {
        "users": len(users),
        "questions": len(questions),
        "user_achievements": len(achievements),
        "weekly_rankings": len(rankings),
        "game_sessions": len(sessions),
    },
    "users": {
        "total_points": sum(user["points"] for user in users),
        "questions_answered": sum(user["questions_answered"] or 0 for user in users),
        "questions_correct": sum(user["questions_correct"] or 0 for user in users),
        "max_best_streak": max(user["best_streak"] or 0 for user in users),
    },
    "users_null_last_played": sum(user["played"] is None for user in users),
    "users_null_created_at": sum(user["created"] is None for user in users),
    "top10": [[row["user_id"], row["total_points"]] for row in top],
    "weekly": {row["week_start"]: {"rows": row["players"], "points": row["points"]} for row in weeks},
    "month": sum(row["points"] for row in month),
    "sessions": {
        "completed": sum(session["is_completed"] for session in sessions),
        "challenge": sum(session["is_challenge"] for session in sessions),
        "start_after_end": sum(bool(s["end"]) and s["start"] is not None and s["start"] > s["end"] for s in sessions),
    },
    "last_played": {str(user["user_id"]): user["last_played"] for user in users},
}

# playing on: a new user, an answer, a game, a week, an achievement, the clean-up; nothing of it is kept
now = datetime(2025, 11, 3, 12, 30, 0, 250000)
monday = (now - timedelta(days=now.weekday())).date()
db.execute("INSERT INTO users (user_id, created_at) VALUES (?, ?)", (4242, now.isoformat(" ")))
db.execute(
    "UPDATE users SET total_points=?, questions_answered=?, questions_correct=?, current_streak=?, best_streak=?, "
    "last_played=?, preferred_difficulty=? WHERE user_id=?",
    (10, 1, 1, 1, 1, now.isoformat(" "), "easy", 4242),
)
question_id = db.execute(
    "INSERT INTO questions (question_text, question_type, difficulty, category, correct_answer, options) "
    "VALUES (?, ?, ?, ?, ?, ?)",
    ("Test question?", "multiple_choice", "easy", "test", "A", json.dumps(["A", "B"])),
).lastrowid
result["new_question_id"] = question_id
db.execute(
    "INSERT INTO game_sessions (channel_id, user_id, question_id, difficulty, start_time, end_time, is_completed) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
    (7, 4242, question_id, "easy", now.isoformat(" "), now.isoformat(" "), True),
)
db.execute(
    "INSERT OR REPLACE INTO weekly_rankings (user_id, week_start, points, rank) VALUES (?, ?, ?, ?)",
    (4242, monday.isoformat(), 10, 1),
)
db.execute("INSERT OR IGNORE INTO user_achievements (user_id, achievement_id) VALUES (?, ?)", (4242, "hot_streak"))
assert one("SELECT COUNT(*) + 1 FROM users WHERE total_points > (SELECT total_points FROM users WHERE user_id = 4242)")
week_ago = (now - timedelta(days=7)).isoformat(" ")
db.execute("DELETE FROM game_sessions WHERE start_time < ? AND is_completed = TRUE", (week_ago,))
db.execute("DELETE FROM weekly_rankings WHERE week_start < ?", ((now - timedelta(weeks=12)).date().isoformat(),))
db.execute("DELETE FROM users WHERE user_id = 4242")
assert one("SELECT COUNT(*) FROM game_sessions WHERE user_id = 4242") == 0
assert rows("PRAGMA foreign_key_check") == []
db.rollback()

print(json.dumps(result))
