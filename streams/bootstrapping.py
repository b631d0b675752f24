"""aiokafka's client, which asks the addresses that it was configured with once none of the brokers that it knows answers.

By itself it keeps to what the last answer named. Where that was one broker, because the others had just started again, or where
brokers came back under other addresses, and that broker then went away, it asked it for ever: a worker stood still beside a
whole cluster until it was started again. What Kafka's own clients do: KIP-899.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]
from aiokafka.cluster import ClusterMetadata  # type: ignore[import-untyped]
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]

_AGAIN = 1.0
"""Seconds at least between two times that they are asked: a client that reaches nobody tries again a hundred times a second."""


class BootstrappingClient(AIOKafkaClient):  # type: ignore[misc]
    _asked = -_AGAIN

    @classmethod
    def within(cls, consumer: Any) -> None:
        """Make the client of an aiokafka consumer, which makes its own, one of these. Before the consumer starts."""
        client = consumer._client
        assert type(client) is AIOKafkaClient
        client.__class__ = cls

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        if await super()._metadata_update(cluster_metadata, topics):
            return True
        now = asyncio.get_running_loop().time()
        if now - self._asked < _AGAIN:
            return False
        self._asked = now
        return await self._from_configured(cluster_metadata, topics)

    async def _from_configured(self, cluster_metadata: Any, topics: Any) -> bool:
        """By a client of its own: the first answer that one gets names no topics, for which a group would give back its partitions."""
        other = copy.copy(self)
        other.cluster = ClusterMetadata(metadata_max_age_ms=self._metadata_max_age_ms)
        other._conns, other._sync_task = {}, self._sync_task
        other._md_update_fut, other._md_update_waiter = None, asyncio.get_running_loop().create_future()
        try:
            await other.bootstrap()
            return bool(await AIOKafkaClient._metadata_update(other, cluster_metadata, topics))
        except KafkaConnectionError:
            return False
        finally:
            # Its task is ours.
            other._sync_task = None
            await other.close()
