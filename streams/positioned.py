"""Faust's Kafka transport, with two things of ours.

Each partition starts where its follower says, not where the group once committed: group offsets are a hint, what a projection
has applied stands in the projection. And records travel through Faust together: what was fetched of one partition is one
message, whose value is the list of its records. One by one, what Faust does for each costs more than what we do with it.

`App(Transport=...)` is ignored in silence, so the app's `transport` is set and its consumer's class asserted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, ClassVar

import faust
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from faust.serializers.codecs import Codec
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.transports import ConsumerT
from faust.types.tuples import Message

from memfold.schemas.records import LogRecord
from memfold.streams.bootstrapping import BootstrappingClient
from memfold.streams.traces import traceparent_in

TOGETHER, TOGETHER_BYTES = 100, 512 * 1024
"""Records of a message at most, and bytes: one record may be larger."""
GATHERED_BYTES = 256 * 1024
_ANSWERS = 1.0
"""Seconds that a broker has to tell a partition's end, for which its follower waits meanwhile."""

logger = logging.getLogger(__name__)

StartsOf = Callable[[set[TP]], Awaitable[dict[TP, int]]]


class _Thread(AIOKafkaConsumerThread):
    """Faust hands neither rack nor patience on to aiokafka, which takes both; they are read when the consumer starts."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        BootstrappingClient.within(consumer)
        app: Any = self.app
        settings = {"_client_rack": app.client_rack}
        if app.gather_ms:
            settings |= {"_fetch_min_bytes": GATHERED_BYTES, "_fetch_max_wait_ms": app.gather_ms}
        for name, value in settings.items():
            assert hasattr(consumer, name)
            setattr(consumer, name, value)
        return consumer


class Records(Codec):
    """A message's value as the consumer made it: a list of LogRecord, which nothing has to decode."""

    def _loads(self, s: Any) -> Any:
        return s


class PositionedConsumer(Consumer):
    """Seeks to what the app's `starts_of` answers, each time partitions are assigned, and hands on records together."""

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """What was fetched, each partition's records together; as Faust's own, it ends when the partitions change hands."""
        fetched, active = await self._wait_next_records(timeout)
        # Asked only now: partitions may have changed hands during the wait, and then these records are of the new hands.
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop:
            return

        def same_hands() -> bool:
            return self.flow_active and self.app.consumer_generation_id == generation

        left = {tp: records[0].offset for tp, records in fetched.items()}
        for tp, some in self._together(fetched, active):
            if not same_hands():
                break
            message: Any = self._to_message(tp, some[-1])
            message.key, message.value = None, [_record(record) for record in some]
            yield tp, message
            if not same_hands():
                # Faust gives up to hand on what it has at hand then.
                break
            left[tp] = message.offset + 1
        else:
            return
        await self._fetch_again(left)

    def _together(self, fetched: Any, active: set[TP] | None) -> Iterator[tuple[TP, list[Any]]]:
        for tp, records in fetched.items():
            if active is None or tp in active or tp in self._buffered_partitions:
                for some in together(records):
                    yield tp, some

    async def _fetch_again(self, left: dict[TP, int]) -> None:
        """Go back to the first records that were not handed on. To leave them out would lose them where the new hands are the old
        ones and were told where to start before they came: the partition would stand until its next record. What comes
        twice is passed over by its follower.
        """
        try:
            await self.seek_wait({tp: offset for tp, offset in left.items() if tp in self.assignment()})
        except (KafkaError, TimeoutError) as refused:
            # They change hands at this moment, so they are told anew where to start.
            logger.warning("what was fetched while partitions change hands is not fetched again: %s", refused)

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        app: Any = self.app
        starts = await app.starts_of(set(self.assignment()))
        if starts:
            await self.seek_wait(starts)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """None: a message stands for all records up to its own, and messages of a partition are acknowledged in order."""

    def _new_offset(self, tp: TP) -> int | None:
        """What the group commits: the offset after the newest record that was acknowledged."""
        acked = self._acked[tp]
        if not acked:
            return None
        newest: int = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return newest + 1


class PositionedTransport(Transport):
    Consumer: ClassVar[type[ConsumerT]] = PositionedConsumer


class PositionedApp(faust.App):
    """A Faust app whose partitions start where `starts_of` says."""

    starts_of: StartsOf
    client_rack: str | None = None
    gather_ms = 0

    @classmethod
    def following(
        cls, starts_of: StartsOf, client_rack: str | None, gather_ms: int, **options: Any
    ) -> PositionedApp:
        """`gather_ms`: how long the broker may wait with its answer until there are GATHERED_BYTES; 0: not at all."""
        app = cls(**options)
        app.client_rack, app.gather_ms = client_rack, gather_ms
        app.starts_of = starts_of
        app.transport = PositionedTransport(app.conf.broker, app, app.loop)
        assert app.transport.Consumer is PositionedConsumer
        return app

    async def end_of(self, tp: TP) -> int | None:
        """The offset that the partition's next record will get, as the broker tells it now; None where it does not answer.

        Asked beside Faust's queue into the consumer's thread: two workers serve that, so where a broker is away two questions that
        wait for it would hold up what the others bring.
        """
        consumer: Any = self.consumer
        thread = consumer._thread
        asked = asyncio.run_coroutine_threadsafe(
            thread._ensure_consumer().end_offsets([tp]), thread.thread_loop
        )
        try:
            async with asyncio.timeout(_ANSWERS):
                ends: dict[TP, int] = await asyncio.wrap_future(asked)
        except (KafkaError, TimeoutError):
            return None
        return ends[tp]


def together(records: Sequence[Any]) -> Iterator[list[Any]]:
    """Records as aiokafka fetched them, in order, by messages."""
    some: list[Any] = []
    size = 0
    for record in records:
        some.append(record)
        size += len(record.value or b"")
        if len(some) == TOGETHER or size >= TOGETHER_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _record(record: Any) -> LogRecord:
    return LogRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key or b"",
        record.value or b"",
        traceparent_in(record.headers),
    )
