"""Who read what: the read events inside bounds, opened, and their rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from memfold.audit.bounds import Bounds
from memfold.audit.reading import Read, Reading
from memfold.audit.snapshot import Snapshot
from memfold.audit.view_rows import Row, naive
from memfold.memory.noting import note
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_record
from memfold.schemas.partitions import CLEARS
from memfold.schemas.records import Envelope, LogRecord, MemoryRead

Told = dict[str, Any]


class ReadEvent(Struct, frozen=True):
    """An opened record of memfold.access."""

    partition: int
    offset: int
    at: datetime
    envelope: Envelope
    body: MemoryRead


def opened_reads(
    snapshot: Snapshot, bounds: Bounds, reading: Reading, keys: Keys
) -> tuple[list[ReadEvent], Read]:
    """The genuine read events inside the bounds in log order, each once, and what was left out. Raises as `Reading.window`."""
    subjects = None if bounds.subject is None else {bounds.subject}
    found: dict[str, ReadEvent] = {}
    left = Read(end=snapshot.end())
    for subject, record in reading.places(snapshot, replace(bounds, memory_id=None), subjects):
        event = _open(record, keys, left)
        if event is None:
            continue
        if (event.envelope.tenant, event.envelope.subject) != (bounds.tenant, subject):
            left.unreadable += 1
        elif event.envelope.record_id in found:
            left.duplicates += 1
        elif _inside(event, bounds):
            found[event.envelope.record_id] = event
            note(subject)
    if left.unknown_key and not found and not left.erased:
        raise left.unknown_key
    return list(found.values()), left


def _open(record: LogRecord, keys: Keys, left: Read) -> ReadEvent | None:
    try:
        envelope, body = open_record(record, keys)
    except KeyDestroyed:
        left.erased += 1
        return None
    except Unreadable:
        left.unreadable += 1
        return None
    except UnknownKey as unknown:
        left.unreadable, left.unknown_key = left.unreadable + 1, unknown
        return None
    if not isinstance(body, MemoryRead):
        left.unreadable += 1
        return None
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return ReadEvent(record.partition, record.offset, at, envelope, body)


def _inside(event: ReadEvent, bounds: Bounds) -> bool:
    """What gave all of a subject ('*') gave the memory, if it is that subject's: only then is it known."""
    scope, named = bounds.scope, event.envelope.memory_ids
    whole = CLEARS in named and bounds.subject is not None
    return (
        scope.agent_id in (None, event.body.agent_id)
        and scope.run_id in (None, event.body.run_id)
        and (bounds.memory_id is None or bounds.memory_id in named or whole)
    )


def read_rows(events: list[ReadEvent]) -> list[Row]:
    """The rows of the view `reads`."""
    return [
        {
            **{name: getattr(event.body, name) for name in event.body.__struct_fields__},
            "read_id": event.envelope.command_id,
            "time": naive(event.at),
            "memory_ids": event.envelope.memory_ids,
            # A float of 32 bits: beyond a microsecond there is nothing but its error.
            "duration_ms": round(event.body.duration_ms, 3),
            "query_hash": event.body.query_hash.hex(),
            "as_of": naive(event.body.as_of),
            "subject": event.envelope.subject,
            "event_id": event.envelope.record_id,
            "partition": event.partition,
            "offset": event.offset,
        }
        for event in events
    ]


def told_read(event: ReadEvent, whose: str | None) -> Told:
    """A read, ready for JSON."""
    body = event.body
    return {
        "at": event.at.isoformat(),
        "who": body.actor,
        "purpose": body.purpose,
        "verb": body.verb,
        "whose": whose,
        "decision": body.decision,
        "error": body.error,
        "count": body.count,
        "memory_ids": event.envelope.memory_ids,
        "read_id": event.envelope.command_id,
    }
