"""The sink of `decide`: commands in, one event per command out, in command order.

Subjects are decided at the same time, the commands of one subject in turn; events are appended in the order of their commands.
This worker is the only writer of its events partition, and finds out if it is not: an offset that it did not expect means
another writer, and the process starts again from the log.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from memfold.memory.deciding import decide
from memfold.memory.errors import ForeignWriter
from memfold.memory.ports import MemoryIndex
from memfold.memory.understanding import Models
from memfold.schemas.codec import encode
from memfold.schemas.errors import KeyDestroyed, UnknownKey, Unreadable
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_record
from memfold.schemas.partitions import CLEARS, EVENTS, key_of
from memfold.schemas.records import ClearRequested, Command, Envelope, LogRecord, MemoriesDecided
from memfold.streams.ledger import Ledger
from memfold.streams.outcomes import Outcomes
from memfold.streams.progress import Progress
from memfold.streams.projecting import open_batch
from memfold.streams.quarantine import Quarantine
from memfold.streams.reader import LogReader
from memfold.streams.states import States
from memfold.streams.writer import LogWriter


@dataclass(frozen=True, slots=True)
class Asked:
    """An opened command and its place in the log."""

    offset: int
    envelope: Envelope
    command: Command


@dataclass(frozen=True, slots=True)
class DecideRoom:
    """What `decide` works with; one per process."""

    models: Models
    index: MemoryIndex
    keys: KeyStore
    reader: LogReader
    writer: LogWriter
    quarantine: Quarantine
    progress: Progress
    outcomes: Outcomes


class DecideSink:
    """One partition of memfold.commands."""

    def __init__(self, partition: int, ledger: Ledger, room: DecideRoom) -> None:
        self._partition, self.ledger, self._room = partition, ledger, room
        self._states = States(partition, room.index, floor=-1)

    async def open(self) -> int:
        """Read the tail of the events partition: the first command that is not decided yet."""
        _, end = await asyncio.to_thread(self._room.reader.bounds, EVENTS, self._partition)
        batches = self._room.reader.read(EVENTS, self._partition, self.ledger.offset + 1, end)
        while records := await asyncio.to_thread(next, batches, None):
            # Opened, not only parsed: a forged event must not move the fence and make later commands look decided.
            opened = await asyncio.to_thread(open_batch, records, self._room.keys)
            self.ledger.record([(e.offset, e.envelope) for e in opened.events], records[-1].offset + 1)
        self._states.raise_floor(end - 1)
        self._room.progress.advance(self._partition, self.ledger.command_offset)
        return self.ledger.command_offset + 1

    async def process(self, records: Sequence[LogRecord]) -> None:
        asked = await self._opened(records)
        bodies = await self._decided(asked)
        events = [self._event(one, body) for one, body in zip(asked, bodies, strict=True)]
        first = self.ledger.offset + 1
        if events:
            await self._append(first, events)
        envelopes = [envelope for envelope, _ in events]
        self.ledger.record(enumerate(envelopes, first), first + len(events), records[-1].offset)
        for offset, (envelope, value) in enumerate(events, first):
            self._room.outcomes.settle(envelope.command_id, offset, value)
            self._states.appended(envelope.tenant, envelope.subject, offset)
            if CLEARS in envelope.memory_ids:
                self._states.raise_floor(offset)
        self._states.shrink()
        self._room.progress.advance(self._partition, records[-1].offset)

    async def _append(self, first: int, events: list[tuple[Envelope, bytes]]) -> None:
        records = [(key_of(envelope.tenant, envelope.subject), value) for envelope, value in events]
        offsets = await self._room.writer.append(EVENTS, self._partition, records)
        if offsets != list(range(first, first + len(events))):
            raise ForeignWriter(
                f"{EVENTS}/{self._partition}: events were expected at {first} and after, but stand at {offsets}; "
                "another worker wrote here, so this one starts again from the log"
            )

    async def _opened(self, records: Sequence[LogRecord]) -> list[Asked]:
        """The commands that are neither forged nor decided already, in order."""
        asked: list[Asked] = []
        seen: set[str] = set()
        for record in records:
            try:
                envelope, body = open_record(record, self._room.keys)
                if isinstance(body, MemoriesDecided):
                    raise Unreadable(f"a {envelope.type} record does not belong on {record.topic}")
            except (Unreadable, UnknownKey, KeyDestroyed) as reason:
                await self._room.quarantine.put(record, "decide", str(reason))
                continue
            if envelope.command_id not in seen and self.ledger.offset_of(envelope.command_id) is None:
                seen.add(envelope.command_id)
                asked.append(Asked(record.offset, envelope, body))
        return asked

    async def _decided(self, asked: list[Asked]) -> list[MemoriesDecided]:
        """The bodies in order. A command for the whole tenant waits for all before it, and all after it wait for it."""
        bodies: list[MemoriesDecided] = []
        together: list[Asked] = []
        for one in asked:
            if isinstance(one.command, ClearRequested) and one.command.whole_tenant:
                bodies += await self._by_subject(together)
                bodies += await self._by_subject([one])
                for state in self._states.whole_tenant(one.envelope.tenant):
                    state.fold(bodies[-1])
                together = []
            else:
                together.append(one)
        return bodies + await self._by_subject(together)

    async def _by_subject(self, asked: list[Asked]) -> list[MemoriesDecided]:
        turns: dict[tuple[str, str], list[int]] = {}
        for number, one in enumerate(asked):
            turns.setdefault((one.envelope.tenant, one.envelope.subject), []).append(number)
        bodies: dict[int, MemoriesDecided] = {}

        async def in_turn(subject: tuple[str, str], numbers: list[int]) -> None:
            state = await self._states.of(*subject)
            for number in numbers:
                one = asked[number]
                bodies[number] = await decide(
                    one.command, one.envelope.command_id, one.envelope.occurred_at, state, self._room.models
                )

        async with asyncio.TaskGroup() as window:
            for subject, numbers in turns.items():
                window.create_task(in_turn(subject, numbers))
        return [bodies[number] for number in range(len(asked))]

    def _event(self, asked: Asked, body: MemoriesDecided) -> tuple[Envelope, bytes]:
        command = asked.envelope
        key_id, key = self._room.keys.sealing_key(command.subject)
        touched = dict.fromkeys(done.memory_id for done in body.operations if done.op != "NONE")
        touched |= dict.fromkeys(change.memory_id for change in body.relations)
        envelope = Envelope(
            record_id=str(uuid.uuid5(uuid.UUID(command.command_id), "event")),
            type="memories_decided",
            tenant=command.tenant,
            subject=command.subject,
            command_id=command.command_id,
            occurred_at=datetime.now(UTC),
            body_schema=b"",
            key_id=key_id,
            nonce=b"",
            command_offset=asked.offset,
            memory_ids=[CLEARS, *touched] if body.clears else list(touched),
        )
        return envelope, encode(envelope, body, key)

    async def close(self) -> None:
        self.ledger.close()
