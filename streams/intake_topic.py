"""Any topic of anybody's as a source: read from given offsets on, by one reader that joins no group and commits nothing there.

A record is told from every other by the topic's own id (a topic that was deleted and made again is another), its partition and offset.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)

from memfold.infra.acls import READER_GROUP
from memfold.memory.errors import BrokerUnreachable, InvalidInput, LogDamaged, MemfoldError, SourceTruncated
from memfold.memory.intake_source import Place, SourceRecord
from memfold.streams.broker_settings import TIMEOUT
from memfold.streams.connection import Connection
from memfold.streams.refusals import failure_of
from memfold.streams.topics import admin_of

AT_ONCE = 500
WAITED = 0.25
_LOOKED = 10.0
"""Seconds between two looks for partitions that were added while it follows."""
Decode = Callable[[bytes], Mapping[str, Any]]
"""A record's value as an object; raises InvalidInput for what is none."""


class TopicSource:
    """Every partition of a topic, to the end that it has now, or without an end.

    Raises BrokerUnreachable, NotAuthorized, BrokerTooOld; InvalidInput where there is no such topic.
    """

    def __init__(self, connection: Connection, topic: str, decode: Decode, follow: bool) -> None:
        self.name = f"topic {topic} at {connection.bootstrap_servers}"
        self._connection, self._topic, self._decode, self._follow = connection, topic, decode, follow
        self._admin = admin_of(connection)
        self.identity = self._described()
        self._consumer = Consumer(
            connection.librdkafka(
                group_id=READER_GROUP,
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="error",
                check_crcs=True,
                queued_max_messages_kbytes=16 * 1024,
                fetch_message_max_bytes=1024 * 1024,
                reconnect_backoff_max_ms=1_000,
            )
        )
        self._ends: dict[int, int] = {}
        """Of the partitions that are read and not yet at their end."""
        self._known: set[int] = set()
        self._looked = 0.0

    def _described(self) -> str:
        """The topic's id; its name where the brokers give none."""
        try:
            asked = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=TIMEOUT)
            found = asked[self._topic].result()
        except KafkaException as failure:
            if failure.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise InvalidInput(
                    f"there is no topic {self._topic!r} at {self._connection.bootstrap_servers}"
                ) from None
            raise failure_of(self._connection, failure.args[0]) from failure
        return str(found.topic_id) if found.topic_id else self._topic

    def begin(self, places: Mapping[int, Place]) -> list[str]:
        """Start reading; what the topic no longer has, in words: its retention took it before it was read."""
        lost: list[str] = []
        try:
            partitions = (
                self._consumer.list_topics(self._topic, timeout=TIMEOUT).topics[self._topic].partitions
            )
            for partition in sorted(set(partitions) - self._known):
                first, end = self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, partition), timeout=TIMEOUT
                )
                wanted = places[partition].next if partition in places else first
                if first > wanted:
                    lost.append(
                        f"{self._topic}/{partition}: offsets {wanted} to {first - 1} were deleted before they were read"
                    )
                start = max(first, wanted)
                self._known.add(partition)
                if self._follow or start < end:
                    self._ends[partition] = end
                    self._consumer.incremental_assign([TopicPartition(self._topic, partition, start)])
        except KafkaException as failure:
            raise failure_of(self._connection, failure.args[0]) from failure
        self._looked = time.monotonic()
        return lost

    def take(self) -> list[SourceRecord] | None:
        """Goes on through a restart of the broker. Raises SourceTruncated, LogDamaged, NotAuthorized; InvalidInput where the topic went."""
        if not self._ends:
            return None
        if self._follow and time.monotonic() - self._looked > _LOOKED:
            self._look_for_partitions()
        taken = []
        for message in self._consumer.consume(AT_ONCE, timeout=WAITED):
            if message.error() is None:
                taken.append(self._record(message))
            else:
                self._trouble(message)
        return taken

    def _look_for_partitions(self) -> None:
        """A partition that was only just made may have no leader yet, and a broker may be starting again: the next look finds it."""
        self._looked = time.monotonic()
        with suppress(BrokerUnreachable):
            self.begin({})

    def _record(self, message: Message) -> SourceRecord:
        partition, offset, value = message.partition(), message.offset(), message.value()
        assert partition is not None
        assert offset is not None
        if not self._follow and offset + 1 >= self._ends.get(partition, 0):
            self._ends.pop(partition, None)
        where, after = f"{self._topic}/{partition}@{offset}", Place(offset + 1)
        identity = f"{self.identity}/{partition}@{offset}"
        raw = value.encode() if isinstance(value, str) else value or b""
        try:
            if value is None:
                raise InvalidInput("it has no value: a tombstone")
            return SourceRecord(where, partition, after, identity, raw, self._decode(raw), _beside(message))
        except InvalidInput as wrong:
            return SourceRecord(where, partition, after, identity, raw, flaw=str(wrong))

    def _trouble(self, message: Message) -> None:
        error, partition = message.error(), message.partition()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            if not self._follow and partition is not None:
                self._ends.pop(partition, None)
            return
        if error.code() == KafkaError._BAD_MSG:
            raise LogDamaged(
                f"{self.name}: {error.str()}; the broker's segment is damaged", message.offset() or -1
            )
        raise self._failure(error)

    def _failure(self, error: KafkaError) -> MemfoldError:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            return SourceTruncated(
                f"{self.name} deleted records before they were taken in ({error.str()}). Run it again: it says which"
            )
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID):
            return InvalidInput(f"{self.name} is gone; a topic that is made again under its name is another")
        return failure_of(self._connection, error)

    def told(self, places: Mapping[int, Place]) -> str:
        return (
            " ".join(f"{partition}@{place.next}" for partition, place in sorted(places.items()))
            or "its beginning"
        )

    def close(self) -> None:
        self._consumer.close()


def _beside(message: Message) -> dict[str, Any]:
    key, (kind, at) = message.key(), message.timestamp()
    text = key.decode(errors="replace") if isinstance(key, bytes) else key
    return {"@key": text, "@timestamp": None if kind == TIMESTAMP_NOT_AVAILABLE else at}
