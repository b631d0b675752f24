"""Which commands have been decided, and where their events stand: a fold of one partition of memfold.events in SQLite.

It answers two questions of `decide`: has this command id been decided before (a retry with the same idempotency key), and what
was the last command that counted (the fence). Like every fold it can be deleted; it is read again from the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from memfold.schemas.records import Envelope

_TABLES = """
CREATE TABLE IF NOT EXISTS decided (command_id TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY, offset INTEGER NOT NULL, command_offset INTEGER NOT NULL);
INSERT OR IGNORE INTO position VALUES (1, -1, -1);
"""


class Ledger:
    """The decided commands of one partition; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # NORMAL loses the newest rows in a power cut, never consistency; they are read again from the log.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
            self._db.execute(f"PRAGMA {pragma}").fetchone()
        self._db.executescript(_TABLES)
        query = "SELECT offset, command_offset FROM position"
        row: tuple[int, int] = self._db.execute(query).fetchone()
        self.offset, self.command_offset = row

    def offset_of(self, command_id: str) -> int | None:
        """Offset of the event that answered a command, None while there is none."""
        row = self._db.execute("SELECT offset FROM decided WHERE command_id = ?", (command_id,)).fetchone()
        return None if row is None else int(row[0])

    def record(
        self, events: Iterable[tuple[int, Envelope]], next_offset: int, command_offset: int = -1
    ) -> None:
        """Fold events (offset, envelope) in log order and move the position, in one commit."""
        rows: list[tuple[str, int]] = []
        for offset, envelope in events:
            if envelope.command_offset > self.command_offset:
                self.command_offset = envelope.command_offset
                rows.append((envelope.command_id, offset))
        self.command_offset = max(self.command_offset, command_offset)
        self.offset = next_offset - 1
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO decided VALUES (?, ?)", rows)
            self._db.execute(
                "UPDATE position SET offset = ?, command_offset = ?", (self.offset, self.command_offset)
            )

    def close(self) -> None:
        self._db.close()
