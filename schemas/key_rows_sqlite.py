"""The rows of a key store in a file of SQLite, for the processes of one machine.

`secure_delete` and a truncating checkpoint after each destruction, because SQLite otherwise keeps deleted bytes in its pages and its
write-ahead log.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from memfold.schemas.errors import KeysRefused
from memfold.schemas.key_rows import Key, Rows, Subject

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subjects (
  lookup BLOB PRIMARY KEY, subject TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, kind TEXT NOT NULL, sealed_name BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (
  key_id TEXT PRIMARY KEY, subject TEXT NOT NULL, generation INTEGER NOT NULL, wrapped BLOB, UNIQUE (subject, generation)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS erased ON subjects (subject) WHERE sealed_name IS NULL;
"""
_SUBJECT = "lookup, subject, tenant, kind, sealed_name"
_KEY = "key_id, subject, generation, wrapped"


class SqliteKeyRows:
    """A `KeyRows`. What was destroyed is in no byte of its files any more."""

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """`alone`: no other process can have it open until it is closed. Raises KeysRefused where one has."""
        self._path = path
        path.touch(mode=0o600)
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=0 if alone else 30
        )
        if alone:
            self._take()
        # FULL: a key that a power cut takes away makes its subject's records unreadable for ever.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._db.execute(f"PRAGMA {pragma}").fetchone()
        self._db.executescript(_TABLES)

    def _take(self) -> None:
        """A connection to a file with a write-ahead log holds a lock for as long as it is open."""
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as busy:
            self._db.close()
            raise KeysRefused(
                f"{self._path} is open in another process ({busy}); stop the stack, workers and callers first"
            ) from busy

    def first(self, name: str, value: bytes) -> bytes:
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
        found: tuple[bytes] = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0]

    def subject(self, lookup: bytes) -> str | None:
        row = self._db.execute("SELECT subject FROM subjects WHERE lookup = ?", (lookup,)).fetchone()
        return None if row is None else str(row[0])

    def add(self, subject: Subject, key: Key) -> str:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            made = self._db.execute("INSERT OR IGNORE INTO subjects VALUES (?, ?, ?, ?, ?)", subject).rowcount
            if made:
                self._db.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", key)
        found = self.subject(subject.lookup)
        assert found is not None
        return found

    def named(self, subject: str) -> bytes | None:
        row = self._db.execute("SELECT sealed_name FROM subjects WHERE subject = ?", (subject,)).fetchone()
        return None if row is None else row[0]

    def subjects(self, tenant: str) -> list[Subject]:
        query = f"SELECT {_SUBJECT} FROM subjects WHERE tenant = ? ORDER BY subject"
        return [Subject(*row) for row in self._db.execute(query, (tenant,))]

    def whole_tenants(self) -> list[tuple[str, str]]:
        return self._db.execute("SELECT tenant, subject FROM subjects WHERE kind = 'tenant'").fetchall()

    def newest(self, subject: str) -> str | None:
        query = "SELECT key_id FROM keys WHERE subject = ? ORDER BY generation DESC LIMIT 1"
        row = self._db.execute(query, (subject,)).fetchone()
        return None if row is None else str(row[0])

    def key(self, key_id: str) -> Key | None:
        row = self._db.execute(f"SELECT {_KEY} FROM keys WHERE key_id = ?", (key_id,)).fetchone()
        return None if row is None else Key(*row)

    def any_key(self) -> bool:
        return self._db.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None

    def destroy(self, subject: str, lookup: bytes) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("UPDATE keys SET wrapped = NULL WHERE subject = ?", (subject,))
            self._db.execute(
                "UPDATE subjects SET sealed_name = NULL, lookup = ? WHERE subject = ?", (lookup, subject)
            )
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def erased(self) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT subject FROM subjects WHERE sealed_name IS NULL")}

    def changes(self) -> int:
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def all_rows(self) -> Rows:
        with self._db:
            self._db.execute("BEGIN")
            return Rows(
                dict(self._db.execute("SELECT name, value FROM meta")),
                [
                    Subject(*row)
                    for row in self._db.execute(f"SELECT {_SUBJECT} FROM subjects ORDER BY subject")
                ],
                [Key(*row) for row in self._db.execute(f"SELECT {_KEY} FROM keys ORDER BY key_id")],
            )

    def fill(self, rows: Rows) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self.any_key():
                raise KeysRefused(f"{self._path} holds keys already; nothing was written")
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows.names.items())
            self._db.executemany("INSERT INTO subjects VALUES (?, ?, ?, ?, ?)", rows.subjects)
            self._db.executemany("INSERT INTO keys VALUES (?, ?, ?, ?)", rows.keys)

    def close(self) -> None:
        self._db.close()
