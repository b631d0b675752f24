"""What a source of things said gives: records in order, each with where it stands and what tells it from every other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Place:
    """How far a source was read in one of its partitions: the number of the next record. `digest`: of a file, of all before it."""

    next: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record as it was read. `flaw`: why it cannot be one. `after`: where to go on once it is in the log."""

    where: str
    partition: int
    after: Place
    identity: str
    raw: bytes
    value: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    flaw: str = ""


class IntakeSource(Protocol):
    """Used by one thread at a time. Promises order inside a partition; a record that was given may be given again after a restart."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def take(self) -> list[SourceRecord] | None:
        """What comes next, a few hundred at once; empty when nothing came for a moment, None at the end."""
        ...

    def told(self, places: Mapping[int, Place]) -> str:
        """Where it stands, for people."""
        ...

    def close(self) -> None: ...
