"""The verbs that change something: each checks, appends a command, and waits for what became of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil

from memfold.memory.errors import CommandRejected, InvalidInput, UnknownMemory, WriteUnknown
from memfold.memory.ports import Holders, MemoryIndex, MemoryRow, Receipt, SubjectDirectory, WriteLog
from memfold.memory.retrying import AT_ONCE as RETRIED_AT_ONCE
from memfold.memory.scopes import checked_id, owner_of
from memfold.schemas.records import (
    AddRequested,
    ClearRequested,
    Command,
    DeleteRequested,
    ImportRequested,
    Item,
    MemoriesDecided,
    MergeRequested,
    RetryRequested,
    Scope,
    SplitRequested,
    UpdateRequested,
)

PACK_ITEMS = 100
PACK_BYTES = 512 * 1024
_NAMESPACE = uuid.UUID("6d656d66-6f6c-5d00-8000-636f6d6d616e")


@dataclass(frozen=True, slots=True)
class Written:
    """A command in the log, and what became of it unless the caller did not wait."""

    receipt: Receipt
    decided: MemoriesDecided | None
    items: int = 0
    """Of the command, when it is an add."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Writes of one tenant."""

    tenant: str
    log: WriteLog
    subjects: SubjectDirectory
    index: MemoryIndex
    holders: Holders
    patience: float = 30.0
    """Seconds to wait for a command to be decided and seen."""

    async def add(
        self, items: Sequence[Item], scope: Scope, infer: bool, wait: bool, key: str | None
    ) -> list[Written]:
        """One command for each pack of items, in order; the packs are in the log before any is waited for."""
        subject = self.subjects.subject_of(self.tenant, *owner_of(scope))
        packs = pack(items)
        key = key or str(uuid.uuid4())
        receipts = [
            await self._append(subject, AddRequested(scope, pack, infer), key, number)
            for number, pack in enumerate(packs)
        ]
        written = await self._written(receipts, wait)
        return [replace(one, items=len(pack)) for one, pack in zip(written, packs, strict=True)]

    async def update(
        self,
        memory_id: object,
        text: str,
        metadata: str | None,
        actor_id: str | None,
        wait: bool,
        key: str | None,
    ) -> Written:
        """Raises UnknownMemory before anything is written, CommandRejected when the memory went away meanwhile."""
        row = await self.known(memory_id)
        return await self._one(
            row.subject, UpdateRequested(row.memory_id, text, metadata, actor_id), wait, key
        )

    async def delete(self, memory_id: object, actor_id: str | None, wait: bool, key: str | None) -> Written:
        """Raises as `update`."""
        row = await self.known(memory_id)
        return await self._one(row.subject, DeleteRequested(row.memory_id, actor_id), wait, key)

    async def delete_all(self, scope: Scope, wait: bool, key: str | None) -> list[Written]:
        """One command for each subject that has memories inside the scope."""
        own = self.subjects.known_subject(self.tenant, *owner_of(scope))
        subjects = {own} - {None}
        if scope.user_id is None:
            # An agent's or a run's memories may belong to many users.
            rows = await self.index.current(self.tenant, None, scope, None)
            subjects |= {row.subject for row in rows}
        command = ClearRequested(scope)
        return [await self._one(subject, command, wait, key) for subject in sorted(filter(None, subjects))]

    async def retry(self, scope: Scope | None) -> list[Written]:
        """Decide pending memories again, subject by subject, as long as the models answer; without a scope, the tenant's."""
        written: list[Written] = []
        for subject, count in (await self._pending(scope)).items():
            for _ in range(ceil(count / RETRIED_AT_ONCE)):
                done = await self._one(subject, RetryRequested(scope or Scope()), True, None)
                written.append(done)
                if done.decided and done.decided.outcome == "degraded":
                    break
        return written

    async def pending(self, scope: Scope | None) -> int:
        """How many memories wait to be decided again: of the scope's user, or of the tenant."""
        return sum((await self._pending(scope)).values())

    async def _pending(self, scope: Scope | None) -> dict[str, int]:
        pending = await self.index.pending(self.tenant)
        if scope is None or scope.user_id is None:
            return pending
        own = self.subjects.known_subject(self.tenant, *owner_of(scope))
        return {subject: count for subject, count in pending.items() if subject == own}

    async def merge(self, scope: Scope, entity: str, into: str, actor_id: str | None) -> Written:
        """Raises CommandRejected where it is not clear who is meant."""
        return await self._one(self._own(scope), MergeRequested(entity, into, actor_id), True, None)

    async def split(self, scope: Scope, entity: str, name: str, actor_id: str | None) -> Written:
        """Raises as `merge`."""
        return await self._one(self._own(scope), SplitRequested(entity, name, actor_id), True, None)

    async def take_in(self, imports: Sequence[tuple[ImportRequested, str]]) -> list[MemoriesDecided]:
        """One command for each (memory, idempotency key), all in the log before any is waited for; what became of each, also of those
        that were rejected.
        """
        receipts = await asyncio.gather(
            *(self._append(self._own(command.scope), command, key, 0) for command, key in imports)
        )
        return await asyncio.gather(*(self.log.outcome(receipt, self.patience) for receipt in receipts))

    def _own(self, scope: Scope) -> str:
        return self.subjects.subject_of(self.tenant, *owner_of(scope))

    async def reset(self, wait: bool, key: str | None) -> list[Written]:
        """One command for each partition: all that the tenant has goes out of view."""
        subject = self.subjects.subject_of(self.tenant, "tenant", self.tenant)
        key = key or str(uuid.uuid4())
        command = ClearRequested(Scope(), whole_tenant=True)
        with _naming(key):
            receipts = await self.log.append_to_all(
                self.tenant, subject, command, self._command_id(subject, key, 0)
            )
        return await self._written(receipts, wait)

    async def known(self, memory_id: object) -> MemoryRow:
        """The current row of a memory. Raises InvalidInput for what is no id, UnknownMemory."""
        wanted = checked_memory_id(memory_id)
        rows = await self.index.find(self.tenant, [wanted])
        if not rows:
            raise UnknownMemory(f"there is no memory {wanted}, or it was deleted; nothing was written")
        return rows[0]

    def _command_id(self, subject: str, key: str, ordinal: int) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self.tenant}/{subject}/{ordinal}/{key}"))

    async def _append(self, subject: str, command: Command, key: str, ordinal: int) -> Receipt:
        with _naming(key):
            return await self.log.append(
                self.tenant, subject, command, self._command_id(subject, key, ordinal)
            )

    async def _one(self, subject: str, command: Command, wait: bool, key: str | None) -> Written:
        receipt = await self._append(subject, command, key or str(uuid.uuid4()), 0)
        (written,) = await self._written([receipt], wait)
        return written

    async def _written(self, receipts: list[Receipt], wait: bool) -> list[Written]:
        if not wait:
            return [Written(receipt, None) for receipt in receipts]
        bodies = await asyncio.gather(*(self.log.outcome(receipt, self.patience) for receipt in receipts))
        for body in bodies:
            if body.outcome == "rejected":
                raise CommandRejected(f"the command was written and changed nothing: {body.reason}")
        return [Written(receipt, body) for receipt, body in zip(receipts, bodies, strict=True)]


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """Says of an uncertain write how to repeat it; a caller that gave no key learns the one that was used."""
    try:
        yield
    except WriteUnknown as unknown:
        raise WriteUnknown(
            f"{unknown}. Call again with idempotency_key={key!r}: it cannot count twice"
        ) from unknown


def pack(items: Sequence[Item]) -> list[list[Item]]:
    """Items in lists of at most PACK_ITEMS and about PACK_BYTES, so that a command stays far below the log's largest record."""
    packs: list[list[Item]] = [[]]
    size = 0
    for item in items:
        length = len(item.metadata) + sum(len(message.content) for message in item.messages)
        if packs[-1] and (len(packs[-1]) == PACK_ITEMS or size + length > PACK_BYTES):
            packs.append([])
            size = 0
        packs[-1].append(item)
        size += length
    return packs if packs[-1] else []


def checked_memory_id(memory_id: object) -> str:
    """A memory's id. Raises InvalidType, InvalidInput."""
    text = checked_id("memory_id", memory_id)
    try:
        return str(uuid.UUID(text))
    except (ValueError, TypeError):
        raise InvalidInput(
            f"memory_id {text!r} is no memory's id; ids are the UUIDs that add and search return"
        ) from None
