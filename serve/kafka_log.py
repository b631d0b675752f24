"""The write log on Kafka: encrypts a command, appends it, and waits for its event in every view that queries read."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime

from memfold.audit.checkpoints import TreeName
from memfold.audit.notes import Signer
from memfold.audit.receipts import SignedReceipt
from memfold.memory.errors import NotVisibleYet
from memfold.memory.ports import Receipt
from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.codec import decode, encode, name_of
from memfold.schemas.errors import Unreadable
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import COMMANDS, EVENTS, key_of, partition_of
from memfold.schemas.records import Command, Envelope, MemoriesDecided
from memfold.serve.view_client import ViewClient
from memfold.streams.traces import Attributes, Traces
from memfold.streams.writer import LogWriter

VIEWS = ("vector", "graph")


class KafkaWriteLog:
    """Implements WriteLog. The first append makes sure that there is a broker at all."""

    def __init__(
        self,
        writer: LogWriter,
        keys: KeyStore,
        views: ViewClient,
        partitions: int,
        signer: Signer | None = None,
        traces: Traces | None = None,
    ) -> None:
        """`signer`: the log's seal key, for receipts that are signed as soon as the command is in the log."""
        self._writer, self._keys, self._views, self._partitions = writer, keys, views, partitions
        self._signer, self._traces = signer, traces

    async def append(self, tenant: str, subject: str, command: Command, command_id: str) -> Receipt:
        return await self._append(
            tenant, subject, command, command_id, partition_of(tenant, subject, self._partitions)
        )

    async def append_to_all(
        self, tenant: str, subject: str, command: Command, command_id: str
    ) -> list[Receipt]:
        ids = [
            str(uuid.uuid5(uuid.UUID(command_id), str(partition))) for partition in range(self._partitions)
        ]
        return [await self._append(tenant, subject, command, ids[p], p) for p in range(self._partitions)]

    async def _append(
        self, tenant: str, subject: str, command: Command, command_id: str, partition: int
    ) -> Receipt:
        key_id, key = self._keys.sealing_key(subject)
        memory_id = getattr(command, "memory_id", None)
        envelope = Envelope(
            record_id=command_id,
            type=name_of(command),
            tenant=tenant,
            subject=subject,
            command_id=command_id,
            occurred_at=datetime.now(UTC),
            body_schema=b"",
            key_id=key_id,
            nonce=b"",
            memory_ids=[memory_id] if memory_id else [],
        )
        record = (key_of(tenant, subject), encode(envelope, command, key))
        span = self._traces.current() if self._traces else None
        (offset,) = await self._writer.append(
            COMMANDS, partition, [record], [span.traceparent if span else b""]
        )
        if span:
            told: Attributes = {
                "memfold.command_id": command_id,
                "memfold.partition": partition,
                "memfold.command_offset": offset,
            }
            span.note("in the log", told)
        return Receipt(command_id, partition, offset, self._signed(command_id, partition, offset, record[1]))

    def _signed(self, command_id: str, partition: int, offset: int, value: bytes) -> str:
        if self._signer is None:
            return ""
        now = int(time.time() * 1000)
        return SignedReceipt(command_id, TreeName(COMMANDS, partition), offset, leaf_hash(value), now).note(
            self._signer
        )

    async def outcome(self, receipt: Receipt, timeout: float) -> MemoriesDecided:
        deadline = time.monotonic() + timeout
        answer = await self._views.outcome(receipt.partition, receipt.command_id, timeout)
        if answer is None:
            raise NotVisibleYet(
                f"command {receipt.command_id} is in the log ({COMMANDS}/{receipt.partition}@{receipt.offset}) and was not "
                f"decided within {timeout:g} s; nothing is lost. `memfold status` shows whether `decide` runs"
            )
        offset, value = answer
        left = max(0.1, deadline - time.monotonic())
        seen = await asyncio.gather(
            *(self._views.reach(role, receipt.partition, offset, left) for role in VIEWS)
        )
        if not all(seen):
            behind = ", ".join(role for role, there in zip(VIEWS, seen, strict=True) if not there)
            raise NotVisibleYet(
                f"command {receipt.command_id} is decided ({EVENTS}/{receipt.partition}@{offset}) and not yet in the {behind} "
                "projection; nothing is lost. `memfold status` shows the worker that lags"
            )
        # Authenticated here as well, so that a view cannot make an answer up.
        envelope, body = decode(value, self._keys.key)
        if envelope.command_id != receipt.command_id or not isinstance(body, MemoriesDecided):
            raise Unreadable(f"a view answered {receipt.command_id} with a record of {envelope.command_id}")
        return body
