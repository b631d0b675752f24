"""Topics filled again with records that were archived: the same offsets, keys, bytes, and the broker's original times.

memfold's topics take their times from the broker (LogAppendTime). While one is filled again it takes them from the records
(CreateTime); batches keep the kind of time that they were written with, so what was filled keeps its times when the topic is
turned back. Until then the guard of every start refuses it: the setting says that a restore was begun and has not ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from memfold.memory.errors import NotWritten, RestoreRefused, WriteUnknown
from memfold.schemas.partitions import KEPT
from memfold.schemas.records import LogRecord
from memfold.streams.broker_settings import TIMEOUT
from memfold.streams.connection import Connection, once_settled
from memfold.streams.reader import LogReader
from memfold.streams.refusals import failure_of
from memfold.streams.topics import MAX_RECORD, REQUIRED, TopicPlan, admin_of

_TIMES = "message.timestamp.type"
_DELIVERY = 60.0
_REFILLED = REQUIRED | {_TIMES: "CreateTime"}


def open_for_refilling(connection: Connection, plan: TopicPlan) -> None:
    """Make the archived topics that are missing, ready to be filled; one that is there keeps its settings.

    Raises RestoreRefused for another number of partitions, BrokerUnreachable.
    """
    admin = admin_of(connection)
    settings = _REFILLED | {"min.insync.replicas": str(plan.min_insync)}
    try:
        counts = {
            name: len(topic.partitions) for name, topic in admin.list_topics(timeout=TIMEOUT).topics.items()
        }
        for name in KEPT:
            if counts.get(name, plan.partitions) != plan.partitions:
                raise RestoreRefused(
                    f"{name} has {counts[name]} partitions, the archive {plan.partitions}: delete the topic, then restore again"
                )
        new = [
            NewTopic(name, plan.partitions, plan.replication, config=settings)
            for name in KEPT
            if name not in counts
        ]
        for future in admin.create_topics(new, operation_timeout=TIMEOUT).values() if new else ():
            future.result()
    except KafkaException as failure:
        raise failure_of(connection, failure.args[0]) from failure


def ready_to_be_filled(connection: Connection, reader: LogReader, plan: TopicPlan) -> set[str]:
    """The archived topics that take records with their times: made here, found empty, or begun and not ended.

    Where some hold records and none was begun, none of them. Raises as `open_for_refilling`.
    """
    open_for_refilling(connection, plan)
    begun = unfinished(connection)
    ends = reader.ends(plan.partitions)
    empty = {topic for topic in KEPT if not any(ends[topic, each] for each in range(plan.partitions))}
    if begun or empty == set(KEPT):
        take_times_from_records(connection, empty - begun)
        begun |= empty
    return begun


def take_times_from_records(connection: Connection, topics: Iterable[str]) -> None:
    """For empty topics that somebody made before the restore."""
    _set_times(connection, topics, _REFILLED[_TIMES])


def take_times_from_broker(connection: Connection) -> None:
    """The end of a restore: the archived topics are as the guard of a start wants them."""
    _set_times(connection, KEPT, REQUIRED[_TIMES])


@once_settled
def unfinished(connection: Connection) -> set[str]:
    """The archived topics whose refilling was begun and has not ended."""
    admin = admin_of(connection)
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in KEPT]
    found = admin.describe_configs(resources, request_timeout=TIMEOUT)
    return {
        resource.name
        for resource, future in found.items()
        if future.result()[_TIMES].value == _REFILLED[_TIMES]
    }


def _set_times(connection: Connection, topics: Iterable[str], kind: str) -> None:
    admin = admin_of(connection)
    for name in topics:
        entry = ConfigEntry(_TIMES, kind, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        for future in admin.incremental_alter_configs([resource], request_timeout=TIMEOUT).values():
            future.result()


class Refiller:
    """Appends records with their own times, and checks that each stands at its own offset. From one thread."""

    def __init__(self, connection: Connection) -> None:
        settings = connection.librdkafka(
            acks="all",
            enable_idempotence=True,
            linger_ms=20,
            compression_type="lz4",
            message_max_bytes=MAX_RECORD,
            message_timeout_ms=int(_DELIVERY * 1000),
            queue_buffering_max_messages=20_000,
        )
        self._producer = Producer(settings)
        self._expected: dict[tuple[str, int], int] = {}
        self._failure: Exception | None = None

    def append(self, records: Sequence[LogRecord]) -> None:
        """Hand over consecutive records of one partition; durable after `flush`. Raises NotWritten, WriteUnknown, RestoreRefused."""
        place = (records[0].topic, records[0].partition)
        self._expected.setdefault(place, records[0].offset)
        for record in records:
            while True:
                try:
                    self._producer.produce(
                        record.topic,
                        record.value,
                        record.key,
                        record.partition,
                        timestamp=record.timestamp_ms,
                        on_delivery=self._delivered,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as refused:
                    raise NotWritten(
                        f"{record.topic}/{record.partition} refused the record of offset {record.offset}: {refused.args[0].str()}"
                    ) from refused
            self._raise_failure()
        self._producer.poll(0)

    def flush(self) -> None:
        """Raises as `append`, for any record since the last flush. Then each of them stands at its own offset."""
        left = self._producer.flush(_DELIVERY)
        self._raise_failure()
        if left:
            raise WriteUnknown(
                f"{left} records were not acknowledged in {_DELIVERY:.0f} s; run the same restore again"
            )
        self._expected.clear()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        place = (message.topic() or "", message.partition() or 0)
        if error is not None:
            self._failure = self._failure or WriteUnknown(
                f"{place[0]}/{place[1]} gave no clear answer ({error.str()}); run the same restore again, it goes on where this one ended"
            )
            return
        expected = self._expected[place]
        self._expected[place] = expected + 1
        if message.offset() != expected:
            self._failure = self._failure or RestoreRefused(
                f"{place[0]}/{place[1]}: the record of offset {expected} came to stand at {message.offset()}: somebody else writes to "
                "the topic. Stop every worker and client, delete the topics, then restore again"
            )

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
