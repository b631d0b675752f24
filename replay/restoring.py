"""The log from nothing: topics filled again from the Parquet archive, record for record at its own offset.

An archive holds each partition from offset 0 without gaps, so a record's offset in a fresh topic is the one that it had, and every
position, proof and seal means what it meant. What stands in a topic already is compared with the archive before anything is
written behind it: so a restore that was killed goes on, and a log of somebody else is never written to.

The archive of commands may end before a command whose event is archived. Its offset is filled with a record that says so: a new
command at that offset would count as decided.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import pyarrow.compute as pc  # type: ignore[import-untyped]

from memfold.memory.errors import RestoreRefused
from memfold.projections.archive_files import read_batches
from memfold.projections.archive_segments import read_covers
from memfold.projections.archive_source import BATCH, ArchiveSource
from memfold.schemas.opening import Keys
from memfold.schemas.partitions import COMMANDS, EVENTS, trees_of
from memfold.schemas.records import LogRecord
from memfold.streams.projecting import open_batch
from memfold.streams.reader import LogReader
from memfold.streams.refilling import Refiller


@dataclass(frozen=True, slots=True)
class Restored:
    """A partition whose first `records` are the archive's: those that stood there before, those written now, and lost commands."""

    topic: str
    partition: int
    records: int
    present: int
    lost: int = 0


RESTORE = (
    "a restore writes into empty topics, or goes on with one that was interrupted. If this log may be replaced, remove it first (the "
    "home's folder kafka, or the topics); if it is whole, `memfold replay rebuild` is what you want"
)


class Records(Protocol):
    """What a log is filled with: each partition from offset 0, without gaps."""

    def position(self, topic: str, partition: int) -> int:
        """Offset of the last record, -1 for none."""
        ...

    def batches(self, topic: str, partition: int, first: int = 0) -> Iterator[list[LogRecord]]: ...


class LogRestorer:
    """Fills the topics that `unfinished` names; the others are only compared.

    `lost`: what stands behind the records of `source`, by topic and partition. `advice` ends the error where a topic holds something else.
    """

    def __init__(
        self,
        source: Records,
        lost: Mapping[tuple[str, int], list[LogRecord]],
        reader: LogReader,
        refiller: Refiller,
        unfinished: set[str],
        advice: str = RESTORE,
    ) -> None:
        self._source, self._lost, self._advice = source, lost, advice
        self._reader, self._refiller, self._unfinished = reader, refiller, unfinished

    def restore(
        self, partitions: int, done: Callable[[Restored], None] = lambda restored: None
    ) -> list[Restored]:
        """Fill every partition; `done` is told of each as it ends. After any failure it may be run again.

        Raises RestoreRefused before anything is written to a topic that holds something else, ShardDamaged, NotWritten, WriteUnknown.
        """
        found: list[Restored] = []
        lost = self._lost
        trees = trees_of(partitions)
        present = {tree: self._present(*tree, lost.get(tree, [])) for tree in trees}
        for topic, partition in trees:
            behind = lost.get((topic, partition), [])
            records = self._source.position(topic, partition) + 1
            before = present[topic, partition]
            if before < records + len(behind):
                for batch in self._wanted(topic, partition, before, behind):
                    self._refiller.append(batch)
                self._refiller.flush()
                self._compare(topic, partition, before, records + len(behind), behind)
            found.append(Restored(topic, partition, records, before, len(behind)))
            done(found[-1])
        return found

    def _present(self, topic: str, partition: int, behind: list[LogRecord]) -> int:
        """How many records stand in the topic, all of them the archive's. Raises RestoreRefused."""
        low, end = self._reader.bounds(topic, partition)
        whole = self._source.position(topic, partition) + 1 + len(behind)
        if low:
            raise self._refused(topic, partition, f"begins at offset {low}")
        if end > whole:
            raise self._refused(topic, partition, f"holds {end} records, the archive has {whole}")
        if 0 < end < whole and topic not in self._unfinished:
            raise self._refused(topic, partition, f"holds {end} records that no restore wrote")
        self._compare(topic, partition, 0, end, behind)
        return end

    def _wanted(
        self, topic: str, partition: int, start: int, behind: list[LogRecord]
    ) -> Iterator[list[LogRecord]]:
        """The archive's records from `start` on, then those that stand for lost commands."""
        archived = self._source.position(topic, partition) + 1
        if start < archived:
            yield from self._source.batches(topic, partition, start)
        if rest := [record for record in behind if record.offset >= start]:
            yield rest

    def _compare(self, topic: str, partition: int, start: int, end: int, behind: list[LogRecord]) -> None:
        if start >= end:
            return
        wanted = chain.from_iterable(self._wanted(topic, partition, start, behind))
        there = chain.from_iterable(self._reader.read(topic, partition, start, end))
        # Not strict: where a restore was killed there is less than is wanted.
        for record, expected in zip(there, wanted, strict=False):
            if record != expected:
                raise self._refused(topic, partition, f"has another record at offset {record.offset}")

    def _refused(self, topic: str, partition: int, why: str) -> RestoreRefused:
        return RestoreRefused(f"{topic}/{partition} {why}: {self._advice}")


def lost_commands(archive: Path, partition: int, keys: Keys) -> list[LogRecord]:
    """Records in the place of commands behind the archive's end whose events are archived. Only events that open count."""
    source = ArchiveSource(archive)
    end = source.position(COMMANDS, partition) + 1
    fence, when = -1, 0
    for segment in read_covers(archive, EVENTS).get(partition, []):
        for batch in read_batches(segment, ["offset", "command_offset"], BATCH):
            for offset in batch.filter(pc.field("command_offset") >= end)["offset"].to_pylist():
                records = next(source.batches(EVENTS, partition, offset, offset))
                for event in open_batch(records, keys).events:
                    if event.envelope.command_offset > fence:
                        fence, when = event.envelope.command_offset, records[0].timestamp_ms
    return [_lost(partition, offset, when) for offset in range(end, fence + 1)]


def _lost(partition: int, offset: int, when: int) -> LogRecord:
    said = "this command was not archived before the log was lost; its event is on memfold.events"
    value = json.dumps({"lost": f"{COMMANDS}/{partition}/{offset}", "reason": said})
    return LogRecord(COMMANDS, partition, offset, when, b"", value.encode())


def archived_keys(archive: Path) -> dict[int, set[bytes]]:
    """The record keys of commands and events, by partition. Raises ShardDamaged."""
    found: dict[int, set[bytes]] = {}
    for topic in (COMMANDS, EVENTS):
        for partition, segments in read_covers(archive, topic).items():
            own = found.setdefault(partition, set())
            for segment in segments:
                for batch in read_batches(segment, ["offset", "key"], 4 * BATCH):
                    own.update(batch["key"].unique().to_pylist())
            # Of no subject: a lost command, or what stands in another partition.
            own.discard(b"")
    return found
