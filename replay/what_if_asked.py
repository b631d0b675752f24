"""What a what-if decides again: the commands inside bounds with the events that answered them, subject by subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from memfold.audit.bounds import Bounds
from memfold.audit.full_log import FullLog
from memfold.audit.reading import Place, Reading
from memfold.audit.snapshot import Snapshot
from memfold.memory.errors import InvalidInput
from memfold.schemas.errors import KeyDestroyed, ReaderTooOld, UnknownKey, Unreadable
from memfold.schemas.opening import open_record
from memfold.schemas.records import (
    Command,
    Envelope,
    Event,
    MemoriesDecided,
    MemoryRead,
    Scope,
)


class Asked(NamedTuple):
    """A genuine command."""

    envelope: Envelope
    command: Command


class Step(NamedTuple):
    """One event inside the bounds, and the command that it answers; None: it is taken as it was recorded."""

    event: Event
    asked: Asked | None


@dataclass(slots=True)
class Told:
    """One subject: the events before the bounds, then those inside, in log order."""

    subject: str
    before: list[Event] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


class Commands(NamedTuple):
    """`subjects` have a command inside the bounds each. `waiting` commands are not decided yet; `undecidable`, by why, cannot be read."""

    subjects: list[Told]
    waiting: int
    undecidable: dict[str, int]


class _Found(NamedTuple):
    places: list[Place]
    starts: Sequence[int]
    ends: Sequence[int]


def commands_inside(log: FullLog, bounds: Bounds, erased: Collection[str] = ()) -> Commands:
    """Of the bounds the subject, `since` and `until` count, by when the broker had the commands.

    `erased`: subjects whose keys are gone by now, also where this process remembers one: their words are shown to no model.

    Raises InvalidInput for a user that nobody has heard of, TooMuchToOpen, UnknownKey, ShardDamaged, LogTruncated.
    """
    if bounds.subject == "":
        raise InvalidInput(
            f"nothing was ever said by user_id {bounds.scope.user_id!r}, or it was erased; check the id and the tenant ({bounds.tenant})"
        )
    inside = replace(bounds, scope=Scope(), memory_id=None)
    subjects = None if bounds.subject is None else {bounds.subject}

    def found(snapshot: Snapshot) -> _Found:
        starts = [] if inside.since is None else snapshot.ends(inside.since)
        ends = snapshot.end() if inside.until is None else snapshot.ends(inside.until)
        return _Found(Reading(log.keys).places(snapshot, inside, subjects), starts, ends)

    read = log.commands.ask(found)
    undecidable: Counter[str] = Counter()
    asked: dict[str, Asked] = {}
    for place in read.places:
        if place[0] in erased:
            undecidable["erased"] += 1
            continue
        one = _opened(place, inside, log, undecidable)
        if one is not None:
            asked.setdefault(one.envelope.command_id, one)
    everybody = {one.envelope.subject for one in asked.values()}
    if not everybody:
        return Commands([], 0, dict(undecidable))
    events = log.lives_of(replace(inside, since=None, until=None), everybody).events
    told = _by_subject(events, everybody, asked, read)
    decided = {event.envelope.command_id for event in events}
    return Commands(
        [one for one in told if one.steps],
        len(asked.keys() - decided),
        dict(undecidable),
    )


def _opened(place: Place, bounds: Bounds, log: FullLog, undecidable: Counter[str]) -> Asked | None:
    subject, record = place
    try:
        envelope, body = open_record(record, log.keys)
    except ReaderTooOld:
        raise
    except KeyDestroyed:
        undecidable["erased"] += 1
        return None
    except (Unreadable, UnknownKey):
        undecidable["unreadable"] += 1
        return None
    foreign = (envelope.tenant, envelope.subject) != (bounds.tenant, subject)
    if foreign or isinstance(body, MemoriesDecided | MemoryRead):
        undecidable["unreadable"] += 1
        return None
    return Asked(envelope, body)


def _by_subject(
    events: Sequence[Event], everybody: set[str], asked: dict[str, Asked], read: _Found
) -> list[Told]:
    told = {subject: Told(subject) for subject in everybody}
    partition_of = {event.envelope.subject: event.partition for event in events}
    for event in events:
        cleared = any(clear.whole_tenant for clear in event.body.clears)
        of = [s for s in everybody if partition_of.get(s) == event.partition] if cleared else []
        command = asked.get(event.envelope.command_id)
        for subject in of or [event.envelope.subject]:
            if subject not in told or event.envelope.command_offset > _last(read.ends, event.partition):
                continue
            if event.envelope.command_offset <= _last(read.starts, event.partition):
                told[subject].before.append(event)
            else:
                told[subject].steps.append(Step(event, None if cleared else command))
    return list(told.values())


def _last(ends: Sequence[int], partition: int) -> int:
    return ends[partition] if partition < len(ends) else -1
