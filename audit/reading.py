"""From bounds to the opened events that count, of many memories at once.

The same rules as for one memory's history: columns only find the rows, the opened envelope decides, and the fence says which
events count. Nothing is opened before it is known how much that would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from msgspec.structs import replace

from memfold.audit.bounds import Bounds
from memfold.audit.errors import TooMuchToOpen
from memfold.audit.fence import counting
from memfold.audit.snapshot import Snapshot
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_event
from memfold.schemas.records import Event, LogRecord, Scope

MAX_OPENED = 100_000
"""Records that one question may open: about two seconds of one core, and 300 MB."""
_AT_ONCE = 5_000
Place = dict[str, Any]


@dataclass(slots=True)
class Read:
    """The events that count, by partition and offset, and how many rows of the bounds do not; as in `history.Answer`.

    `end` is the last offset of each partition when they were read.
    """

    events: list[Event] = field(default_factory=list)
    duplicates: int = 0
    erased: int = 0
    unreadable: int = 0
    unknown_key: UnknownKey | None = None
    end: tuple[int, ...] = ()

    def left_out(self) -> dict[str, int]:
        """How many records do not count, by why."""
        counts = {"duplicates": self.duplicates, "erased": self.erased, "unreadable": self.unreadable}
        return {why: count for why, count in counts.items() if count}


class Reading:
    """Opens events inside bounds. Remembers which clears are of one subject only, so that nobody else's question opens them again."""

    def __init__(self, keys: Keys, limit: int = MAX_OPENED) -> None:
        self._keys, self._limit = keys, limit
        self._narrow: set[tuple[int, int]] = set()

    def window(self, snapshot: Snapshot, bounds: Bounds, newest: int | None = None) -> Read:
        """The events inside the bounds; of the `newest` rows, if given.

        Raises TooMuchToOpen, and UnknownKey when no record at all has a known key.
        """
        subjects = None if bounds.subject is None else {bounds.subject}
        places = snapshot.places(bounds, subjects, False)
        if newest is not None and len(places) > newest:
            order = [("timestamp_ms", "descending"), ("offset", "descending")]
            places = places.sort_by(order).slice(0, newest)
            places = places.sort_by([("partition", "ascending"), ("offset", "ascending")])
        return self._read(snapshot, places, bounds)

    def lives(self, snapshot: Snapshot, bounds: Bounds) -> Read:
        """All events up to `until` of the subjects that have one inside the bounds, and the clears of the tenant: what a fold needs.

        Raises as `window`.
        """
        subjects = None if bounds.subject is None else {bounds.subject}
        if bounds.since is not None:
            found, cleared = snapshot.subjects(bounds)
            if not cleared:
                # With a clear among them, memories may end of people who have no event of their own there.
                subjects = found if subjects is None else found & subjects
        whole = replace(bounds, scope=Scope(), since=None)
        return self._read(snapshot, snapshot.places(whole, subjects, True), bounds)

    def _read(self, snapshot: Snapshot, places: pa.Table, bounds: Bounds) -> Read:
        rows = places.to_pylist()
        if bounds.memory_id is not None:
            owners = {one["subject"] for one in rows if one["own"]}
            rows = [{**one, "own": one["subject"] in owners} for one in rows]
        wanted = [one for one in rows if one["own"] or _key(one) not in self._narrow]
        if len(wanted) > self._limit:
            raise TooMuchToOpen(_too_much(len(wanted), self._limit, bounds))
        read = Read(end=snapshot.end())
        for partition, group in groupby(wanted, key=lambda one: one["partition"]):
            by_offset = {one["offset"]: one for one in group}
            opened = [
                event
                for record in _records(snapshot, partition, list(by_offset))
                if (event := self._open(record, by_offset[record.offset], bounds, read)) is not None
            ]
            counted = counting(snapshot, opened, self._keys) if opened else []
            read.events += counted
            read.duplicates += len(opened) - len(counted)
        if read.unknown_key and not read.events and not read.erased:
            raise read.unknown_key
        return read

    def _open(self, record: LogRecord, place: Place, bounds: Bounds, read: Read) -> Event | None:
        """The event, if it is genuine and the bounds are about it; else counted in `read`."""
        try:
            event = open_event(record, self._keys)
        except KeyDestroyed:
            read.erased += place["own"]
            self._narrow.add(_key(place))
            return None
        except Unreadable:
            read.unreadable += 1
            return None
        except UnknownKey as unknown:
            read.unreadable, read.unknown_key = read.unreadable + 1, unknown
            return None
        if (event.envelope.tenant, event.envelope.subject) != (bounds.tenant, place["subject"]):
            read.unreadable += 1
            return None
        if place["own"] or any(clear.whole_tenant for clear in event.body.clears):
            return event
        self._narrow.add(_key(place))
        return None


def _key(place: Place) -> tuple[int, int]:
    return place["partition"], place["offset"]


def _records(snapshot: Snapshot, partition: int, offsets: Sequence[int]) -> Iterator[LogRecord]:
    for start in range(0, len(offsets), _AT_ONCE):
        yield from snapshot.records(partition, offsets[start : start + _AT_ONCE])


def _too_much(count: int, limit: int, bounds: Bounds) -> str:
    names = ("subject", "memory_id", "since", "until", "partition")
    given = {name.replace("subject", "user_id"): getattr(bounds, name) for name in names}
    missing = [name for name, value in given.items() if value is None]
    how = f"give {' or '.join(missing)}" if missing else "bring since and until closer together"
    return (
        f"{count:,} encrypted records lie inside the bounds, and at most {limit:,} are opened at once; {how}"
    )
