"""The log on a real Kafka: the guard of its topics, the writer, the reader."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from memfold.infra.broker import Broker
from memfold.memory.errors import BrokerUnreachable, LogTruncated, NotWritten, TopicMisconfigured
from memfold.schemas.partitions import ACCESS, COMMANDS, EVENTS, QUARANTINE
from memfold.streams.connection import Connection
from memfold.streams.reader import LogReader
from memfold.streams.topics import MAX_RECORD, TopicPlan, ensure_topics
from memfold.streams.writer import LogWriter

PLAN = TopicPlan(partitions=3)


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap})


@pytest.fixture
def writer(connection: Connection) -> Iterator[LogWriter]:
    writer = LogWriter(connection)
    yield writer
    writer.close()


@pytest.fixture
def topic(admin: AdminClient, request: pytest.FixtureRequest) -> str:
    """A topic of the test's own."""
    name = f"{request.node.originalname}-{time.time_ns()}"
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": str(MAX_RECORD)})])[name].result()
    return name


def alter(admin: AdminClient, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


def test_topics_are_made_once_and_keep_their_partitions(connection: Connection, admin: AdminClient) -> None:
    # Other tests share this broker: how many there are is theirs to say, that they stay as many is what matters.
    made = ensure_topics(connection, PLAN)
    assert ensure_topics(connection, TopicPlan(partitions=made + 5)) == made
    assert {COMMANDS, EVENTS, QUARANTINE} <= set(admin.list_topics().topics)


def test_a_log_from_before_there_were_read_events_gets_their_topic(
    connection: Connection, admin: AdminClient
) -> None:
    partitions = ensure_topics(connection, PLAN)
    admin.delete_topics([ACCESS])[ACCESS].result()
    assert ensure_topics(connection, TopicPlan(partitions=partitions + 5)) == partitions
    assert len(admin.list_topics().topics[ACCESS].partitions) == partitions


@pytest.mark.parametrize(
    ("topic", "name", "wrong", "right"),
    [
        (EVENTS, "retention.ms", "604800000", "-1"),
        (EVENTS, "retention.bytes", "1000", "-1"),
        (COMMANDS, "cleanup.policy", "compact", "delete"),
        (EVENTS, "message.timestamp.type", "CreateTime", "LogAppendTime"),
        (QUARANTINE, "retention.ms", "1000", "-1"),
        (ACCESS, "retention.ms", "1000", "-1"),
    ],
)
def test_a_setting_that_would_lose_history_refuses_the_start_and_is_named(
    connection: Connection, admin: AdminClient, topic: str, name: str, wrong: str, right: str
) -> None:
    ensure_topics(connection, PLAN)
    alter(admin, topic, name, wrong)
    try:
        with pytest.raises(TopicMisconfigured, match=f"{topic}: {name} is {wrong}, must be {right}"):
            ensure_topics(connection, PLAN)
    finally:
        alter(admin, topic, name, right)
    ensure_topics(connection, PLAN)


def test_fewer_in_sync_replicas_than_wanted_are_named(connection: Connection) -> None:
    ensure_topics(connection, PLAN)
    with pytest.raises(TopicMisconfigured, match=r"min\.insync\.replicas is 1, must be at least 2"):
        ensure_topics(connection, TopicPlan(partitions=3, min_insync=2))


def test_no_broker_is_an_error_within_ten_seconds_that_names_the_address() -> None:
    started = time.monotonic()
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:1 .*memfold up"):
        ensure_topics(Connection(bootstrap_servers="127.0.0.1:1"), PLAN)
    assert time.monotonic() - started < 10


async def test_what_is_written_is_read_back_in_order(
    connection: Connection, writer: LogWriter, topic: str
) -> None:
    wanted = [(b"k", f"value {number}".encode()) for number in range(2_500)]
    offsets = await writer.append(topic, 0, wanted)
    assert offsets == list(range(2_500))
    reader = LogReader(connection)
    assert reader.bounds(topic, 0) == (0, 2_500)
    batches = list(reader.read(topic, 0, 10, 2_010, batch=500))
    records = [record for batch in batches for record in batch]
    assert max(map(len, batches)) <= 500
    assert [(r.key, r.value) for r in records] == wanted[10:2_010]
    assert [r.offset for r in records] == list(range(10, 2_010))
    assert all(r.timestamp_ms > 1_700_000_000_000 for r in records)


async def test_a_record_that_is_too_large_is_not_written(
    connection: Connection, writer: LogWriter, topic: str
) -> None:
    with pytest.raises(NotWritten, match="nothing was written"):
        await writer.append(topic, 0, [(b"k", b"x" * (MAX_RECORD + 1))])
    assert LogReader(connection).bounds(topic, 0) == (0, 0)


async def test_what_retention_took_is_a_hard_error_that_names_the_gap(
    connection: Connection, admin: AdminClient, writer: LogWriter, topic: str
) -> None:
    from confluent_kafka import TopicPartition

    await writer.append(topic, 0, [(b"k", b"v")] * 20)
    for future in admin.delete_records([TopicPartition(topic, 0, 12)]).values():
        future.result()
    with pytest.raises(
        LogTruncated,
        match=f"{topic}/0 begins at offset 12, but 5 has not been applied: .* lost 7 records, 5 to 11.*"
        "`memfold replay rebuild --from archive`.*`memfold restore --archive PATH`",
    ):
        list(LogReader(connection).read(topic, 0, 5, 20))
