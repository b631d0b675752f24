"""From bounds to the opened events that count, of many memories at once.

The same rules as for one memory's history: columns only find the rows, the opened envelope decides, and the fence says which
events count. Nothing is opened before it is known how much that would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from msgspec.structs import replace

from memfold.audit.bounds import Bounds
from memfold.audit.errors import TooMuchToOpen
from memfold.audit.fence import counting
from memfold.audit.snapshot import Snapshot
from memfold.memory.noting import note
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_event
from memfold.schemas.partitions import CLEARS
from memfold.schemas.records import Event, LogRecord, Scope

MAX_OPENED = 100_000
"""Records that one question may open: about two seconds of one core, and 300 MB."""
Place = tuple[str, LogRecord]
"""A row: whose it says it is, and the record."""


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
        if newest is None:
            return self._opened(snapshot, self.places(snapshot, bounds, subjects), [], bounds)
        rows = snapshot.newest(bounds, subjects, min(newest, self._limit + 1))
        if len(rows) > self._limit:
            raise TooMuchToOpen(
                f"{newest:,} records were asked for; at most {self._limit:,} are opened at once"
            )
        return self._opened(snapshot, rows, [], bounds)

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
        return self.lives_of(snapshot, bounds, subjects)

    def lives_of(self, snapshot: Snapshot, bounds: Bounds, subjects: set[str] | None) -> Read:
        """`lives` of the subjects, whether they have an event inside the bounds or not; None: of anybody. Raises as `window`."""
        whole = replace(bounds, scope=Scope(), since=None)
        own = self.places(snapshot, whole, subjects)
        if not own:
            return Read(end=snapshot.end())
        return self._opened(snapshot, own, self._clears(snapshot, whole, own), bounds)

    def places(self, snapshot: Snapshot, bounds: Bounds, subjects: set[str] | None) -> list[Place]:
        """The rows to open. Raises TooMuchToOpen."""
        rows = snapshot.rows(bounds, subjects, self._limit + 1)
        if len(rows) > self._limit:
            raise TooMuchToOpen(_too_much(snapshot.count(bounds, subjects), self._limit, bounds))
        return rows

    def _clears(self, snapshot: Snapshot, bounds: Bounds, own: Sequence[Place]) -> list[Place]:
        """The clears that may touch what the rows made, other than the rows themselves."""
        read = {(record.partition, record.offset) for _, record in own}
        owners = {subject for subject, _ in own}
        wanted: dict[int, dict[int, str]] = {}
        for mark in snapshot.clears(bounds):
            place = (mark.partition, mark.offset)
            if place not in read and (mark.subject in owners or place not in self._narrow):
                wanted.setdefault(mark.partition, {})[mark.offset] = mark.subject
        return [
            (of[record.offset], record)
            for p, of in wanted.items()
            for record in snapshot.records(p, list(of))
        ]

    def _opened(
        self, snapshot: Snapshot, own: Sequence[Place], clears: Sequence[Place], bounds: Bounds
    ) -> Read:
        read = Read(end=snapshot.end())
        owners = {subject for subject, _ in own}
        places = sorted([*own, *clears], key=lambda place: (place[1].partition, place[1].offset))
        for _, group in groupby(places, key=lambda place: place[1].partition):
            opened = [
                event for place in group if (event := self._open(place, owners, bounds, read)) is not None
            ]
            counted = counting(snapshot, opened, self._keys) if opened else []
            read.events += counted
            read.duplicates += len(opened) - len(counted)
        for event in read.events:
            # A clear lists nobody's memories, and stands among another's events for the fold's sake.
            if memory_ids := [one for one in event.envelope.memory_ids if one != CLEARS]:
                note(event.envelope.subject, memory_ids)
        if read.unknown_key and not read.events and not read.erased:
            raise read.unknown_key
        return read

    def _open(self, place: Place, owners: set[str], bounds: Bounds, read: Read) -> Event | None:
        """The event, if it is genuine and the bounds are about it; else counted in `read`."""
        subject, record = place
        try:
            event = open_event(record, self._keys)
        except KeyDestroyed:
            read.erased += subject in owners
            self._narrow.add((record.partition, record.offset))
            return None
        except Unreadable:
            read.unreadable += 1
            return None
        except UnknownKey as unknown:
            read.unreadable, read.unknown_key = read.unreadable + 1, unknown
            return None
        if (event.envelope.tenant, event.envelope.subject) != (bounds.tenant, subject):
            read.unreadable += 1
            return None
        if any(clear.whole_tenant for clear in event.body.clears):
            return event
        if event.body.clears:
            self._narrow.add((record.partition, record.offset))
        return event if subject in owners else None


def _too_much(count: int, limit: int, bounds: Bounds) -> str:
    names = ("subject", "memory_id", "since", "until", "partition")
    given = {name.replace("subject", "user_id"): getattr(bounds, name) for name in names}
    missing = [name for name, value in given.items() if value is None]
    how = f"give {' or '.join(missing)}" if missing else "bring since and until closer together"
    return (
        f"{count:,} encrypted records lie inside the bounds, and at most {limit:,} are opened at once; {how}"
    )
