"""Faust's Kafka transport, with two things of ours.

Each partition starts where its follower says, not where the group once committed: group offsets are a hint, what a projection
has applied stands in the projection. And records travel through Faust together: what was fetched of one partition is one
message, whose value is the list of its records. One by one, what Faust does for each costs more than what we do with it.

`App(Transport=...)` is ignored in silence, so the app's `transport` is set and its consumer's class asserted.
"""

from __future__ import annotations

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
from memfold.streams.traces import traceparent_in

TOGETHER, TOGETHER_BYTES = 100, 512 * 1024
"""Records of a message at most, and bytes: one record may be larger."""

logger = logging.getLogger(__name__)

StartsOf = Callable[[set[TP]], Awaitable[dict[TP, int]]]


class _Thread(AIOKafkaConsumerThread):
    """Faust hands no rack on to aiokafka, which takes one; it is read when the consumer starts."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        app: Any = self.app
        assert hasattr(consumer, "_client_rack")
        consumer._client_rack = app.client_rack
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
        # Asked only now: partitions may have changed hands during the wait, and then these records are of the new hands. To drop
        # them would leave each partition where it is until its next record.
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:
            # Fetched before a rebalance, which reads again from where the followers stand; another one may follow it at once.
            try:
                await self.perform_seek()
            except KafkaError as refused:
                logger.warning("positions were not sought while partitions change hands: %s", refused)
            return
        for tp, records in fetched.items():
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            for some in together(records):
                if self.should_stop or not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                message: Any = self._to_message(tp, some[-1])
                message.key, message.value = None, [_record(record) for record in some]
                yield tp, message

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

    @classmethod
    def following(cls, starts_of: StartsOf, client_rack: str | None, **options: Any) -> PositionedApp:
        app = cls(**options)
        app.client_rack = client_rack
        app.starts_of = starts_of
        app.transport = PositionedTransport(app.conf.broker, app, app.loop)
        assert app.transport.Consumer is PositionedConsumer
        return app

    def fetched_to(self, tp: TP) -> int | None:
        """A partition's end as its last fetch told it; None while it is not this consumer's, or nothing was fetched."""
        return self.consumer.highwater(tp) if tp in self.consumer.assignment() else None


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
