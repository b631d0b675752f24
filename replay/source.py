"""Where a replay reads the events from: the log itself, or the archive when the log is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.streams.reader import LogReader

_AT_ONCE = 500
"""Records that are asked for at a time; one may hold a hundred memories."""
_COMMIT_BYTES, _COMMIT_RECORDS = 16 * 2**20, 20_000
"""Of one commit of a rebuild. Larger ones save little; what was not committed is what a kill costs."""


class Source(Protocol):
    """Records of memfold.events, in order, without gaps."""

    def end(self, partition: int) -> int:
        """The offset after the last record that there is now."""
        ...

    def read(self, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        """The records from `start` to before `end`. Raises LogTruncated or ShardDamaged where they are not all there."""
        ...


class KafkaSource:
    """The log, through confluent-kafka: Faust would take twenty times as long."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    def end(self, partition: int) -> int:
        return self._reader.bounds(EVENTS, partition)[1]

    def read(self, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        return self._reader.read(EVENTS, partition, start, end, _AT_ONCE)


class ParquetSource:
    """The archive, with every value checked against its leaf hash."""

    def __init__(self, root: Path) -> None:
        self._archive = ArchiveSource(root, verify=True)

    def end(self, partition: int) -> int:
        return self._archive.position(EVENTS, partition) + 1

    def read(self, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        return self._archive.batches(EVENTS, partition, start, end - 1, _AT_ONCE) if start < end else iter(())


def commits(read: Iterator[list[LogRecord]]) -> Iterator[list[LogRecord]]:
    """The same records cut anew, as much at a time as one commit should hold."""
    held: list[LogRecord] = []
    size = 0
    for records in read:
        for record in records:
            held.append(record)
            size += len(record.value)
            if size >= _COMMIT_BYTES or len(held) >= _COMMIT_RECORDS:
                yield held
                held, size = [], 0
    if held:
        yield held
