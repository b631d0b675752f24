"""A topic of others as a source: what its retention takes, and partitions that are added while it is read."""

from __future__ import annotations

import uuid
from contextlib import closing

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from memfold.infra.broker import Broker
from memfold.memory.errors import SourceTruncated
from memfold.memory.intake_source import Place, SourceRecord
from memfold.replay.jsonl import object_in
from memfold.streams import intake_topic
from memfold.streams.connection import Connection
from memfold.streams.intake_topic import TopicSource


def source_of(connection: Connection, topic: str, *, follow: bool = False) -> TopicSource:
    return TopicSource(connection, topic, lambda raw: object_in(raw, "a record"), follow)


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap})


@pytest.fixture
def topic(admin: AdminClient) -> str:
    name = f"chats-{uuid.uuid4().hex[:8]}"
    (made,) = admin.create_topics([NewTopic(name, 1, 1)]).values()
    made.result()
    return name


def produce(broker: Broker, topic: str, count: int, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(count):
        producer.produce(topic, f'{{"n": {number}}}', partition=partition)
    assert producer.flush(10) == 0


def delete_before(admin: AdminClient, topic: str, offset: int) -> None:
    """As retention does."""
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, offset)]).values()
    deleted.result()


def taken(source: TopicSource, wanted: int) -> list[SourceRecord]:
    found: list[SourceRecord] = []
    while len(found) < wanted:
        some = source.take()
        assert some is not None
        found += some
    return found


def test_what_retention_took_behind_the_place_is_told_and_a_first_reading_misses_nothing(
    broker: Broker, connection: Connection, admin: AdminClient, topic: str
) -> None:
    produce(broker, topic, 20)
    delete_before(admin, topic, 12)
    with closing(source_of(connection, topic)) as source:
        assert source.begin({}) == []
        assert [one.after.next for one in taken(source, 8)] == list(range(13, 21))
    with closing(source_of(connection, topic)) as source:
        (gone,) = source.begin({0: Place(5)})
        assert gone == f"{topic}/0: offsets 5 to 11 were deleted before they were read"


def test_what_retention_takes_from_under_a_reader_is_an_error_with_a_name(
    broker: Broker, connection: Connection, admin: AdminClient, topic: str
) -> None:
    produce(broker, topic, 20)
    with closing(source_of(connection, topic, follow=True)) as source:
        assert source.begin({}) == []
        assert len(taken(source, 20)) == 20
        delete_before(admin, topic, 15)
        # Where a reader stands that fell behind by more than the retention.
        source._consumer.seek(TopicPartition(topic, 0, 2))
        with pytest.raises(SourceTruncated, match="deleted records before they were taken in"):
            taken(source, 1)


def test_partitions_that_are_added_while_it_is_followed_are_read_from_their_beginning(
    broker: Broker, connection: Connection, admin: AdminClient, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_topic, "_LOOKED", 0.2)
    produce(broker, topic, 3)
    with closing(source_of(connection, topic, follow=True)) as source:
        source.begin({})
        assert len(taken(source, 3)) == 3
        (made,) = admin.create_partitions([NewPartitions(topic, 3)]).values()
        made.result()
        produce(broker, topic, 4, partition=2)
        assert [(one.partition, one.after.next) for one in taken(source, 4)] == [(2, n) for n in range(1, 5)]
