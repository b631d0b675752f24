"""Which event last made what differs: its id and its time, by its place in the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from memfold.projections.difference import Difference
from memfold.replay.build import Origin
from memfold.replay.compared import Compared
from memfold.replay.source import Source
from memfold.schemas.codec import decode_envelope
from memfold.schemas.errors import Unreadable
from memfold.schemas.keystore import KeyStore
from memfold.schemas.records import LogRecord
from memfold.streams.projecting import open_batch


@dataclass(frozen=True, slots=True)
class Traced:
    """A difference with its event, which is None where no event made it, as of a row that the log says nothing of."""

    difference: Difference
    event_id: str | None = None
    recorded_at: datetime | None = None


def traced(compared: Compared, origin: Origin, most: int) -> list[Traced]:
    """The first `most` differences of a shard with their events. Reads single records, or the log once where relations ended."""
    some = list(compared.differences[:most])
    source, end = origin.source(), compared.offset + 1
    if any(one.ended is not None for one in some):
        some = _with_their_end(some, source, compared.partition, end, origin)
    events: dict[int, tuple[str | None, datetime]] = {}
    for offset in sorted({one.offset for one in some if one.offset is not None}):
        record = next(source.read(compared.partition, offset, offset + 1))[0]
        events[offset] = _id_of(record), datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return [Traced(one) if one.offset is None else Traced(one, *events[one.offset]) for one in some]


def _id_of(record: LogRecord) -> str | None:
    try:
        return decode_envelope(record.value)[0].record_id
    except Unreadable:
        return None


def _with_their_end(
    differences: Sequence[Difference], source: Source, partition: int, end: int, origin: Origin
) -> list[Difference]:
    """With the offset of the event that ended a relation. It was recorded when the relation ended, and it says so or clears."""
    ends = {_milliseconds(one.ended) for one in differences if one.ended is not None}
    first = min(one.offset or 0 for one in differences if one.ended is not None)
    ended_at: dict[tuple[str, int], int] = {}
    cleared_at: dict[int, int] = {}
    with closing(KeyStore(origin.keys, origin.kek)) as keys:
        for record in _recorded_at(ends, source, partition, first, end):
            for event in open_batch([record], keys).events:
                for change in event.body.relations:
                    if change.op == "RETRACT":
                        ended_at[change.assertion_id, record.timestamp_ms] = record.offset
                if event.body.clears:
                    cleared_at[record.timestamp_ms] = record.offset

    def of(one: Difference) -> Difference:
        if one.ended is None:
            return one
        when, assertion_id = _milliseconds(one.ended), one.part.partition(" ")[2]
        return replace(one, offset=ended_at.get((assertion_id, when), cleared_at.get(when, one.offset)))

    return [of(one) for one in differences]


def _recorded_at(
    moments: set[int], source: Source, partition: int, start: int, end: int
) -> Iterator[LogRecord]:
    for records in source.read(partition, start, end):
        yield from (record for record in records if record.timestamp_ms in moments)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
