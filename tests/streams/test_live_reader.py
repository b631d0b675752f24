"""Reading a partition as it grows, on a real Kafka."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from memfold.infra.broker import Broker
from memfold.memory.errors import BrokerUnreachable, LogTruncated
from memfold.schemas.records import LogRecord
from memfold.streams import live_reader
from memfold.streams.connection import Connection
from memfold.streams.live_reader import AHEAD_KB, LiveReader
from memfold.streams.reader import LogReader
from memfold.streams.topics import MAX_RECORD
from memfold.streams.writer import LogWriter

PARTITIONS = 2


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> str:
    name = f"{request.node.originalname}-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    made = NewTopic(name, PARTITIONS, 1, config={"max.message.bytes": str(MAX_RECORD)})
    admin.create_topics([made])[name].result()
    return name


@pytest.fixture
def writer(connection: Connection) -> Iterator[LogWriter]:
    writer = LogWriter(connection)
    yield writer
    writer.close()


def taken(live: LiveReader, count: int) -> list[LogRecord]:
    records: list[LogRecord] = []
    while len(records) < count:
        records += live.take()
    return records


async def test_what_is_written_comes_from_each_partitions_own_place_on(
    connection: Connection, topic: str, writer: LogWriter
) -> None:
    for partition in range(PARTITIONS):
        await writer.append(topic, partition, [(b"k", str(number).encode()) for number in range(5)])
    live = LiveReader(LogReader(connection), topic, {0: 2, 1: 5})
    first = taken(live, 3)
    assert live.take() == []
    await writer.append(topic, 1, [(b"k", b"new")])
    found = [(one.partition, one.offset, one.value) for one in [*first, *taken(live, 1)]]
    assert found == [(0, 2, b"2"), (0, 3, b"3"), (0, 4, b"4"), (1, 5, b"new")]
    live.close()


async def test_records_that_the_log_lost_are_an_error_and_not_passed_over(
    connection: Connection, broker: Broker, topic: str, writer: LogWriter
) -> None:
    await writer.append(topic, 0, [(b"k", b"v")] * 5)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    (gone,) = admin.delete_records([TopicPartition(topic, 0, 3)]).values()
    gone.result()
    live = LiveReader(LogReader(connection), topic, {0: 1})
    with pytest.raises(LogTruncated, match="begins at offset 3"):
        taken(live, 1)
    live.close()


@pytest.mark.timeout(30)
def test_nobody_there_is_an_error_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_reader, "_ASKED", 0.0)
    monkeypatch.setattr(live_reader, "_GONE", 0.5)
    live = LiveReader(LogReader(Connection(bootstrap_servers="localhost:1")), "memfold.events", {0: 0})
    with pytest.raises(BrokerUnreachable, match="localhost:1"):
        taken(live, 1)
    live.close()


@pytest.mark.timeout(60)
async def test_a_slow_reader_leaves_in_kafka_what_it_does_not_take(
    broker: Broker, topic: str, writer: LogWriter
) -> None:
    """60 MB wait. With 80 MB fetched ahead the same measurement sees them: it is able to see memory that grows."""
    random = Random(1)
    for _ in range(15):
        await writer.append(topic, 0, [(b"k", random.randbytes(500_000)) for _ in range(8)])

    async def grown(ahead: int) -> int:
        program = str(Path(__file__).with_name("slow_reader.py"))
        arguments = (broker.bootstrap, topic, "120", str(ahead))
        reading = await asyncio.create_subprocess_exec(sys.executable, program, *arguments, stdout=PIPE)
        printed, _ = await reading.communicate()
        seen, megabytes = map(int, printed.split())
        assert seen == 120
        return megabytes

    assert await grown(AHEAD_KB) < 25
    assert await grown(80 * 1024) > 50
