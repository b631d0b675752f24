"""Records on their way from Faust to a sink: together, in order, and no more than a follower has room for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memfold.streams.follower
from memfold.schemas.records import LogRecord
from memfold.streams.follower import QUEUED, Failed, Follower, Live
from memfold.streams.positioned import TOGETHER, TOGETHER_BYTES, together
from memfold.streams.reader import LogReader


def fetched(size: int) -> Any:
    return SimpleNamespace(value=bytes(size))


@given(st.lists(st.sampled_from([0, 10, TOGETHER_BYTES // 3, 2 * TOGETHER_BYTES]), max_size=3 * TOGETHER))
def test_what_was_fetched_travels_in_order_in_messages_that_are_not_too_large(sizes: list[int]) -> None:
    records = [fetched(size) for size in sizes]
    messages = list(together(records))
    assert [record for some in messages for record in some] == records
    assert all(1 <= len(some) <= TOGETHER for some in messages)
    # One record may be larger than a message should be; then it is the message's last.
    assert all(sum(len(one.value) for one in some[:-1]) < TOGETHER_BYTES for some in messages)


class Held:
    """A sink that takes nothing until it is let."""

    longest_rest = 0.0

    def __init__(self) -> None:
        self.let, self.taken, self.closed = asyncio.Event(), list[int](), False

    async def open(self, failed: Failed) -> int:
        return 0

    async def process(self, records: Sequence[LogRecord]) -> None:
        await self.let.wait()
        self.taken += [record.offset for record in records]

    async def at_rest(self) -> None: ...

    async def close(self) -> None:
        self.closed = True


class Empty:
    """A log that has nothing yet: all records come live."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, 0

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
        raise AssertionError(f"there is no gap to read: {start} to {end}")


def live(first: int, count: int, acknowledged: list[int]) -> Live:
    records = [LogRecord("t", 0, offset, 0, b"k", b"v") for offset in range(first, first + count)]
    return Live(records, lambda: acknowledged.append(first))


async def begun(follower: Follower) -> None:
    assert await follower.start(lambda failure: None) == 0
    while not follower._opened:  # noqa: ASYNC110 - opened in the follower's own task
        await asyncio.sleep(0)


async def test_a_sink_is_told_each_time_that_nothing_came_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memfold.streams.follower, "QUIET", 0.01)
    rested = asyncio.Semaphore(0)

    class Resting(Held):
        async def at_rest(self) -> None:
            rested.release()

    follower = Follower("t", 0, Resting(), cast(LogReader, Empty()))
    await begun(follower)
    async with asyncio.timeout(20):
        await rested.acquire()
        await rested.acquire()
    await follower.close()


async def test_a_follower_takes_no_more_than_it_has_room_for_and_all_in_order() -> None:
    sink, acknowledged = Held(), list[int]()
    follower = Follower("t", 0, sink, cast(LogReader, Empty()))
    await begun(follower)
    step, offered = 100, 0

    async def offer_all() -> None:
        nonlocal offered
        for first in range(0, 4 * QUEUED, step):
            await follower.offer(live(first, step, acknowledged))
            offered = first + step

    offering = asyncio.create_task(offer_all())
    done, _ = await asyncio.wait([offering], timeout=0.2)
    assert not done
    # A batch that the sink has, and what waits behind it.
    assert offered <= 2 * QUEUED + step
    assert acknowledged == []
    sink.let.set()
    await offering
    while len(acknowledged) < 4 * QUEUED // step:  # noqa: ASYNC110 - acknowledged in the follower's own task
        await asyncio.sleep(0)
    assert sink.taken == list(range(4 * QUEUED))
    assert acknowledged == list(range(0, 4 * QUEUED, step))
    await follower.close()


async def test_who_waits_for_room_is_let_go_when_the_partition_changes_hands() -> None:
    sink = Held()
    follower = Follower("t", 0, sink, cast(LogReader, Empty()))
    await begun(follower)
    for first in (0, QUEUED):
        await follower.offer(live(first, QUEUED, []))
    waiting = asyncio.create_task(follower.offer(live(2 * QUEUED, 1, [])))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    await follower.close()
    await asyncio.wait_for(waiting, 5)
    assert sink.closed
