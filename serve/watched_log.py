"""The events of a deployment for those who watch: what comes from Kafka, what was from the archive and the log behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from memfold.audit.full_log import FullLog
from memfold.audit.history import DuckDBHistory
from memfold.audit.rows_at import around, cleared
from memfold.audit.starting import starts
from memfold.memory.changed import Around, Cleared
from memfold.memory.watching import LiveLog, Start
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Event, LogRecord
from memfold.streams.live_reader import LiveReader
from memfold.streams.reader import LogReader


class KafkaLiveLog:
    """Implements LiveLog. Its one thread waits in Kafka's client: the shared pool would be full of waiting watches."""

    def __init__(self, reader: LiveReader) -> None:
        self._reader = reader
        self._thread = ThreadPoolExecutor(1, "memfold-watch")
        self._taking: asyncio.Future[list[LogRecord]] | None = None

    async def take(self) -> list[LogRecord]:
        if self._taking is None:
            self._taking = asyncio.get_running_loop().run_in_executor(self._thread, self._reader.take)
        # Not awaited itself: a wait that is given up must not lose what the thread takes meanwhile.
        await asyncio.wait([self._taking])
        taken, self._taking = self._taking, None
        return taken.result()

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.close)
        self._thread.shutdown()


class KafkaWatchedLog:
    """Implements WatchedLog."""

    def __init__(self, reader: LogReader, history: DuckDBHistory, log: FullLog) -> None:
        self._reader, self._history, self._log = reader, history, log

    @property
    def partitions(self) -> int:
        return self._log.partitions

    async def starts(self, places: Mapping[int, int | None], since: datetime | None) -> dict[int, Start]:
        return await asyncio.to_thread(starts, self._log, places, since)

    def follow(self, offsets: Mapping[int, int]) -> LiveLog:
        return KafkaLiveLog(LiveReader(self._reader, EVENTS, offsets))

    async def around(self, event: Event, memory_ids: Sequence[str]) -> dict[str, Around]:
        return await around(self._history, event, memory_ids)

    async def cleared(self, event: Event, subjects: Collection[str] | None) -> Cleared:
        return await asyncio.to_thread(cleared, self._log, event, subjects)
