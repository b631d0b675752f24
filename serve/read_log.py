"""Reads on Kafka: one event for each subject whose memories were read, encrypted with that subject's key."""

from __future__ import annotations

import asyncio
import atexit
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from memfold.memory.errors import NotWritten, ReadNotRecorded, WriteUnknown
from memfold.memory.reads import Read
from memfold.schemas.codec import encode, name_of
from memfold.schemas.errors import KeyDestroyed
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import ACCESS, key_of, partition_of
from memfold.schemas.records import Envelope, MemoryRead
from memfold.serve.missed_reads import MissedReads
from memfold.streams.writer import LogWriter

MOST_WAITING = 20_000
"""Read events on their way. Commands wait in the same producer, which holds 100,000: reads never fill it."""
AT_ONCE = 100
"""A read of more people is encrypted in a thread, and waits for its events to be written: it is an export, not a search."""

Sealed = tuple[int, bytes, bytes]
"""Partition, key, value."""


class KafkaReadLog:
    """Implements ReadLog. `strict`: a read is answered after its events are acknowledged; else they are sent without waiting.

    What is lost without `strict` (the broker did not take it in 10 s, or too much waits) is counted in `missed`. A process that is
    killed loses, uncounted, what it had not sent. Close before the writer.
    """

    def __init__(
        self, tenant: str, writer: LogWriter, keys: KeyStore, partitions: int, missed: MissedReads, *, strict: bool
    ) -> None:  # fmt: skip
        self._tenant, self._writer, self._keys, self._partitions = tenant, writer, keys, partitions
        self._missed, self.strict = missed, strict
        self._waiting = 0
        self._counting = threading.Lock()
        # Whoever forgets to close still has his last reads on record.
        atexit.register(writer.close)

    async def record(self, read: Read) -> None:
        body = replace(read.body, strict=self.strict)
        if self.strict or len(read.memory_ids) > AT_ONCE:
            await self._written(replace(read, body=body))
            return
        for sealed in self._sealed(replace(read, body=body)):
            self._send(body.verb, *sealed)

    async def _written(self, read: Read) -> None:
        try:
            sealed = await asyncio.to_thread(lambda: list(self._sealed(read)))
            await asyncio.gather(
                *(self._writer.append(ACCESS, partition, [(key, value)]) for partition, key, value in sealed)
            )
        except (NotWritten, WriteUnknown) as failure:
            if self.strict:
                raise ReadNotRecorded(
                    f"the {read.body.verb} is not answered: audit.reads is strict, and its read event was not acknowledged "
                    f"({failure}). See `memfold status`; ask again when Kafka answers"
                ) from failure
            self._missed.add(read.body.verb, failure)

    def _send(self, verb: str, partition: int, key: bytes, value: bytes) -> None:
        def ended(failure: Exception | None) -> None:
            with self._counting:
                self._waiting -= 1
            if failure is not None:
                self._missed.add(verb, failure)

        with self._counting:
            self._waiting += 1
            full = self._waiting > MOST_WAITING
        if full:
            ended(NotWritten(f"{MOST_WAITING} read events wait for the broker already"))
            return
        try:
            self._writer.send(ACCESS, partition, key, value, ended)
        except NotWritten as failure:
            ended(failure)

    def _sealed(self, read: Read) -> Iterator[Sealed]:
        read_id, now = str(uuid.uuid4()), datetime.now(UTC)
        names_somebody = read.body.agent_id is not None or read.body.run_id is not None
        own = self._keys.known_subject(self._tenant, "tenant", self._tenant) if names_somebody else None
        for subject, memory_ids in read.memory_ids.items():
            # The tenant's key outlives everybody's: what may name a person is not sealed with it.
            body = replace(read.body, agent_id=None, run_id=None) if subject == own else read.body
            try:
                yield self._record(read_id, subject, memory_ids, body, now)
            except KeyDestroyed:
                # Erased while it was read. That somebody read remains, on the tenant's log; whose it was does not.
                own = self._keys.subject_of(self._tenant, "tenant", self._tenant)
                yield self._record(read_id, own, [], replace(read.body, agent_id=None, run_id=None), now)

    def _record(
        self, read_id: str, subject: str, memory_ids: list[str], body: MemoryRead, now: datetime
    ) -> Sealed:
        key_id, key = self._keys.sealing_key(subject)
        envelope = Envelope(
            record_id=str(uuid.uuid5(uuid.UUID(read_id), subject)),
            type=name_of(body),
            tenant=self._tenant,
            subject=subject,
            command_id=read_id,
            occurred_at=now,
            body_schema=b"",
            key_id=key_id,
            nonce=b"",
            memory_ids=memory_ids,
        )
        partition = partition_of(self._tenant, subject, self._partitions)
        return partition, key_of(self._tenant, subject), encode(envelope, body, key)

    def close(self) -> None:
        """The writer is closed by who made it."""
        atexit.unregister(self._writer.close)
