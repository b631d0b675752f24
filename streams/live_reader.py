"""Reads partitions as they grow, from given offsets on and without an end: what a watch stands on.

Kafka holds what its owner does not take: little is fetched ahead (`AHEAD_KB`), so a slow owner costs the same memory as a fast one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import KafkaException, Message, TopicPartition

from memfold.memory.errors import BrokerUnreachable, LogDamaged, LogTruncated, MemfoldError
from memfold.schemas.records import LogRecord
from memfold.streams.reader import LogReader, truncated

AHEAD_KB = 4 * 1024
"""What librdkafka fetches ahead; one fetch more may be on its way."""
WAITED = 0.25
"""Seconds that `take` waits for a first record: also how long closing may take."""
_AT_ONCE = 1024 * 1024
_ASKED, _GONE = 5.0, 30.0
"""Seconds of silence after which the broker is asked whether it is there, and without any answer after which it is gone."""


class LiveReader:
    """Some partitions of one topic, by one thread at a time. It joins no group, so no number of readers moves a partition."""

    def __init__(self, reader: LogReader, topic: str, starts: Mapping[int, int]) -> None:
        self._reader, self._topic, self._expected = reader, topic, dict(starts)
        self._heard = time.monotonic()
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
            records.append(record)
            size, wait = size + len(record.value), 0.0
        if records:
            self._heard = time.monotonic()
        else:
            self._ask_whether_it_is_there()
        return records

    def _record(self, message: Message) -> LogRecord:
        partition = message.partition()
        assert partition is not None
        expected = self._expected[partition]
        record = self._reader.record(message, self._topic, partition, expected)
        if record.offset > expected:
            raise truncated(self._topic, partition, expected, record.offset)
        self._expected[partition] = record.offset + 1
        return record

    def _ask_whether_it_is_there(self) -> None:
        """Silence is either that nothing is written, or that nobody is there; Kafka's client says neither."""
        silent = time.monotonic() - self._heard
        if silent < _ASKED:
            return
        one = TopicPartition(self._topic, next(iter(self._expected)))
        try:
            self._consumer.get_watermark_offsets(one, timeout=WAITED)
        except KafkaException as failure:
            if silent < _GONE:
                return
            self._heard = time.monotonic()
            raise self._reader.unreachable(failure) from failure
        self._heard = time.monotonic()

    def close(self) -> None:
        self._consumer.close()
