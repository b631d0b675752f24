"""The embedded broker, started for real."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import TIMESTAMP_LOG_APPEND_TIME, KafkaException, NewTopic

from memfold.infra.broker import Broker
from memfold.infra.broker_config import LARGEST_MESSAGE
from memfold.infra.errors import BrokerNotStarted, StackRunning
from memfold.infra.home import prepare_home


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


def create(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)


def write(bootstrap: str, topic: str, value: bytes) -> None:
    """Write one record; returns when it is acknowledged."""
    errors: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "message.max.bytes": LARGEST_MESSAGE})
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    assert errors == [None]


def read(bootstrap: str, topic: str, count: int) -> list[Message]:
    """The first `count` records of the topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "check.crcs": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        return consumer.consume(count, timeout=20)
    finally:
        consumer.close()


def test_a_record_goes_in_and_comes_out(broker: Broker) -> None:
    create(broker.bootstrap, "one")
    before = int(time.time() * 1000)
    write(broker.bootstrap, "one", b"x" * (LARGEST_MESSAGE - 1000))
    (message,) = read(broker.bootstrap, "one", 1)
    assert message.value() == b"x" * (LARGEST_MESSAGE - 1000)
    kind, stamp = message.timestamp()
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert stamp >= before


def test_the_settings_keep_history(broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    node, typing_error = (
        ConfigResource(ResourceType.BROKER, "1"),
        ConfigResource(ResourceType.TOPIC, "typing-error"),
    )
    found = admin.describe_configs([node])[node].result(20)
    wanted = {
        "auto.create.topics.enable": "false",
        "log.retention.ms": "-1",
        "log.message.timestamp.type": "LogAppendTime",
        "message.max.bytes": str(LARGEST_MESSAGE),
        "broker.session.timeout.ms": "2000",
    }
    assert {name: found[name].value for name in wanted} == wanted
    admin.list_topics("typing-error", timeout=10)  # asking for a topic by name is what creates it elsewhere
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
        admin.describe_configs([typing_error])[typing_error].result(20)


def test_one_broker_a_home(broker: Broker) -> None:
    with pytest.raises(StackRunning, match=re.escape(str(broker.home))), Broker(broker.home):
        pass


def test_a_second_home_beside_it_then_the_same_data_on_the_same_port(broker: Broker, tmp_path: Path) -> None:
    home = tmp_path / "with, comma and späce"
    with Broker(home) as first:
        assert first.bootstrap != broker.bootstrap
        create(first.bootstrap, "kept")
        write(first.bootstrap, "kept", b"before")
        assert (
            "kept" not in AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).topics
        )
    with Broker(home) as second:
        assert second.bootstrap == first.bootstrap
        write(second.bootstrap, "kept", b"after")
        assert [message.value() for message in read(second.bootstrap, "kept", 2)] == [b"before", b"after"]
    assert (home / "logs" / "broker.log").stat().st_size > 0


def test_a_broker_that_ends_says_where_to_look(tmp_path: Path) -> None:
    data = prepare_home(tmp_path) / "kafka" / "data"
    data.mkdir()  # never formatted
    with (
        pytest.raises(BrokerNotStarted, match=r"ended with status 1; .*broker-console\.log"),
        Broker(tmp_path),
    ):
        pass
    data.rmdir()
    with Broker(tmp_path) as repaired:
        assert repaired.bootstrap
