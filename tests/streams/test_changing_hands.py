"""Records that come as partitions change hands: they are of the new hands, and must not be dropped."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

import memfold.streams.follower
from memfold.schemas.partitions import EVENTS
from memfold.streams.connection import Connection
from memfold.streams.follower import Failed
from memfold.streams.positioned import PositionedConsumer
from memfold.streams.processor import Processor
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter
from tests.streams.taking import Taking


def at_each_fetch(monkeypatch: pytest.MonkeyPatch, seen: Callable[[Any, Any], Any]) -> None:
    """What a consumer has fetched, once its wait for it ends, is what `seen` makes of it."""
    waiting = PositionedConsumer._wait_next_records

    async def waits(self: Any, timeout: float) -> Any:
        fetched, active = await waiting(self, timeout)
        return seen(self, fetched), active

    monkeypatch.setattr(PositionedConsumer, "_wait_next_records", waits)


async def handed_on(connection: Connection, state: Path, value: bytes) -> None:
    """Runs a processor until a record, written once all of its partitions have come to their ends, has come to its sink."""
    partitions = await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))
    looked, taken = asyncio.Semaphore(0), asyncio.Queue[bytes]()
    # A group of its own: where something was committed once, a consumer goes back to that by itself.
    role = f"hands-{uuid.uuid4().hex[:8]}"
    processor = Processor(role, [EVENTS], lambda *_: Taking(taken), connection, state)
    loop, bounds = asyncio.get_running_loop(), processor._reader.bounds

    def looks(topic: str, partition: int) -> tuple[int, int]:
        found = bounds(topic, partition)
        loop.call_soon_threadsafe(looked.release)
        return found

    processor._reader.bounds = looks  # type: ignore[method-assign]
    try:
        await processor.start()
        async with asyncio.timeout(60):
            # Once to tell Faust where to start, once more after the sink was opened: what is written now comes live.
            for _ in range(2 * partitions):
                await looked.acquire()
            with closing(LogWriter(connection)) as writer:
                await writer.append(EVENTS, 1, [(b"k", value)])
            while await taken.get() != value:
                pass
    finally:
        await processor.stop()


async def test_what_came_during_the_wait_for_new_hands_is_handed_on(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise the follower would find what was dropped by itself, later.
    monkeypatch.setattr(memfold.streams.follower, "QUIET", 3_600.0)
    changed = False

    def changes_hands_meanwhile(consumer: Any, fetched: Any) -> Any:
        nonlocal changed
        if fetched:
            # As Faust does it when an assignment comes, which is what a suspended consumer waits for in here.
            consumer.app.consumer_generation_id += 1
            changed = True
        return fetched

    at_each_fetch(monkeypatch, changes_hands_meanwhile)
    await handed_on(connection, tmp_path, b"in new hands")
    assert changed


async def test_what_the_consumer_lost_is_found_by_the_follower(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memfold.streams.follower, "QUIET", 0.3)
    lost = 0

    def loses_it(_: Any, fetched: Any) -> Any:
        nonlocal lost
        lost += len(fetched or {})
        return {}

    at_each_fetch(monkeypatch, loses_it)
    await handed_on(connection, tmp_path, b"lost and found")
    assert lost


async def test_what_came_while_the_flow_was_held_is_fetched_again(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hands that had been told where to start, and were held up once more; nothing of the partition was ever committed."""
    monkeypatch.setattr(memfold.streams.follower, "QUIET", 3_600.0)
    held = 0

    def is_held_up_once(consumer: Any, fetched: Any) -> Any:
        nonlocal held
        if fetched and not held:
            held += 1
            consumer.stop_flow()
            asyncio.get_running_loop().call_later(0.2, consumer.resume_flow)
        return fetched

    at_each_fetch(monkeypatch, is_held_up_once)
    await handed_on(connection, tmp_path, b"held up")
    assert held == 1


async def test_a_broker_that_does_not_tell_the_end_holds_up_nothing(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The followers ask for it all at once, and wait; what comes is handed on all the same."""
    monkeypatch.setattr(memfold.streams.follower, "QUIET", 0.01)
    asked = 0

    async def never(*_: object) -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", never)
    await handed_on(connection, tmp_path, b"all the same")
    assert asked > 1


async def test_a_partition_that_is_being_opened_holds_up_no_other(
    connection: Connection, tmp_path: Path
) -> None:
    opens = asyncio.Event()

    class Slow(Taking):
        async def open(self, failed: Failed) -> int:
            await opens.wait()
            return 0

    await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))
    taken, slow = asyncio.Queue[bytes](), asyncio.Queue[bytes]()
    role = f"hands-{uuid.uuid4().hex[:8]}"
    processor = Processor(
        role, [EVENTS], lambda _, p: Slow(slow) if p == 0 else Taking(taken), connection, tmp_path
    )

    async def comes(to: asyncio.Queue[bytes], value: bytes) -> None:
        async with asyncio.timeout(60):
            while await to.get() != value:
                pass

    try:
        await processor.start()
        with closing(LogWriter(connection)) as writer:
            for partition in (0, 1):
                await writer.append(EVENTS, partition, [(b"k", b"beside")])
        await comes(taken, b"beside")
        assert slow.empty()
        opens.set()
        await comes(slow, b"beside")
    finally:
        opens.set()
        await processor.stop()


async def test_faust_that_crashes_ends_its_process(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it only writes into its log, and its partitions stand still for as long as the process runs."""
    await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))

    async def refused(*_: object) -> None:
        raise KafkaError("the group's coordinator is away")

    monkeypatch.setattr(AIOKafkaConsumer, "seek_to_committed", refused)
    role = f"hands-{uuid.uuid4().hex[:8]}"
    processor = Processor(role, [EVENTS], lambda *_: Taking(asyncio.Queue[bytes]()), connection, tmp_path)
    try:
        await processor.start()
        with pytest.raises(KafkaError, match="coordinator is away"):
            await asyncio.wait_for(processor.failed, 60)
    finally:
        await processor.stop()


async def test_a_partition_that_cannot_be_closed_ends_its_process(
    connection: Connection, tmp_path: Path
) -> None:
    await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))

    class Open(Taking):
        async def close(self) -> None:
            raise OSError("no space left")

    role = f"hands-{uuid.uuid4().hex[:8]}"
    processor = Processor(role, [EVENTS], lambda *_: Open(asyncio.Queue[bytes]()), connection, tmp_path)
    await processor.start()
    async with asyncio.timeout(60):
        while len(processor._followers) < 3:  # noqa: ASYNC110 - they come with Faust's own assignment
            await asyncio.sleep(0.05)
    # As Faust calls it, which catches what comes of it.
    await processor._app._on_partitions_revoked(set(processor._followers))
    with pytest.raises(OSError, match="no space left"):
        await asyncio.wait_for(processor.failed, 10)
    await processor.stop()
