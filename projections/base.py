"""What every projection is: shards that fold events and commit their position with their data.

A shard is one partition of one generation. Only one process writes a shard; any number may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from memfold.schemas.records import Event


class Position(Struct, frozen=True):
    """How far a shard has come: the last record seen, the last command counted (the fence), and what became of the records."""

    offset: int = -1
    command_offset: int = -1
    applied: int = 0
    ignored: int = 0
    quarantined: int = 0
    erased: int = 0


read_position = msgspec.json.Decoder(Position).decode
"""Made here, before there are threads: two that meet a class for the first time at once crash msgspec (schemas/codec.py)."""


class Standing(Struct, frozen=True):
    """A shard as it stands: its position and the digest of its content."""

    position: Position
    digest: str


class Shard(Protocol):
    """One partition of a fold. Promises that data and position change together or not at all, also under kill -9.

    Does not promise anything about two writers of one shard: it refuses the second (ShardLocked) where it can.
    """

    def position(self) -> Position: ...

    def apply(self, events: Sequence[Event], position: Position) -> None:
        """Fold events that have passed the fence, and commit them with the position after them. Empty `events` only move it."""
        ...

    def keep_up(self) -> None:
        """What can wait until others were told of the events: files are put in order, the content stays. For between two batches."""
        ...

    def digest(self) -> str:
        """SHA-256 over the fold's content in a fixed order: equal logs give equal digests, whatever the batches were."""
        ...

    def close(self) -> None: ...


def fenced(events: Iterable[Event], position: Position) -> tuple[list[Event], Position]:
    """The events that count, in order, and the position after all of them.

    One event per command: an event whose command offset is not above the last one counted was written by a retry or a
    zombie worker and is ignored. Events at or below the position's offset were applied already.
    """
    counted: list[Event] = []
    fence, last, ignored = position.command_offset, position.offset, position.ignored
    for event in events:
        if event.offset <= last:
            continue
        last = event.offset
        if event.envelope.command_offset > fence:
            fence = event.envelope.command_offset
            counted.append(event)
        else:
            ignored += 1
    applied = position.applied + len(counted)
    return counted, replace(position, offset=last, command_offset=fence, applied=applied, ignored=ignored)
