"""Three brokers: the log's writer and reader while one is killed, and while two are down.

The same with workers and callers: tests/serve/test_cluster.py (make test-cluster).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from memfold.memory.errors import TopicMisconfigured, WriteUnknown
from memfold.schemas.partitions import COMMANDS, SEALS
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter
from tests.infra.kafka_cluster import Cluster, running_cluster

PLAN = TopicPlan(partitions=3, replication=3, min_insync=2)
COUNT = 3_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("three") / "kafka", 3) as cluster:
        yield cluster


def values(connection: Connection, partition: int) -> list[bytes]:
    with closing(LogReader(connection)) as reader:
        _, end = reader.bounds(COMMANDS, partition)
        return [r.value for batch in reader.read(COMMANDS, partition, 0, end) for r in batch]


async def test_a_broker_is_killed_under_load_then_two_are_down(cluster: Cluster) -> None:
    connection = Connection(bootstrap_servers=cluster.bootstrap)
    assert await asyncio.to_thread(ensure_topics, connection, PLAN) == 3
    expected = [str(number).encode() for number in range(COUNT)]

    with closing(LogWriter(connection, linger_ms=2, timeout_seconds=60)) as writer:
        for start in range(0, COUNT, 100):
            if start == COUNT // 3:
                await asyncio.to_thread(cluster.kill, cluster.leader(COMMANDS, 0))
            await writer.append(COMMANDS, 0, [(b"k", value) for value in expected[start : start + 100]])
    assert await asyncio.to_thread(values, connection, 0) == expected

    (down,) = [node.number for node in cluster.nodes if node.process is None]
    other = next(
        node.number for node in cluster.nodes if node.number not in (down, cluster.leader(COMMANDS, 0))
    )
    await asyncio.to_thread(cluster.kill, other)
    with (
        closing(LogWriter(connection, timeout_seconds=4)) as writer,
        pytest.raises(
            WriteUnknown, match=r"gave no clear answer \(.+\); the record may be in the log or not"
        ),
    ):
        await writer.append(COMMANDS, 0, [(b"k", b"in vain")])
    # What is acknowledged is still read, from the one that is left.
    assert (await asyncio.to_thread(values, connection, 0))[:COUNT] == expected

    cluster.start()
    await asyncio.to_thread(cluster.wait_brokers, 3)
    await asyncio.to_thread(cluster.wait_in_sync)
    with closing(LogWriter(connection, timeout_seconds=60)) as writer:
        await writer.append(COMMANDS, 0, [(b"k", b"again")])
    found = await asyncio.to_thread(values, connection, 0)
    assert found[:COUNT] == expected
    assert [value for value in found[COUNT:] if value != b"in vain"] == [b"again"]


async def test_more_copies_than_brokers_are_told_apart_from_a_broker_that_is_away(cluster: Cluster) -> None:
    connection = Connection(bootstrap_servers=cluster.bootstrap)
    for future in cluster.admin().delete_topics([SEALS]).values():
        future.result()
    with pytest.raises(TopicMisconfigured, match=r"MEMFOLD_REPLICATION is 5.*replication factor"):
        await asyncio.to_thread(ensure_topics, connection, TopicPlan(replication=5))
