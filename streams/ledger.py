"""Which commands have been decided, and where their events stand: a fold of one partition of memfold.events in SQLite.

It answers two questions of `decide`: has this command id been decided before (a retry with the same idempotency key), and what
was the last command that counted (the fence). Like every fold it can be deleted; it is read again from the log. So it may stand
behind the log, too: the newest rows are held in memory and written together, since a commit for each event costs as much as
deciding it, and a start reads what was lost from the log.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from memfold.schemas.records import Envelope

_TABLES = """
CREATE TABLE IF NOT EXISTS decided (command_id TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY, offset INTEGER NOT NULL, command_offset INTEGER NOT NULL);
INSERT OR IGNORE INTO position VALUES (1, -1, -1);
"""


HELD, HELD_SECONDS = 500, 1.0
"""Rows that are held before they are written, and for how long while events come."""


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
        self._held: dict[str, int] = {}
        self._written = time.monotonic()

    def offset_of(self, command_id: str) -> int | None:
        """Offset of the event that answered a command, None while there is none."""
        if command_id in self._held:
            return self._held[command_id]
        row = self._db.execute("SELECT offset FROM decided WHERE command_id = ?", (command_id,)).fetchone()
        return None if row is None else int(row[0])

    def record(
        self, events: Iterable[tuple[int, Envelope]], next_offset: int, command_offset: int = -1
    ) -> None:
        """Fold events (offset, envelope) in log order and move the position."""
        for offset, envelope in events:
            if envelope.command_offset > self.command_offset:
                self.command_offset = envelope.command_offset
                self._held.setdefault(envelope.command_id, offset)
        self.command_offset = max(self.command_offset, command_offset)
        self.offset = next_offset - 1
        if len(self._held) >= HELD or time.monotonic() - self._written >= HELD_SECONDS:
            self._write()

    def _write(self) -> None:
        """What is held, and the position after it, in one commit."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO decided VALUES (?, ?)", self._held.items())
            self._db.execute(
                "UPDATE position SET offset = ?, command_offset = ?", (self.offset, self.command_offset)
            )
        self._held.clear()
        self._written = time.monotonic()

    def close(self) -> None:
        self._write()
        self._db.close()
