"""A follower whose shard another process still has: it waits by itself, and misses nothing of what came meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing

import pytest

import memfold.streams.follower
import memfold.streams.reader
from memfold.memory.errors import BrokerUnreachable, ShardLocked
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.streams.connection import Connection
from memfold.streams.follower import Failed, Follower, Live
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter


class Held:
    """A sink that is locked while `held`, and then wants everything from an offset on."""

    longest_rest = 0.0

    def __init__(self, first: int) -> None:
        self.first, self.held, self.refused, self.closed = first, True, 0, 0
        self.taken: list[bytes] = []
        self.more = asyncio.Event()

    async def open(self, failed: Failed) -> int:
        if self.held:
            self.refused += 1
            raise ShardLocked("open elsewhere")
        return self.first

    async def process(self, records: Sequence[LogRecord]) -> None:
        self.taken += [record.value for record in records]
        self.more.set()

    async def at_rest(self) -> None: ...

    async def close(self) -> None:
        self.closed += 1

    async def until(self, wanted: list[bytes]) -> None:
        async with asyncio.timeout(20):
            while len(self.taken) < len(wanted):
                self.more.clear()
                await self.more.wait()
        assert self.taken == wanted


@pytest.fixture
async def reader(connection: Connection) -> AsyncIterator[LogReader]:
    await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))
    with closing(LogReader(connection)) as reader:
        yield reader


def ended(failure: BaseException) -> None:
    raise AssertionError("it must wait, not end") from failure


async def test_what_comes_while_the_shard_is_locked_is_read_once_it_is_free(
    connection: Connection, reader: LogReader
) -> None:
    with closing(LogWriter(connection)) as writer:

        async def append(*values: bytes) -> list[int]:
            return await writer.append(EVENTS, 0, [(b"k", value) for value in values])

        first, _ = await append(b"before 1", b"before 2")
        sink = Held(first)
        follower = Follower(EVENTS, 0, sink, reader)
        assert await follower.start(ended) == first + 2
        acknowledged: list[int] = []

        def live(offset: int, value: bytes) -> Live:
            record = LogRecord(EVENTS, 0, offset, 0, b"k", value)
            return Live([record], lambda: acknowledged.append(offset))

        # More than a queue holds: whoever delivers must not be held up, for it delivers other partitions too.
        meanwhile = [f"meanwhile {number}".encode() for number in range(1_500)]
        for offset, value in zip(await append(*meanwhile), meanwhile, strict=True):
            await asyncio.wait_for(follower.offer(live(offset, value)), 5)
        assert (len(acknowledged), sink.taken) == (1_500, [])
        assert sink.refused
        sink.held = False
        await sink.until([b"before 1", b"before 2", *meanwhile])
        (offset,) = await append(b"after")
        await follower.offer(live(offset, b"after"))
        await sink.until([b"before 1", b"before 2", *meanwhile, b"after"])
        await follower.close()
        assert sink.closed == 1


async def test_what_never_comes_is_read_from_the_log(
    connection: Connection, reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memfold.streams.follower, "QUIET", 0.2)
    with closing(LogWriter(connection)) as writer:
        (first,) = await writer.append(EVENTS, 2, [(b"k", b"before")])
        sink = Held(first)
        sink.held = False
        end = first + 1

        async def end_of() -> int:
            return end

        follower = Follower(EVENTS, 2, sink, reader, end_of=end_of)
        await follower.start(ended)
        (late,) = await writer.append(EVENTS, 2, [(b"k", b"lost on its way")])
        end = late + 1
        await sink.until([b"before", b"lost on its way"])
        # And if it comes after all, it is not taken twice.
        record = LogRecord(EVENTS, 2, late, 0, b"k", b"lost on its way")
        acknowledged = asyncio.Event()
        await follower.offer(Live([record], acknowledged.set))
        await asyncio.wait_for(acknowledged.wait(), 5)
        assert sink.taken == [b"before", b"lost on its way"]
        await follower.close()


async def test_a_read_that_does_not_come_back_ends_it(
    connection: Connection, reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memfold.streams.reader, "READS", 2.0)
    hangs = threading.Event()

    def read(*_: object) -> Iterator[list[LogRecord]]:
        hangs.wait()
        yield []

    monkeypatch.setattr(reader, "read", read)
    with closing(LogWriter(connection)) as writer:
        (only,) = await writer.append(EVENTS, 2, [(b"k", b"there")])
    sink = Held(only)
    sink.held = False
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    follower = Follower(EVENTS, 2, sink, reader)
    try:
        await follower.start(failed.set_result)
        failure = await asyncio.wait_for(failed, 30)
        assert isinstance(failure, BrokerUnreachable)
        assert "asked for something 2 s ago and nothing came back" in str(failure)
    finally:
        hangs.set()
        await follower.close()


async def test_it_is_closed_while_it_waits(reader: LogReader) -> None:
    sink = Held(0)
    follower = Follower(EVENTS, 1, sink, reader)
    await follower.start(ended)
    await asyncio.wait_for(follower.close(), 10)
    assert (sink.closed, sink.taken) == (1, [])


async def test_it_is_closed_though_who_closes_it_is_cancelled(reader: LogReader) -> None:
    closes, closed = asyncio.Event(), asyncio.Event()

    class Slow(Held):
        async def close(self) -> None:
            await closes.wait()
            closed.set()

    sink = Slow(0)
    sink.held = False
    follower = Follower(EVENTS, 1, sink, reader)
    await follower.start(ended)
    closing = asyncio.create_task(follower.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    closes.set()
    await asyncio.wait_for(closed.wait(), 10)
