"""Reads a partition straight from the log, in bulk, between two offsets: for rebuilding, for gaps, and for what is not archived yet.

confluent-kafka, not Faust: twenty times as fast, and it joins no consumer group. CRCs are checked, because librdkafka delivers a
flipped bit silently otherwise; an offset that is gone is an error, because its default is to skip what was lost.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from memfold.infra.acls import READER_GROUP
from memfold.memory.errors import BrokerUnreachable, LogDamaged, LogTruncated, MemfoldError
from memfold.schemas.partitions import Tree, trees_of
from memfold.schemas.records import LogRecord
from memfold.streams.connection import Connection, once_settled
from memfold.streams.refusals import failure_of
from memfold.streams.traces import traceparent_in

BATCH = 5_000
AHEAD_KB = 8 * 1024
"""What a consumer fetches ahead at most. A worker that is behind reads all of its partitions at once, for each of its roles."""
_STALLED = 30.0
READS = 40.0
"""Seconds after which nothing will come back: by itself a reader gives up sooner."""

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


async def in_time(ask: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs) -> Answer:
    """What a reader answers, asked in a thread. Raises BrokerUnreachable after READS seconds, besides what it raises: where a partition is
    begun, an answer that never comes would keep all others of its role from going on.
    """
    try:
        async with asyncio.timeout(READS):
            return await asyncio.to_thread(ask, *given, **named)
    except TimeoutError:
        raise BrokerUnreachable(
            f"the log was asked for something {READS:g} s ago and nothing came back; this worker starts again"
        ) from None


class LogReader:
    """Random access to the log, from any thread: each call has a consumer of its own.

    `traced`: records come with the trace that they belong to. Without it a record is equal to the same one in the archive.
    """

    def __init__(self, connection: Connection, traced: bool = False) -> None:
        self._connection, self._traced = connection, traced
        self._idle: list[Consumer] = []

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        """A consumer that nobody else uses meanwhile; connecting anew for each question would cost more than the answer."""
        try:
            consumer = self._idle.pop()
        except IndexError:
            consumer = self.connected(
                queued_max_messages_kbytes=AHEAD_KB,
                fetch_wait_max_ms=10,
                fetch_message_max_bytes=4 * 1024 * 1024,
            )
        try:
            yield consumer
        except BaseException:
            consumer.close()
            raise
        consumer.unassign()
        if self._idle:
            # As many as ever read at once would stay for good, some eight threads each. To close one asks the broker, and who has
            # the answer already need not wait for that.
            threading.Thread(target=consumer.close, name="memfold-reader-closes", daemon=True).start()
        else:
            self._idle.append(consumer)

    def close(self) -> None:
        """Give up the connections."""
        while self._idle:
            self._idle.pop().close()

    def connected(self, **settings: Any) -> Consumer:
        """A consumer of no group, whose owner assigns and closes it; `settings` use librdkafka's names with _ for the dot."""
        return Consumer(
            self._connection.librdkafka(
                group_id=READER_GROUP,
                enable_auto_commit=False,
                enable_partition_eof=False,
                auto_offset_reset="error",
                check_crcs=True,
                **settings,
            )
        )

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """(first offset there is, offset that the next record will get). Raises BrokerUnreachable."""
        return self.all_bounds([(topic, partition)])[topic, partition]

    def all_bounds(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        """`bounds` of several partitions over one connection."""
        try:
            with self._consumer() as consumer:
                return {each: _watermarks(consumer, TopicPartition(*each)) for each in wanted}
        except KafkaException as failure:
            raise self.unreachable(failure) from failure

    def ends(self, partitions: int) -> dict[Tree, int]:
        """The offset that the next record will get, of every kept topic's partitions. Raises BrokerUnreachable."""
        return {tree: end for tree, (_, end) in self.all_bounds(trees_of(partitions)).items()}

    def read(
        self, topic: str, partition: int, start: int, end: int, batch: int = BATCH
    ) -> Iterator[list[LogRecord]]:
        """The records of [start, end) in order, in lists of up to `batch`.

        Raises LogTruncated when the log does not reach back to `start`, BrokerUnreachable when no record comes for 30 s.
        """
        if start >= end:
            return
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(topic, partition, start)])
            expected, waited = start, 0.0
            while expected < end:
                messages = consumer.consume(min(batch, end - expected), timeout=0.5)
                records = [self.record(message, topic, partition, start) for message in messages]
                records = [record for record in records if record.offset < end]
                waited = 0.0 if records else waited + 0.5
                if waited >= _STALLED:
                    raise BrokerUnreachable(
                        f"no record of {topic}/{partition} came from {self._connection.bootstrap_servers} for "
                        f"{_STALLED:.0f} s, waiting for offset {expected}"
                    )
                if records:
                    if records[0].offset > expected:
                        raise truncated(topic, partition, expected, records[0].offset)
                    expected = records[-1].offset + 1
                    yield records

    def record(self, message: Message, topic: str, partition: int, start: int) -> LogRecord:
        """What a consumer that was assigned from `start` on got. Raises LogTruncated, LogDamaged, BrokerUnreachable."""
        failure = message.error()
        if failure is not None:
            if failure.code() == KafkaError._AUTO_OFFSET_RESET:
                low, _ = self.bounds(topic, partition)
                raise truncated(topic, partition, start, low)
            if failure.code() == KafkaError._BAD_MSG:
                raise LogDamaged(
                    f"{topic}/{partition}: {failure.str()}; the broker's segment is damaged",
                    message.offset() or -1,
                )
            raise self.unreachable(KafkaException(failure))
        offset = message.offset()
        assert offset is not None
        return LogRecord(
            topic,
            partition,
            offset,
            message.timestamp()[1],
            _bytes(message.key()),
            _bytes(message.value()),
            traceparent_in(message.headers()) if self._traced else b"",
        )

    def unreachable(self, failure: KafkaException) -> MemfoldError:
        """The error that says which broker does not answer or refuses, and why."""
        return failure_of(self._connection, failure.args[0])


@once_settled
def _watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(partition, timeout=10)
    return low, high


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def truncated(topic: str, partition: int, wanted: int, first: int) -> LogTruncated:
    """The error that says which records the log lost, and how they come back."""
    return LogTruncated(
        f"{topic}/{partition} begins at offset {first}, but {wanted} has not been applied: the log lost "
        f"{first - wanted} records, {wanted} to {first - 1}. Where the archive has them, `memfold replay rebuild --from archive` brings "
        "the projections to its end, past the gap; for the whole log again, stop the stack, remove its Kafka data (the home's folder "
        "kafka, or the topics) and run `memfold restore --archive PATH`"
    )
