"""Subjects and their keys: SQLite, every key wrapped by one key-encrypting key that is not in it.

A subject's random id stands on the wire; who it is stands only here, as an HMAC to look it up and as ciphertext to read it.
Keys are wrapped by AES-256-GCM with the key id as associated data. `secure_delete` and a truncating checkpoint after each
destruction, because SQLite otherwise keeps deleted bytes in its pages and its write-ahead log.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import threading
import uuid
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from memfold.schemas.errors import KeyDestroyed, UnknownKey, WrongKey

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
_CHECK = b"memfold key store"


class KeyStore:
    """The key store of one deployment; safe to share between threads and between processes.

    Raises WrongKey when `kek` (32 bytes) is not the one it was made with.
    """

    def __init__(self, path: Path, kek: bytes) -> None:
        self._kek = AESGCM(kek)
        self._lookup_key = hmac.digest(kek, b"memfold subject lookup", hashlib.sha256)
        self._lock = threading.Lock()
        self._subjects: dict[bytes, str] = {}
        self._keys: dict[str, bytes] = {}
        self._newest: dict[str, str] = {}
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        # FULL: a key that a power cut takes away makes its subject's records unreadable for ever.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._db.execute(f"PRAGMA {pragma}").fetchone()
        self._db.executescript(_TABLES)
        self._check(path)

    def _check(self, path: Path) -> None:
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('check', ?)", (self._wrap(_CHECK, b"check"),))
        (value,) = self._db.execute("SELECT value FROM meta WHERE name = 'check'").fetchone()
        try:
            self._unwrap(value, b"check")
        except InvalidTag:
            self._db.close()
            raise WrongKey(
                f"the key-encrypting key does not open {path}; set MEMFOLD_KEY to the key it was made with"
            ) from None

    def _wrap(self, plain: bytes, aad: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._kek.encrypt(nonce, plain, aad)

    def _unwrap(self, sealed: bytes, aad: bytes) -> bytes:
        return self._kek.decrypt(sealed[:12], sealed[12:], aad)

    def _lookup(self, tenant: str, kind: str, name: str) -> bytes:
        parts = b"\0".join(len(p.encode()).to_bytes(4) + p.encode() for p in (tenant, kind, name))
        return hmac.digest(self._lookup_key, parts, hashlib.sha256)

    def known_subject(self, tenant: str, kind: str, name: str) -> str | None:
        """The subject's id, or None for one never seen."""
        lookup = self._lookup(tenant, kind, name)
        with self._lock:
            if lookup not in self._subjects:
                row = self._db.execute("SELECT subject FROM subjects WHERE lookup = ?", (lookup,)).fetchone()
                if row is None:
                    return None
                self._subjects[lookup] = row[0]
            return self._subjects[lookup]

    def subject_of(self, tenant: str, kind: str, name: str) -> str:
        """The subject's id; made, with its first key, when it is new. Two processes that race get the same one."""
        known = self.known_subject(tenant, kind, name)
        if known is not None:
            return known
        subject = str(uuid.uuid4())
        row = (
            self._lookup(tenant, kind, name),
            subject,
            tenant,
            kind,
            self._wrap(name.encode(), subject.encode()),
        )
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR IGNORE INTO subjects VALUES (?, ?, ?, ?, ?)", row)
            query = "SELECT subject FROM subjects WHERE lookup = ?"
            made: tuple[str] = self._db.execute(query, row[:1]).fetchone()
            (subject,) = made
            self._add_key(subject)
        return subject

    def name_of(self, subject: str) -> str | None:
        """The id that the caller used for a subject; None for an unknown or erased one."""
        with self._lock:
            row = self._db.execute(
                "SELECT sealed_name FROM subjects WHERE subject = ?", (subject,)
            ).fetchone()
        return None if row is None or row[0] is None else self._unwrap(row[0], subject.encode()).decode()

    def subjects(self, tenant: str) -> list[tuple[str, str, str | None]]:
        """(subject, kind, the id that the caller used or None for an erased one) of every subject of a tenant."""
        query = "SELECT subject, kind, sealed_name FROM subjects WHERE tenant = ? ORDER BY subject"
        with self._lock:
            rows = self._db.execute(query, (tenant,)).fetchall()
        return [
            (subject, kind, None if name is None else self._unwrap(name, subject.encode()).decode())
            for subject, kind, name in rows
        ]

    def tenants(self) -> list[tuple[str, str]]:
        """(tenant, subject) of the subjects that stand for a whole tenant."""
        with self._lock:
            return self._db.execute("SELECT tenant, subject FROM subjects WHERE kind = 'tenant'").fetchall()

    def _add_key(self, subject: str) -> None:
        query = "SELECT max(generation), count(wrapped) FROM keys WHERE subject = ?"
        generation, usable = self._db.execute(query, (subject,)).fetchone()
        if not usable:
            key_id = str(uuid.uuid4())
            row = (key_id, subject, (generation or 0) + 1, self._wrap(os.urandom(32), key_id.encode()))
            self._db.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", row)

    def holds_keys(self) -> bool:
        """Whether any subject was ever given a key."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None

    def sealing_key(self, subject: str) -> tuple[str, bytes]:
        """(key id, 32 bytes) that new records of the subject are sealed with. Raises UnknownKey, KeyDestroyed."""
        with self._lock:
            if subject not in self._newest:
                query = "SELECT key_id FROM keys WHERE subject = ? ORDER BY generation DESC LIMIT 1"
                row = self._db.execute(query, (subject,)).fetchone()
                if row is None:
                    raise UnknownKey(
                        f"the key store has no key for subject {subject}; is it the one of this log?"
                    )
                self._newest[subject] = row[0]
            key_id = self._newest[subject]
        return key_id, self.key(key_id)

    def key(self, key_id: str) -> bytes:
        """The 32 bytes of a key. Raises UnknownKey, KeyDestroyed."""
        known = self._keys.get(key_id)
        if known is not None:
            return known
        with self._lock:
            row = self._db.execute("SELECT wrapped FROM keys WHERE key_id = ?", (key_id,)).fetchone()
            if row is None:
                raise UnknownKey(
                    f"the key store never had the key {key_id}; restore the one that belongs to this log"
                )
            if row[0] is None:
                raise KeyDestroyed(
                    f"the key {key_id} was destroyed; what it sealed can never be opened again"
                )
            self._keys[key_id] = self._unwrap(row[0], key_id.encode())
            return self._keys[key_id]

    def destroy(self, subject: str) -> None:
        """Destroy every key of a subject and forget its name; its records can never be opened again."""
        with self._lock:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("UPDATE keys SET wrapped = NULL WHERE subject = ?", (subject,))
                # A fresh lookup: the same person coming back is a new subject, never joined to the old one.
                self._db.execute(
                    "UPDATE subjects SET sealed_name = NULL, lookup = ? WHERE subject = ?",
                    (os.urandom(32), subject),
                )
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._subjects.clear()
            self._keys.clear()
            self._newest.clear()

    def erased(self) -> set[str]:
        """Every subject whose keys were destroyed."""
        with self._lock:
            return {
                row[0] for row in self._db.execute("SELECT subject FROM subjects WHERE sealed_name IS NULL")
            }

    def changes(self) -> int:
        """Another number once somebody else, in this process or another, has changed the store; cheaper than asking what."""
        with self._lock:
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def close(self) -> None:
        with self._lock:
            self._db.close()
