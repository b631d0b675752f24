"""A broker that comes back under another address, which is one of those that were configured: who follows it goes on there."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata  # type: ignore[import-untyped]

import memfold.streams.follower
from memfold.infra.ports import LOOPBACK, free_ports
from memfold.schemas.partitions import EVENTS
from memfold.streams.connection import Connection
from memfold.streams.processor import Processor
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter
from tests.infra.kafka_cluster import Cluster, running_cluster
from tests.streams.taking import Taking


async def written(connection: Connection, value: bytes) -> None:
    with closing(LogWriter(connection, timeout_seconds=60)) as writer:
        await writer.append(EVENTS, 0, [(b"k", value)])


def comes_back_elsewhere(cluster: Cluster, port: int) -> None:
    (node,) = cluster.nodes
    cluster.kill(1)
    node.client = port
    (node.folder / "server.properties").write_text(cluster._properties(node))
    cluster._admin = None
    cluster.start()
    cluster.wait_brokers(1)


def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers of brokers after which the topic was unknown: for such a one a group gives back its partitions."""
    found: list[Any] = []
    updated = ClusterMetadata.update_metadata

    def update(cluster: Any, metadata: Any) -> None:
        known = cluster.partitions_for_topic(EVENTS)
        updated(cluster, metadata)
        if known and not cluster.partitions_for_topic(EVENTS):
            found.append(metadata)

    monkeypatch.setattr(ClusterMetadata, "update_metadata", update)
    return found


async def test_who_knows_no_broker_any_more_asks_the_configured_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise the follower reads from the log, by another client, what does not come.
    monkeypatch.setattr(memfold.streams.follower, "QUIET", 3_600.0)
    forgot = forgotten(monkeypatch)
    (port,) = free_ports(1)
    with running_cluster(tmp_path / "kafka", 1) as cluster:
        both = Connection(bootstrap_servers=f"{cluster.bootstrap},{LOOPBACK}:{port}")
        await asyncio.to_thread(ensure_topics, both, TopicPlan(partitions=1))
        taken = asyncio.Queue[bytes]()
        processor = Processor("moved", [EVENTS], lambda *_: Taking(taken), both, tmp_path / "state")
        try:
            await processor.start()
            async with asyncio.timeout(120):
                await written(both, b"before")
                assert await taken.get() == b"before"
                await asyncio.to_thread(comes_back_elsewhere, cluster, port)
                await written(both, b"after")
                # Where the broker took longer than a session, the partition is opened anew, from its beginning.
                while await taken.get() != b"after":
                    pass
        finally:
            await processor.stop()
    assert not forgot
