"""The log's writer: an idempotent producer that says of each record whether it is written, not written, or unknown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from memfold.memory.errors import NotWritten, WriteUnknown
from memfold.streams.connection import Connection
from memfold.streams.topics import MAX_RECORD
from memfold.streams.traces import HEADER

_REFUSED = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_RECORD,
    KafkaError.POLICY_VIOLATION,
}
"""The broker's own word that it did not take the record. After any other error it may have."""


class LogWriter:
    """Appends records with acks=all. One per process and event loop; `close` flushes.

    Does not promise exactly once: a producer that was restarted may repeat a record. Readers count one event per command.
    """

    def __init__(
        self,
        connection: Connection,
        linger_ms: int = 0,
        timeout_seconds: float = 10.0,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        """`admit` is called before each append; what it raises where nothing may be written any more, the append raises."""
        settings = connection.librdkafka(
            acks="all",
            enable_idempotence=True,
            linger_ms=linger_ms,
            compression_type="lz4",
            message_max_bytes=MAX_RECORD,
            message_timeout_ms=int(timeout_seconds * 1000),
            # A request time-out below the message's own: a dead broker is noticed and retried inside the time given.
            request_timeout_ms=min(5_000, int(timeout_seconds * 500)),
            socket_connection_setup_timeout_ms=min(5_000, int(timeout_seconds * 1000)),
        )
        self._producer, self._admit = Producer(settings), admit
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="memfold-writer", daemon=True)
        self._poller.start()

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(0.1)

    def send(
        self, topic: str, partition: int, key: bytes, value: bytes, ended: Callable[[Exception | None], None]
    ) -> None:
        """Append a record without waiting; `ended` is told how it went, from another thread. Raises NotWritten."""
        self._admit()

        def delivered(error: KafkaError | None, message: Message) -> None:
            ended(None if error is None else _failure(error, topic, partition))

        self._produce(topic, partition, key, value, delivered)

    async def append(
        self,
        topic: str,
        partition: int,
        records: Sequence[tuple[bytes, bytes]],
        traceparents: Sequence[bytes] = (),
    ) -> list[int]:
        """Append (key, value) pairs in order; the offset of each. All of them are awaited before an error is raised.

        `traceparents`: for each the trace that it belongs to, empty for none; left out, none has one.

        Raises NotWritten, or WriteUnknown when any of them may or may not have been written.
        """
        self._admit()
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[int]] = []
        for (key, value), traceparent in zip(records, traceparents or [b""] * len(records), strict=True):
            future: asyncio.Future[int] = loop.create_future()
            futures.append(future)
            settling = _settling(future, loop, topic, partition)
            try:
                self._produce(topic, partition, key, value, settling, traceparent)
            except NotWritten as failure:
                _settle(future, failure)
        results = await asyncio.gather(*futures, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, int)]

    def _produce(
        self,
        topic: str,
        partition: int,
        key: bytes,
        value: bytes,
        delivered: Callable[[KafkaError | None, Message], None],
        traceparent: bytes = b"",
    ) -> None:
        headers: list[tuple[str, str | bytes | None]] | None = (
            [(HEADER, traceparent)] if traceparent else None
        )
        try:
            self._producer.produce(topic, value, key, partition, on_delivery=delivered, headers=headers)
        except BufferError:
            raise NotWritten(
                "the writer's queue is full: the broker takes records slower than they come; retry"
            ) from None
        except KafkaException as refused:
            raise NotWritten(
                f"{topic}/{partition} refused a record: {refused.args[0].str()}; nothing was written"
            ) from refused

    def close(self) -> None:
        """Wait for what is on its way, at most 10 s."""
        self._producer.flush(10)
        self._closed.set()
        self._poller.join()


def _failure(error: KafkaError, topic: str, partition: int) -> Exception:
    if error.code() in _REFUSED:
        return NotWritten(f"{topic}/{partition} refused a record: {error.str()}; nothing was written")
    return WriteUnknown(
        f"{topic}/{partition} gave no clear answer ({error.str()}); the record may be in the log or not"
    )


def _settling(
    future: asyncio.Future[int], loop: asyncio.AbstractEventLoop, topic: str, partition: int
) -> Callable[[KafkaError | None, Message], None]:
    def delivered(error: KafkaError | None, message: Message) -> None:
        outcome = message.offset() if error is None else _failure(error, topic, partition)
        loop.call_soon_threadsafe(_settle, future, outcome)

    return delivered


def _settle(future: asyncio.Future[int], outcome: int | Exception | None) -> None:
    if future.done():
        return
    if isinstance(outcome, int):
        future.set_result(outcome)
    else:
        future.set_exception(outcome or RuntimeError("a record was delivered without an offset"))
