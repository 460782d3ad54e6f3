"""Makes the corpus of the target `adopt` from what the tests have: python3 fuzz/adopt_corpus.py

Pages are as small as SQLite allows, so that much of a file is structure. An input is a database; a log may follow it
behind a line that names it.
"""

import sqlite3
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent
CORPUS = ROOT / "corpus" / "adopt"
PARTS = ("schema", "rows", "orphans")
SQL = {part: (ROOT / f"../tests/tests/migrations/original_{part}.sql").read_text() for part in PARTS}
TABLES = "\n".join(line for line in SQL["schema"].splitlines() if not line.startswith("CREATE INDEX"))
ONE_OF_EACH = """
INSERT INTO schema_version VALUES (1, NULL);
INSERT INTO users VALUES
    (1, 10, 1, 1, 1, 1, '2025-09-09 09:18:12.538327', NULL, NULL, 'easy', '2025-09-08 09:00:00.5');
INSERT INTO questions VALUES
    (1, 'A river?', 'multiple_choice', 'easy', 'Geography', 'Nile', '["Nile", "Alps"]', NULL, NULL, 10, 1, 1, NULL);
INSERT INTO user_achievements VALUES (1, 1, 'hot_streak', '2025-09-09 09:18:12');
INSERT INTO weekly_rankings VALUES (1, 1, '2025-09-08', 10, 1);
INSERT INTO game_sessions VALUES (1, 500, 1, 1, 'easy', '2025-09-09 09:18:02.5', '2025-09-09 09:18:12.5', 1, 0);
"""
# of an administrator
INDEX = "CREATE INDEX idx_rate ON questions (CAST(times_correct AS REAL) / NULLIF(times_asked, 0)); ANALYZE;"
COMMITTED = "PRAGMA journal_mode = WAL; UPDATE users SET total_points = 20;"
# what does not fit into so small a cache is in the file already
UNDER_WAY = """
PRAGMA cache_size = 1; BEGIN;
UPDATE users SET total_points = 99; UPDATE questions SET explanation = hex(zeroblob(4000));
"""


def make(name, sql, log=None):
    """Writes an input; with a log it is copied while the database is open."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "db")
        database = sqlite3.connect(path, isolation_level=None)
        database.executescript("PRAGMA page_size = 512; PRAGMA foreign_keys = OFF;" + sql)
        content = path.read_bytes()
        if log:
            content += f"\n{log}\n".encode() + Path(f"{path}{log}").read_bytes()
        (CORPUS / name).write_bytes(content)
        database.close()


CORPUS.mkdir(parents=True, exist_ok=True)
make("minimal", TABLES + ONE_OF_EACH)
make("oddities", SQL["schema"] + SQL["rows"] + SQL["orphans"])
make("indexes", SQL["schema"] + ONE_OF_EACH + INDEX)
make("wal", TABLES + ONE_OF_EACH + COMMITTED, "-wal")
make("journal", TABLES + ONE_OF_EACH + UNDER_WAY, "-journal")
