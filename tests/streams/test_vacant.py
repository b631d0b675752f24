"""What is asked of a Kafka before a log is moved: whether anything stands there, who follows, and that writers are stopped by a word."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from confluent_kafka import Consumer

from memfold.infra.broker import Broker
from memfold.memory.errors import InvalidInput, RestoreRefused
from memfold.schemas.partitions import COMMANDS, EVENTS, QUARANTINE
from memfold.streams.connection import Connection
from memfold.streams.members import followers
from memfold.streams.reader import LogReader
from memfold.streams.topics import TopicPlan, ensure_topics
from memfold.streams.vacant import check_vacant, cluster_of
from memfold.streams.writer import LogWriter


async def test_a_kafka_where_something_stands_is_refused_by_name(connection: Connection) -> None:
    made = await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))
    with closing(LogWriter(connection)) as writer:
        await writer.append(QUARANTINE, 0, [(b"k", b"{}\nput aside")])
    with pytest.raises(
        RestoreRefused,
        match=rf"memfold\.quarantine/0 has had \d+ records.*; {COMMANDS} has {made} partitions, not {made + 1}; .* Nothing was",
    ):
        check_vacant(connection, TopicPlan(partitions=made + 1))


def test_a_cluster_is_the_same_by_whatever_address(broker: Broker, connection: Connection) -> None:
    other = Connection(bootstrap_servers=broker.bootstrap.replace("127.0.0.1", "localhost"))
    assert cluster_of(connection) == cluster_of(other) != ""


def test_who_follows_the_log_is_told_by_group_and_waited_for(connection: Connection) -> None:
    ensure_topics(connection, TopicPlan(partitions=3))
    group = {"group_id": "memfold-mirror-of-a-test", "client_id": "somebody", "session_timeout_ms": 6000}
    consumer = Consumer(connection.librdkafka(**group))
    consumer.subscribe([EVENTS])
    while not consumer.assignment():
        consumer.poll(0.1)
    assert any(one.startswith("memfold-mirror-of-a-test (somebody at ") for one in followers(connection))
    consumer.close()
    assert not [one for one in followers(connection, patience=12) if "of-a-test" in one]


async def test_a_writer_that_is_not_admitted_writes_nothing(connection: Connection) -> None:
    await asyncio.to_thread(ensure_topics, connection, TopicPlan(partitions=3))

    def moved() -> None:
        raise InvalidInput("the log is elsewhere")

    with closing(LogReader(connection)) as reader, closing(LogWriter(connection, admit=moved)) as writer:
        end = reader.bounds(QUARANTINE, 0)[1]
        with pytest.raises(InvalidInput, match="elsewhere"):
            await writer.append(QUARANTINE, 0, [(b"k", b"v")])
        with pytest.raises(InvalidInput, match="elsewhere"):
            writer.send(QUARANTINE, 0, b"k", b"v", lambda _: None)
        await asyncio.to_thread(writer._producer.flush, 10)
        assert reader.bounds(QUARANTINE, 0)[1] == end
