"""Every event that touched a memory, out of the full log: the Parquet archive and, behind it, the log itself.

An answer is never older than the question: the archive's end is looked at first, then the log is read from there to where it
ends now. What cannot be opened is left out of the events and counted in the answer.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import dropwhile, groupby
from pathlib import Path

from msgspec import Struct

from memfold.audit.connection import ReadOnlySQL
from memfold.audit.fence import counting
from memfold.audit.snapshot import Snapshot
from memfold.audit.snapshots import Snapshots
from memfold.audit.tail import Tail
from memfold.audit.touching import Touching
from memfold.memory.noting import note
from memfold.projections.archive_source import ArchiveSource
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_record
from memfold.schemas.partitions import CLEARS, COMMANDS, EVENTS
from memfold.schemas.records import Command, Event, MemoriesDecided, MemoryRead

logger = logging.getLogger(__name__)


class Answer(Struct, frozen=True):
    """The events that count, in log order, and how many rows that name the memory do not.

    `duplicates` were written again by a retry or a zombie worker, `erased` can never be opened again, `unreadable` are forged,
    damaged or sealed with a key that this key store never had.
    """

    events: list[Event] = []
    duplicates: int = 0
    erased: int = 0
    unreadable: int = 0


class DuckDBHistory:
    """Implements HistoryLog over the archive under `archive` and the tail of memfold.events. One question at a time.

    A clear counts as touching a memory when it is of the same subject, or of the whole tenant, and comes after the memory was
    first named; whether its scope covers the memory is for the reader of the events (see `versions`).
    """

    def __init__(self, archive: Path, partitions: int, tail: Tail, keys: Keys) -> None:
        self._archive, self._keys = archive.resolve(), keys
        self._sql = ReadOnlySQL(self._archive)
        self._tail = tail
        self._snapshots = Snapshots(self._sql, self._archive, EVENTS, partitions, tail)
        self._touching = Touching(keys)

    async def events_of(self, tenant: str, memory_id: str) -> list[Event]:
        """Every opened event that touches the memory, in log order; empty for an unknown or erased one.

        Raises ShardDamaged, LogTruncated, UnknownKey (when no record of the memory has a known key), and what the tail raises.
        """
        answer = await self.answer(tenant, memory_id)
        if answer.unreadable:
            logger.warning("%d records that name the memory %s cannot be read", answer.unreadable, memory_id)
        for event in answer.events:
            if memory_id in event.envelope.memory_ids:
                note(event.envelope.subject, [memory_id])
        return answer.events

    async def answer(self, tenant: str, memory_id: str) -> Answer:
        """The events of a memory, and what was left out of them. Raises as `events_of`."""
        return await asyncio.to_thread(self._answer, tenant, memory_id)

    async def command_of(self, event: Event) -> Command | None:
        """The command that an event answered; None if its key was destroyed or its record is not genuine.

        Raises ShardDamaged, LogTruncated, UnknownKey, and what the tail raises.
        """
        return await asyncio.to_thread(self._command_of, event)

    def _command_of(self, event: Event) -> Command | None:
        partition, offset = event.partition, event.envelope.command_offset
        source = ArchiveSource(self._archive)
        if source.position(COMMANDS, partition) >= offset:
            (record,) = next(source.batches(COMMANDS, partition, offset, offset))
        else:
            record = self._tail.records_after(COMMANDS, partition, offset - 1)[0]
        try:
            envelope, body = open_record(record, self._keys)
        except (KeyDestroyed, Unreadable) as reason:
            logger.warning(
                "the command at %s/%d/%d cannot be opened: %s", COMMANDS, partition, offset, reason
            )
            return None
        if isinstance(body, MemoriesDecided | MemoryRead) or envelope.command_id != event.envelope.command_id:
            return None
        return body

    def _answer(self, tenant: str, memory_id: str) -> Answer:
        if memory_id == CLEARS:
            return Answer()
        return self._snapshots.ask(lambda snapshot: self._read(snapshot, tenant, memory_id))

    def _read(self, snapshot: Snapshot, tenant: str, memory_id: str) -> Answer:
        events: list[Event] = []
        duplicates = erased = unreadable = 0
        unknown_key: UnknownKey | None = None
        marks = snapshot.marks(tenant, memory_id)
        for _, group in groupby(marks, key=lambda mark: mark.partition):
            opened = self._touching.open(snapshot, list(group), tenant, memory_id)
            erased, unreadable = erased + opened.erased, unreadable + opened.unreadable
            unknown_key = unknown_key or opened.unknown_key
            if opened.events:
                counted = counting(snapshot, opened.events, self._keys)
                duplicates += len(opened.events) - len(counted)
                # A memory that only a duplicate names never came to be, and no clear touches it before it did.
                events += dropwhile(lambda event: memory_id not in event.envelope.memory_ids, counted)
        if unknown_key and not events and not erased:
            raise unknown_key
        return Answer(events, duplicates, erased, unreadable)

    def close(self) -> None:
        """Waits for the question that is being answered."""
        self._snapshots.close()
        self._sql.close()
