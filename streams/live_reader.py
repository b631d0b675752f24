"""Reads partitions as they grow, from given offsets on and without an end: what a watch stands on.

Kafka holds what its owner does not take: little is fetched ahead (`AHEAD_KB`), so a slow owner costs the same memory as a fast one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from memfold.memory.errors import BrokerUnreachable, LogDamaged, LogTruncated, MemfoldError
from memfold.schemas.records import LogRecord
from memfold.streams.reader import LogReader, truncated

AHEAD_KB = 4 * 1024
"""What librdkafka fetches ahead; one fetch more may be on its way."""
WAITED = 0.25
"""Seconds that `take` waits for a first record: also how long closing may take."""
_AT_ONCE = 1024 * 1024
_GONE = 30.0
_PASSING = (
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
)
"""What librdkafka gets over by itself once the broker is back."""


class LiveReader:
    """Some partitions of one topic, by one thread at a time. It joins no group, so no number of readers moves a partition."""

    def __init__(self, reader: LogReader, topic: str, starts: Mapping[int, int]) -> None:
        self._reader, self._topic, self._expected = reader, topic, dict(starts)
        self._gone_since: float | None = None
        self._failure: MemfoldError | None = None
        self._consumer = reader.connected(
            queued_max_messages_kbytes=AHEAD_KB,
            fetch_message_max_bytes=_AT_ONCE,
            reconnect_backoff_max_ms=1_000,
        )
        self._consumer.assign([TopicPartition(topic, *place) for place in starts.items()])

    def take(self) -> list[LogRecord]:
        """What has come, up to a megabyte; empty when nothing came for a moment.

        Records of one partition come in order with none missing. Goes on through a restart of the broker. Raises BrokerUnreachable
        when it stays away for 30 s, LogTruncated, LogDamaged; calling again goes on after the last record that was given.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        records: list[LogRecord] = []
        size, wait = 0, WAITED
        while size < _AT_ONCE and (message := self._consumer.poll(wait)) is not None:
            try:
                record = self._record(message)
            except (BrokerUnreachable, LogDamaged, LogTruncated) as trouble:
                if not records:
                    raise
                # What came before it is given first.
                self._failure = trouble
                break
            if record is not None:
                records.append(record)
                size, wait = size + len(record.value), 0.0
        if not records:
            self._ask_where_it_is()
        return records

    def _record(self, message: Message) -> LogRecord | None:
        failure = message.error()
        if failure is not None and failure.code() in _PASSING:
            self._gone_since = self._gone_since or time.monotonic()
            return None
        partition = message.partition()
        assert partition is not None
        expected = self._expected[partition]
        record = self._reader.record(message, self._topic, partition, expected)
        if record.offset > expected:
            raise truncated(self._topic, partition, expected, record.offset)
        self._gone_since = None
        self._expected[partition] = record.offset + 1
        return record

    def _ask_where_it_is(self) -> None:
        """Silence after a lost connection is either that nothing is written, or that nobody is there."""
        if self._gone_since is None:
            return
        one = TopicPartition(self._topic, next(iter(self._expected)))
        try:
            self._consumer.get_watermark_offsets(one, timeout=WAITED)
        except KafkaException as failure:
            if time.monotonic() - self._gone_since > _GONE:
                raise self._gone(failure) from failure
        else:
            self._gone_since = None

    def _gone(self, failure: KafkaException) -> BrokerUnreachable:
        self._gone_since = None
        return self._reader.unreachable(failure)

    def close(self) -> None:
        self._consumer.close()
