"""The sink of the archive processor: records of commands, events and reads, exactly as they are, into Parquet segments.

Records that cannot be opened are archived like all others: the archive is the log, not a view of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.streams.folding import folding
from memfold.streams.follower import LONGEST_REST, Failed
from memfold.streams.progress import Progress
from memfold.streams.traces import Traces, trace_applied

LINGER = 0.5
"""Seconds that records are held back to make fewer, larger segments. Queries read what is not archived yet from Kafka."""


class Archive(Protocol):
    """One partition of one topic, on disk."""

    def position(self) -> int: ...
    def append(self, records: Sequence[LogRecord]) -> None: ...
    def merge(self, today: int, limit: int) -> tuple[int, int]: ...
    def close(self) -> None: ...


class ArchiveSink:
    """Follows one partition of one topic into its archive; `progress` is told of memfold.events only."""

    longest_rest = LONGEST_REST

    def __init__(
        self,
        topic: str,
        partition: int,
        open_archive: Callable[[], Archive],
        progress: Progress,
        traces: Traces | None = None,
    ) -> None:
        self._open_archive, self._progress, self._traces = open_archive, progress, traces
        self._topic, self._partition = topic, partition
        self._archive: Archive | None = None
        self._busy = threading.Lock()

    async def open(self, failed: Failed) -> int:
        self._archive = await asyncio.to_thread(self._open_archive)
        position = self._archive.position()
        if self._topic == EVENTS:
            # Also where nothing new comes: a status must not say that nobody archives.
            self._progress.advance(self._partition, position)
        return position + 1

    async def process(self, records: Sequence[LogRecord]) -> None:
        started = time.time_ns()
        await folding(self._append, records)
        if self._topic == EVENTS:
            self._progress.advance(self._partition, records[-1].offset)
            trace_applied(self._traces, "archive", records, started)

    def _append(self, records: Sequence[LogRecord]) -> None:
        with self._busy:
            assert self._archive is not None
            self._archive.append(records)

    def merge(self, today: int, limit: int) -> tuple[int, int]:
        """One step of upkeep, beside the appends; (0, 0) where nothing is due or nothing is open. Raises as `ArchiveShard.merge`."""
        archive = self._archive
        return (0, 0) if archive is None else archive.merge(today, limit)

    async def at_rest(self) -> None: ...

    async def close(self) -> None:
        if self._topic == EVENTS:
            self._progress.leave(self._partition)
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._busy:
            if self._archive is not None:
                self._archive.close()
                self._archive = None
