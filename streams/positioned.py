"""Faust's Kafka transport, starting each partition where its follower says instead of where the group once committed.

Group offsets are a hint: what a projection has applied stands in the projection. `App(Transport=...)` is ignored in silence,
so the app's `transport` is set and its consumer's class asserted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.transports import ConsumerT

StartsOf = Callable[[set[TP]], Awaitable[dict[TP, int]]]


class _Thread(AIOKafkaConsumerThread):
    """Faust hands no rack on to aiokafka, which takes one; it is read when the consumer starts."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        app: Any = self.app
        assert hasattr(consumer, "_client_rack")
        consumer._client_rack = app.client_rack
        return consumer


class PositionedConsumer(Consumer):
    """Seeks to what the app's `starts_of` answers, each time partitions are assigned."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        app: Any = self.app
        starts = await app.starts_of(set(self.assignment()))
        if starts:
            await self.seek_wait(starts)


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
