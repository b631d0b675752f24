"""The log up to a moment: where it ends in each partition, and a copy of it as an archive of its own."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from memfold.memory.errors import LogTruncated
from memfold.projections.archive import ArchiveShard
from memfold.projections.archive_files import read_batches
from memfold.projections.archive_segments import read_covers
from memfold.projections.archive_source import ArchiveSource
from memfold.replay.progress import Progress, Watch
from memfold.replay.source import commits
from memfold.schemas.partitions import COMMANDS, EVENTS
from memfold.schemas.records import LogRecord
from memfold.streams.reader import LogReader

TOPICS = (COMMANDS, EVENTS)
"""What a past is made of. Commands are there for `explain`; who read what is a question to the log itself."""
_AT_ONCE = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class TopicLog(Protocol):
    """Records of any partition of the log, from its beginning."""

    def end(self, topic: str, partition: int) -> int:
        """The offset after the last record that there is now. Raises LogTruncated where the first is gone."""
        ...

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        """The records from `start` to before `end`. Raises LogTruncated or ShardDamaged where they are not all there."""
        ...


class KafkaTopics:
    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    def end(self, topic: str, partition: int) -> int:
        low, end = self._reader.bounds(topic, partition)
        if low:
            raise LogTruncated(
                f"{topic}/{partition}: Kafka has lost the offsets 0 to {low - 1}, so it cannot tell what was known then; "
                "the same call with `--from archive` can"
            )
        return end

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        return self._reader.read(topic, partition, start, end, _AT_ONCE)


class ArchivedTopics:
    """Every value is checked against its leaf hash."""

    def __init__(self, root: Path) -> None:
        self._archive = ArchiveSource(root, verify=True)

    def end(self, topic: str, partition: int) -> int:
        return self._archive.position(topic, partition) + 1

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        return self._archive.batches(topic, partition, start, end - 1, _AT_ONCE) if start < end else iter(())


def end_at(log: TopicLog, topic: str, partition: int, end: int, moment: datetime) -> int:
    """The offset after the last record before `end` that the log had at an aware moment.

    Found by halving: the broker's times rise along a partition. Where its clock was set back, it is one of the places where
    they pass the moment.
    """
    last = (moment - _EPOCH) // _MILLISECOND

    def time_of(offset: int) -> int:
        (record,) = next(log.read(topic, partition, offset, offset + 1))
        return record.timestamp_ms

    return bisect_right(range(end), last, key=time_of)


def copy_log(log: TopicLog, root: Path, ends: Mapping[str, list[int]], watch: Watch) -> None:
    """Write what lies before these ends into the archive under `root`, from where that stands. Raises ArchiveNotWritten."""
    of, done, new, began = sum(map(sum, ends.values())), 0, 0, time.monotonic()
    for topic, partitions in ends.items():
        for partition, end in enumerate(partitions):
            with closing(ArchiveShard(root, topic, partition)) as shard:
                start = shard.position() + 1
                done += start
                for records in commits(log.read(topic, partition, start, end)):
                    shard.append(records)
                    done, new = done + len(records), new + len(records)
                    watch(Progress(done, of, new, time.monotonic() - began, "records"))


def subjects_of(root: Path) -> set[str]:
    """Everybody who has an event in the archive under `root`, by the clear envelopes."""
    found: set[str] = set()
    for segments in read_covers(root, EVENTS).values():
        for segment in segments:
            for batch in read_batches(segment, ["offset", "subject"], _AT_ONCE, segment.first, segment.last):
                found.update(filter(None, batch.column("subject").to_pylist()))
    return found


class NothingBehind:
    """A `Tail` of an archive that is all there is."""

    def records_after(self, topic: str, partition: int, offset: int) -> list[LogRecord]:
        """None."""
        return []
