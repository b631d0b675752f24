"""Vectors that were made anew from texts, kept by model and text: building the same again asks no model.

One SQLite file for each model, in the clear and beside the projections, because it is derived as they are: deleting it costs
calls, never memories. A text is its SHA-256. What a whole rebuild did not ask for belongs to nothing that is served, and goes
after it, so that what a rebuild erases is not kept here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

_ASKED = 500
_PATIENCE = 60.0
"""Seconds that one process waits for another one's commit."""


class VectorCache:
    """The cache of one model below `folder`; a context manager, for one thread. Any number of processes may have one."""

    def __init__(self, folder: Path, model: str, dimensions: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{sha256(f'{model}/{dimensions}'.encode()).hexdigest()[:16]}.db"
        self._database = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB, asked_by TEXT) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def known(self, texts: Sequence[str], asked_by: str | None = None) -> dict[str, bytes]:
        """The vectors of those texts that have one, float16 bytes. `asked_by`: the generation that uses them from now on."""
        by_hash = {_hash(text): text for text in texts}
        hashes, found = list(by_hash), dict[str, bytes]()
        for start in range(0, len(hashes), _ASKED):
            some = hashes[start : start + _ASKED]
            marks = f"({','.join('?' * len(some))})"
            for text, vector in self._database.execute(
                f"SELECT text, vector FROM vectors WHERE text IN {marks}", some
            ):
                found[by_hash[text]] = vector
            if asked_by is not None:
                self._database.execute(
                    f"UPDATE vectors SET asked_by = ? WHERE asked_by != ? AND text IN {marks}",
                    [asked_by, asked_by, *some],
                )
        return found

    def keep(self, vectors: Mapping[str, bytes], asked_by: str) -> None:
        """One commit; durable against a kill, not against a power cut, which costs calls only."""
        rows = [(_hash(text), vector, asked_by) for text, vector in vectors.items()]
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def forget_others(self, asked_by: str) -> None:
        """Leave only what this generation uses: no other model's file, nothing in free pages or the journal."""
        self._database.execute("DELETE FROM vectors WHERE asked_by != ?", [asked_by])
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for path in self.path.parent.glob("*.db*"):
            if not path.name.startswith(self.path.name):
                path.unlink(missing_ok=True)


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
