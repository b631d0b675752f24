"""Where the rows of a key store stand: what is asked of such a place, and the two that there are.

A file of SQLite in the home, for what runs on one machine; tables in PostgreSQL, where several machines share a deployment.
Neither sees anything in the clear: names and keys come wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Postgres:
    """A libpq address, whose password no message shows."""

    address: str = field(repr=False)

    def __str__(self) -> str:
        return "the key store in PostgreSQL"


KeyPlace = Path | Postgres
"""SQLite's file, or PostgreSQL's tables."""


class Subject(NamedTuple):
    """One row. `lookup` is an HMAC of who it is; `sealed_name` is what the caller called it, None once it was erased."""

    lookup: bytes
    subject: str
    tenant: str
    kind: str
    sealed_name: bytes | None


class Key(NamedTuple):
    """`wrapped` is None once it was destroyed."""

    key_id: str
    subject: str
    generation: int
    wrapped: bytes | None


class Rows(NamedTuple):
    """All of a key store, each by its id."""

    names: dict[str, bytes]
    subjects: list[Subject]
    keys: list[Key]


class KeyRows(Protocol):
    """The rows of one deployment's key store, shared between processes. One thread at a time.

    Promises: what a call has written is durable when it returns, whole or not at all, and the next call of any process sees it.
    Does not promise that bytes of a destroyed key are nowhere on a disk any more, unless an implementation says so.
    """

    def first(self, name: str, value: bytes) -> bytes:
        """What stands under a name: `value` where nothing did, and it does from now on."""
        ...

    def subject(self, lookup: bytes) -> str | None: ...

    def add(self, subject: Subject, key: Key) -> str:
        """The subject under this lookup: the one that is given, with its key, where there was none. Of two that race one counts."""
        ...

    def named(self, subject: str) -> bytes | None:
        """Its sealed name; None for one that is unknown or erased."""
        ...

    def subjects(self, tenant: str) -> list[Subject]:
        """By subject."""
        ...

    def whole_tenants(self) -> list[tuple[str, str]]:
        """(tenant, subject) of each subject of the kind `tenant`."""
        ...

    def newest(self, subject: str) -> str | None:
        """The id of its key of the highest generation."""
        ...

    def key(self, key_id: str) -> Key | None: ...

    def any_key(self) -> bool: ...

    def destroy(self, subject: str, lookup: bytes) -> None:
        """Empty its keys and its name; nobody finds it by anything but `lookup` any more."""
        ...

    def erased(self) -> set[str]: ...

    def changes(self) -> int:
        """Another number once another process has destroyed keys; it may be another one without that, too."""
        ...

    def all_rows(self) -> Rows:
        """As of one moment."""
        ...

    def fill(self, rows: Rows) -> None:
        """Write all into a place that holds no key yet, or nothing. Raises KeysRefused where it does."""
        ...

    def close(self) -> None: ...
