"""One partition, followed in order from where its sink stands: gaps are read from the log, then records come live from Faust.

Batches form by themselves: whatever arrived while the sink was busy is the next batch, so latency is low when there is little
to do and commits are large when there is much.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from memfold.memory.errors import ShardLocked
from memfold.schemas.records import LogRecord
from memfold.streams.reader import LogReader, in_time

logger = logging.getLogger(__name__)

QUEUED = 1_000
_BATCH_BYTES = 8 * 1024 * 1024
_LOOKS_AGAIN = 0.5
QUIET = 5.0
"""Seconds without a live record after which a follower looks whether one should have come. What it finds has as long again to come."""
LONGEST_REST = 0.1
"""Seconds that a follower rests at most after a batch, for sinks whose `process` is a commit."""

Failed = Callable[[BaseException], None]
"""Is told what ends a follower, once or more often."""


class Sink(Protocol):
    """What is done with the records of one partition. Whatever it raises ends the process: the log is read again from its position.

    What it has done stands in a position of its own, from which `open` goes on. What it has taken is only a hint: a sink may
    return from `process` before its records are durable, and Kafka's group offset may be ahead of it.
    """

    longest_rest: float
    """LONGEST_REST, or 0 where `process` commits nothing. A commit costs about the same for one record as for a hundred: under
    load the follower rests between two batches as long as the last one took."""

    async def open(self, failed: Failed) -> int:
        """The first offset that is wanted. `failed` is for what goes wrong while nobody waits for `process`.

        Raises ShardLocked while another process still has what is to be opened; then it is called again.
        """
        ...

    async def process(self, records: Sequence[LogRecord]) -> None:
        """Take consecutive records; waits while it can take no more."""
        ...

    async def at_rest(self) -> None:
        """Nothing has come for QUIET seconds, and again as often as nothing comes: for what can wait so long."""
        ...

    async def close(self) -> None:
        """Nothing of this sink runs or is on its way any more when it returns."""
        ...


class Live(Struct, frozen=True):
    """Consecutive records as Faust delivered them, one or more, with what acknowledges them."""

    records: list[LogRecord]
    acknowledge: Callable[[], None]


async def _unknown() -> int | None:
    return None


class Follower:
    """Runs one sink over one partition until it is closed."""

    def __init__(
        self,
        topic: str,
        partition: int,
        sink: Sink,
        reader: LogReader,
        linger: float = 0.0,
        end_of: Callable[[], Awaitable[int | None]] = _unknown,
    ) -> None:
        """`end_of`: the partition's end as the broker tells it, None where it does not."""
        self.topic, self.partition, self.sink = topic, partition, sink
        self._reader, self._linger, self._end_of = reader, linger, end_of
        self._many, self._room = asyncio.Event(), asyncio.Event()
        self._queue: asyncio.Queue[Live] = asyncio.Queue()
        self._queued = 0
        """Records in the queue."""
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[int] | None = None
        self._opened = False
        self._next = 0
        self._expected = 0
        """The partition's end as the last look found it."""
        self._ended, self._pause = 0.0, 0.0

    async def start(self, failed: Failed) -> int:
        """Begin; the offset from which Faust should deliver. `failed` is told what ends it.

        The sink is opened after this returned. That takes its time, and waits where another process still has it: one that was stopped
        past its session keeps the locks of partitions that are no longer its own. The others of this process have nothing to do
        with that, and Faust ends for good, without a word, where it waits for its start for longer than 90 s.
        """
        end = await self._end()
        self._task = asyncio.create_task(self._run(failed), name=f"{self.topic}/{self.partition}")

        def ended(task: asyncio.Task[None]) -> None:
            failure = None if task.cancelled() else task.exception()
            if failure:
                failed(failure)

        self._task.add_done_callback(ended)
        return end

    async def offer(self, live: Live) -> None:
        """Hand over live records; waits while the sink is `QUEUED` records behind. Once closed, they are for the next owner."""
        if not self._opened:
            # They are read from the log once the sink is open: to keep them until then would hold up every other partition.
            live.acknowledge()
            return
        while self._queued >= QUEUED and self._closing is None:
            self._room.clear()
            await self._room.wait()
        self._queue.put_nowait(live)
        self._queued += len(live.records)
        if self._queued >= QUEUED // 2:
            self._many.set()

    async def _open(self, failed: Failed) -> None:
        """Not given up when its waiter is: a thread that opens a shard cannot be called back, and what it opens has to be closed."""
        waits = False
        while not self._opened:
            self._opening = asyncio.create_task(self.sink.open(failed))
            await asyncio.wait([self._opening])
            try:
                self._next = self._opening.result()
                self._opened = True
            except ShardLocked as held:
                if not waits:
                    logger.warning("%s/%s waits: %s", self.topic, self.partition, held)
                waits = True
                await asyncio.sleep(_LOOKS_AGAIN)
        if waits:
            logger.warning("%s/%s is free and goes on", self.topic, self.partition)

    async def _end(self) -> int:
        return (await in_time(self._reader.bounds, self.topic, self.partition))[1]

    async def _run(self, failed: Failed) -> None:
        await self._open(failed)
        # Only now: what came until here was not queued.
        await self._read_gap(await self._end())
        while True:
            try:
                batch = await self._batch()
            except TimeoutError:
                await self.sink.at_rest()
                await self._look()
                continue
            await self._read_gap(batch[0].records[0].offset)
            fresh = [record for live in batch for record in live.records if record.offset >= self._next]
            if fresh:
                began = time.monotonic()
                await self.sink.process(fresh)
                self._next = fresh[-1].offset + 1
                self._ended = time.monotonic()
                self._pause = min(self._ended - began, self.sink.longest_rest)
            for live in batch:
                live.acknowledge()

    async def _look(self) -> None:
        """Nothing came for a while: see that nothing should have. What comes is only a hint, the log says what there is."""
        expected, self._expected = self._expected, await self._end_of() or 0
        if self._next < expected and self._queue.empty():
            told = (self.topic, self.partition, self._next, expected - 1)
            logger.warning("%s/%s: records %s to %s did not come and are read from the log", *told)
            await self._read_gap(expected)

    async def _batch(self) -> list[Live]:
        async with asyncio.timeout(QUIET):
            batch = [await self._queue.get()]
        wait = max(self._linger, self._ended + self._pause - time.monotonic())
        if wait > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._many.wait(), wait)
        self._many.clear()
        size = _size(batch[0])
        while size < _BATCH_BYTES and not self._queue.empty():
            batch.append(self._queue.get_nowait())
            size += _size(batch[-1])
        self._queued -= sum(len(live.records) for live in batch)
        self._room.set()
        return batch

    async def _read_gap(self, end: int) -> None:
        if self._next >= end:
            return
        batches = self._reader.read(self.topic, self.partition, self._next, end)
        while records := await in_time(next, batches, None):
            await self.sink.process(records)
            self._next = records[-1].offset + 1

    async def close(self) -> None:
        """Stop between two batches' awaits and close the sink; what was not acknowledged is delivered again.

        Goes on where its waiter is cancelled: a shard that was left open in this process would be locked for as long as it runs.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._room.set()
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._opening:
            await asyncio.wait([self._opening])
            if not self._opening.cancelled():
                self._opening.exception()
        await self.sink.close()


def _size(live: Live) -> int:
    return sum(len(record.value) for record in live.records)
