"""Subjects and their keys, every key wrapped by one key-encrypting key that is not in the store.

A subject's random id stands on the wire; who it is stands only here, as an HMAC to look it up and as ciphertext to read it.
Keys are wrapped by AES-256-GCM with the key id as associated data. Where the rows stand: key_rows.py.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
import uuid
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from memfold.schemas.errors import KeyDestroyed, KeysRefused, UnknownKey, WrongKey
from memfold.schemas.key_rows import Key, KeyPlace, KeyRows, Subject
from memfold.schemas.key_rows_sqlite import SqliteKeyRows

_CHECK = b"memfold key store"


class KeyStore:
    """The key store of one deployment; safe to share between threads and between processes.

    Raises WrongKey when `kek` (32 bytes) is not the one it was made with. With its rows in PostgreSQL every call that has to ask
    it raises KeysUnreachable and KeysRefused.
    """

    def __init__(self, place: KeyPlace, kek: bytes) -> None:
        self._kek = AESGCM(kek)
        self._lookup_key = hmac.digest(kek, b"memfold subject lookup", hashlib.sha256)
        self._lock = threading.Lock()
        self._subjects: dict[bytes, str] = {}
        self._keys: dict[str, bytes] = {}
        self._newest: dict[str, str] = {}
        self._rows = rows_at(place)
        self._check(place)

    def _check(self, place: KeyPlace) -> None:
        value = self._rows.first("check", self._wrap(_CHECK, b"check"))
        try:
            self._unwrap(value, b"check")
        except InvalidTag:
            self._rows.close()
            raise WrongKey(
                f"the key-encrypting key does not open {place}; set MEMFOLD_KEY to the key it was made with"
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
                subject = self._rows.subject(lookup)
                if subject is None:
                    return None
                self._subjects[lookup] = subject
            return self._subjects[lookup]

    def subject_of(self, tenant: str, kind: str, name: str) -> str:
        """The subject's id; made, with its first key, when it is new. Two processes that race get the same one."""
        known = self.known_subject(tenant, kind, name)
        if known is not None:
            return known
        subject, key_id = str(uuid.uuid4()), str(uuid.uuid4())
        sealed_name = self._wrap(name.encode(), subject.encode())
        row = Subject(self._lookup(tenant, kind, name), subject, tenant, kind, sealed_name)
        with self._lock:
            key = Key(key_id, subject, 1, self._wrap(os.urandom(32), key_id.encode()))
            made = self._subjects[row.lookup] = self._rows.add(row, key)
            return made

    def name_of(self, subject: str) -> str | None:
        """The id that the caller used for a subject; None for an unknown or erased one."""
        with self._lock:
            sealed = self._rows.named(subject)
        return self._opened(subject, sealed)

    def subjects(self, tenant: str) -> list[tuple[str, str, str | None]]:
        """(subject, kind, the id that the caller used or None for an erased one) of every subject of a tenant."""
        with self._lock:
            rows = self._rows.subjects(tenant)
        return [(row.subject, row.kind, self._opened(row.subject, row.sealed_name)) for row in rows]

    def _opened(self, subject: str, sealed: bytes | None) -> str | None:
        return None if sealed is None else self._unwrap(sealed, subject.encode()).decode()

    def tenants(self) -> list[tuple[str, str]]:
        """(tenant, subject) of the subjects that stand for a whole tenant."""
        with self._lock:
            return self._rows.whole_tenants()

    def holds_keys(self) -> bool:
        """Whether any subject was ever given a key."""
        with self._lock:
            return self._rows.any_key()

    def sealing_key(self, subject: str) -> tuple[str, bytes]:
        """(key id, 32 bytes) that new records of the subject are sealed with. Raises UnknownKey, KeyDestroyed."""
        with self._lock:
            if subject not in self._newest:
                key_id = self._rows.newest(subject)
                if key_id is None:
                    raise UnknownKey(
                        f"the key store has no key for subject {subject}; is it the one of this log?"
                    )
                self._newest[subject] = key_id
            key_id = self._newest[subject]
        return key_id, self.key(key_id)

    def key(self, key_id: str) -> bytes:
        """The 32 bytes of a key. Raises UnknownKey, KeyDestroyed."""
        known = self._keys.get(key_id)
        if known is not None:
            return known
        with self._lock:
            row = self._rows.key(key_id)
            if row is None:
                raise UnknownKey(
                    f"the key store never had the key {key_id}; restore the one that belongs to this log"
                )
            if row.wrapped is None:
                raise KeyDestroyed(
                    f"the key {key_id} was destroyed; what it sealed can never be opened again"
                )
            self._keys[key_id] = self._unwrap(row.wrapped, key_id.encode())
            return self._keys[key_id]

    def destroy(self, subject: str) -> None:
        """Destroy every key of a subject and forget its name; its records can never be opened again."""
        with self._lock:
            # A fresh lookup: the same person coming back is a new subject, never joined to the old one.
            self._rows.destroy(subject, os.urandom(32))
            self._subjects.clear()
            self._keys.clear()
            self._newest.clear()

    def erased(self) -> set[str]:
        """Every subject whose keys were destroyed."""
        with self._lock:
            return self._rows.erased()

    def changes(self) -> int:
        """Another number once another process has destroyed keys; cheaper than asking which."""
        with self._lock:
            return self._rows.changes()

    def close(self) -> None:
        with self._lock:
            self._rows.close()


def rows_at(place: KeyPlace) -> KeyRows:
    """Made where nothing is there yet. Raises KeysUnreachable, KeysRefused."""
    if isinstance(place, Path):
        return SqliteKeyRows(place)
    # Only then: its client is an extra.
    try:
        from memfold.schemas.key_rows_postgres import PostgresKeyRows
    except ImportError as missing:
        raise KeysRefused(
            f"the key store is in PostgreSQL, and its client is not there ({missing}); pip install 'memfold[postgres]'"
        ) from missing
    return PostgresKeyRows(place.address)
