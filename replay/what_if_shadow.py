"""The shadow topics of a what-if: the real ones, with its events in the place of those that were decided again.

They are read like the log, so a past is built from them (past_build.py) and opened by `Memory.open`. The real topics are only
read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from memfold.memory.errors import InvalidInput
from memfold.replay.past_log import TopicLog
from memfold.replay.what_if import WhatIf
from memfold.schemas.errors import KeyDestroyed
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.streams.event_of import event_of

Bodies = Mapping[tuple[int, int], bytes]
"""The value that stands in the shadow at a partition and offset of memfold.events."""


def shadow_events(found: WhatIf, keys: KeyStore) -> dict[tuple[int, int], bytes]:
    """Sealed with the subjects' own keys. Raises InvalidInput where somebody was erased meanwhile."""
    sealed: dict[tuple[int, int], bytes] = {}
    for both in found.decided:
        for one in both.steps:
            if one.asked is None:
                continue
            event = one.event
            try:
                _, value = event_of(
                    one.asked.envelope, event.envelope.command_offset, one.body, keys, event.envelope.occurred_at
                )  # fmt: skip
            except KeyDestroyed as erased:
                raise InvalidInput(
                    "somebody was erased while this ran; call again, and they are not in it"
                ) from erased
            sealed[event.partition, event.offset] = value
    return sealed


class ShadowTopics:
    """A `TopicLog`."""

    def __init__(self, log: TopicLog, events: Bodies) -> None:
        self._log, self._events = log, events

    def end(self, topic: str, partition: int) -> int:
        return self._log.end(topic, partition)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        for records in self._log.read(topic, partition, start, end):
            yield [self._shadowed(record) for record in records] if topic == EVENTS else records

    def _shadowed(self, record: LogRecord) -> LogRecord:
        value = self._events.get((record.partition, record.offset))
        return record if value is None else replace(record, value=value)
