"""Which events of a partition count, found for a few of them without reading all.

The fence says: an event counts if its command offset is above that of every genuine event before it. Checked here on the clear
columns first; only where a row there stands in the way is its value opened, because anybody who can write to the topic can claim
any command offset in clear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memfold.audit.snapshot import Snapshot
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_event
from memfold.schemas.records import Event, LogRecord

_OPENED_AT_ONCE = 64


def counting(snapshot: Snapshot, events: Sequence[Event], keys: Keys) -> list[Event]:
    """Those of the events that count. `events` are opened, of one partition, in offset order."""
    least = min(event.envelope.command_offset for event in events)
    offsets, commands = snapshot.command_offsets(events[0].partition, events[-1].offset, least)
    highest = np.maximum.accumulate(commands)
    counted: list[Event] = []
    for event in events:
        own, before = event.envelope.command_offset, np.searchsorted(offsets, event.offset)
        in_the_way = before > 0 and highest[before - 1] >= own
        rivals = offsets[:before][commands[:before] >= own].tolist() if in_the_way else []
        if own >= 0 and not _any_genuine(snapshot, event.partition, rivals, keys):
            counted.append(event)
    return counted


def _any_genuine(snapshot: Snapshot, partition: int, offsets: Sequence[int], keys: Keys) -> bool:
    for start in range(0, len(offsets), _OPENED_AT_ONCE):
        records = snapshot.records(partition, offsets[start : start + _OPENED_AT_ONCE])
        if any(_genuine(record, keys) for record in records):
            return True
    return False


def _genuine(record: LogRecord, keys: Keys) -> bool:
    try:
        open_event(record, keys)
    except (Unreadable, UnknownKey, KeyDestroyed):
        # An event whose key is gone cannot vouch for itself; the projections do not count it either.
        return False
    return True


def fence_before(snapshot: Snapshot, partition: int, offset: int, keys: Keys) -> int:
    """The highest command offset of the genuine events before an offset; -1 where there is none."""
    offsets, commands = snapshot.command_offsets(partition, offset, 0)
    for place in np.argsort(commands, kind="stable")[::-1]:
        (record,) = snapshot.records(partition, [int(offsets[place])])
        if _genuine(record, keys):
            return int(commands[place])
    return -1
