"""The sink of `decide`: commands in, one event per command out, in command order.

Commands slide through a window: subjects are decided at the same time, the commands of one subject in turn, and events are
appended in the order of their commands as soon as the oldest one is decided. This worker is the only writer of its events
partition, and finds out if it is not: an offset that it did not expect means another writer, and the process starts again
from the log.

Unlike other sinks this one returns from `process` when commands are admitted, not when their events are durable. What stands
in the log is what counts: a start reads the tail of the events partition and goes on after the last command that has an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from memfold.audit.errors import TooMuchToOpen
from memfold.memory.deciding import decide
from memfold.memory.errors import ForeignWriter, LogTruncated, ShardDamaged
from memfold.memory.following import pinned
from memfold.memory.ports import Holders, MemoryIndex, SubjectPast
from memfold.memory.state import SubjectState
from memfold.memory.understanding import Models
from memfold.schemas.elsewhere import is_elsewhere
from memfold.schemas.errors import KeyDestroyed, ReaderTooOld, UnknownKey, Unreadable
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_record
from memfold.schemas.partitions import CLEARS, EVENTS, key_of
from memfold.schemas.records import (
    AddRequested,
    ClearRequested,
    Command,
    Envelope,
    ImportRequested,
    LogRecord,
    MemoriesDecided,
    MemoryRead,
    RevokeRequested,
)
from memfold.streams.allowance import Allowance
from memfold.streams.event_of import event_of
from memfold.streams.follower import Failed
from memfold.streams.ledger import Ledger
from memfold.streams.outcomes import Outcomes
from memfold.streams.progress import Progress
from memfold.streams.projecting import open_batch
from memfold.streams.quarantine import Quarantine
from memfold.streams.reader import LogReader, in_time
from memfold.streams.states import States
from memfold.streams.traces import Attributes, Span, Traces, of_decision
from memfold.streams.window import Window
from memfold.streams.writer import LogWriter


@dataclass(frozen=True, slots=True)
class Asked:
    """An opened command and its place in the log."""

    offset: int
    envelope: Envelope
    command: Command


@dataclass(frozen=True, slots=True)
class Decided:
    """A command's place and its event; None for a record that has none: put aside, or a command that came before."""

    offset: int
    event: tuple[Envelope, bytes] | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class DecideRoom:
    """What `decide` works with; one per process."""

    models: Models
    index: MemoryIndex
    holders: Holders
    keys: KeyStore
    reader: LogReader
    writer: LogWriter
    quarantine: Quarantine
    progress: Progress
    outcomes: Outcomes
    told: Callable[[MemoriesDecided], None]
    """Is told of each event as it is decided, to count it."""
    past: SubjectPast
    allowance: Allowance | None = None
    """How often a subject's commands may ask a model; None: as often as they come."""
    traces: Traces | None = None


class DecideSink:
    """One partition of memfold.commands."""

    longest_rest = 0.0

    def __init__(self, partition: int, ledger: Ledger, room: DecideRoom) -> None:
        self._partition, self.ledger, self._room = partition, ledger, room
        self._states = States(partition, room.index, floor=-1)
        self._in_flight: set[str] = set()
        """Ids of the commands in the window, which the ledger does not know yet."""
        self._window: Window[Decided] | None = None

    async def open(self, failed: Failed) -> int:
        """Read the tail of the events partition: the first command that is not decided yet."""
        _, end = await in_time(self._room.reader.bounds, EVENTS, self._partition)
        batches = self._room.reader.read(EVENTS, self._partition, self.ledger.offset + 1, end)
        while records := await in_time(next, batches, None):
            # Opened, not only parsed: a forged event must not move the fence and make later commands look decided.
            opened = await asyncio.to_thread(open_batch, records, self._room.keys)
            self.ledger.record([(e.offset, e.envelope) for e in opened.events], records[-1].offset + 1)
        self._states.raise_floor(end - 1)
        self._room.progress.advance(self._partition, self.ledger.command_offset)
        self._window = Window(self._deliver, failed)
        return self.ledger.command_offset + 1

    async def process(self, records: Sequence[LogRecord]) -> None:
        """Admit commands in order; waits while the window is full. Their events become durable later, in the same order."""
        for record in records:
            await self._admit(record, await self._opened(record))

    async def _opened(self, record: LogRecord) -> Asked | None:
        """The command, unless it is forged, elsewhere, or has been decided or admitted before. Raises ReaderTooOld."""
        if is_elsewhere(record):
            return None
        try:
            envelope, body = open_record(record, self._room.keys)
            if isinstance(body, MemoriesDecided | MemoryRead):
                raise Unreadable(f"a {envelope.type} record does not belong on {record.topic}")
        except ReaderTooOld:
            raise
        except (Unreadable, UnknownKey, KeyDestroyed) as reason:
            await self._room.quarantine.put(record, "decide", str(reason))
            return None
        known = (
            envelope.command_id in self._in_flight or self.ledger.offset_of(envelope.command_id) is not None
        )
        return None if known else Asked(record.offset, envelope, body)

    async def _admit(self, record: LogRecord, asked: Asked | None) -> None:
        assert self._window is not None
        size = len(record.value)
        if asked is None:
            # It takes its turn all the same: the ledger must not come past a command that is still being decided.
            await self._window.admit(record.offset, size, lambda: _nothing(record.offset))
            return
        subject = (asked.envelope.tenant, asked.envelope.subject)
        self._in_flight.add(asked.envelope.command_id)
        self._states.admitted(*subject)
        # Every loaded state of the tenant must know of it before anything is decided after it, and of nothing before. What takes
        # back reads the log: all that was decided before it has to stand there.
        alone = _for_whole_tenant(asked.command) or isinstance(asked.command, RevokeRequested)
        admit = self._window.admit_alone if alone else self._window.admit
        postponed, span = self._postponed(asked, subject), self._span(asked, record.traceparent)
        await admit(subject, size, lambda: self._decided(asked, postponed, span))

    def _span(self, asked: Asked, traceparent: bytes) -> Span | None:
        """From here, so that the wait for its turn is in it, until its event is in the log."""
        if self._room.traces is None:
            return None
        told: Attributes = {
            "memfold.command_id": asked.envelope.command_id,
            "memfold.command": asked.envelope.type,
            "memfold.partition": self._partition,
            "memfold.command_offset": asked.offset,
        }
        return self._room.traces.begin("decide", traceparent, told)

    def _postponed(self, asked: Asked, subject: tuple[str, str]) -> str:
        """Why a command asks no model now; empty where it may. Told as it is admitted, in the order of the log."""
        allowance, command = self._room.allowance, asked.command
        if allowance is None or not isinstance(command, AddRequested) or not command.infer:
            return ""
        if allowance.granted(subject):
            return ""
        return (
            f"postponed: this subject's messages came faster than subject_rate {allowance.rate:g}/s, {allowance.burst} at once; "
            "they are kept as said, and `memfold retry` understands them later"
        )

    async def _decided(self, asked: Asked, postponed: str, span: Span | None) -> Decided:
        envelope = asked.envelope
        subject = (envelope.tenant, envelope.subject)
        if await self._states.outline_suffices(*subject, asked.command):
            body = await self._body(asked, SubjectState(), self._pinned(), postponed)
            self._states.outlined(*subject, body)
        else:
            body = await self._body(asked, *await self._judging(*subject), postponed)
        self._room.told(body)
        if _for_whole_tenant(asked.command):
            self._states.fold_whole_tenant(envelope.tenant, body)
        if span is not None:
            span.tell(of_decision(body))
        return Decided(asked.offset, event_of(asked.envelope, asked.offset, body, self._room.keys), span)

    async def _body(
        self, asked: Asked, state: SubjectState, models: Models, postponed: str
    ) -> MemoriesDecided:
        envelope, events = asked.envelope, []
        if isinstance(asked.command, RevokeRequested):
            try:
                events = await self._room.past.events_of(envelope.tenant, envelope.subject)
            except (TooMuchToOpen, UnknownKey, ShardDamaged, LogTruncated) as unread:
                # Of this command only: the partition goes on, and whoever asked learns what to mend.
                return MemoriesDecided("rejected", reason=f"what was decided before cannot be read: {unread}")
        taken = await self._taken(envelope, asked.command)
        return await decide(
            asked.command, envelope.command_id, envelope.occurred_at, state, models, taken, events, postponed
        )

    async def _taken(self, envelope: Envelope, command: Command) -> str:
        """Why the id that an import brings cannot be given; empty where it can, or where nothing is imported."""
        if not isinstance(command, ImportRequested):
            return ""
        holder = (await self._room.holders.holders([command.memory_id])).get(command.memory_id)
        if holder is None:
            return ""
        if holder == (envelope.tenant, envelope.subject):
            return f"the memory {command.memory_id} was here before and was deleted"
        # Whose it is stays unsaid: it may be another tenant's.
        return f"the id {command.memory_id} is that of a memory of somebody else"

    async def _judging(self, tenant: str, subject: str) -> tuple[SubjectState, Models]:
        """The subject's state, and the models, with the embedder whose vectors the state has: the served one, for this command."""
        while True:
            models = self._pinned()
            held = self._states.held(tenant, subject, models.embedder.model)
            # Nothing was waited for, so it is still served. To ask again costs a look at the disk for each command.
            if held is not None:
                return held, models
            state = await self._states.of(tenant, subject, models.embedder.model)
            # Where another generation came to be served meanwhile, the state may have been read from that one.
            if self._pinned().embedder is models.embedder:
                return state, models

    def _pinned(self) -> Models:
        return replace(self._room.models, embedder=pinned(self._room.models.embedder))

    async def _deliver(self, decided: Sequence[Decided]) -> None:
        """Append the events of consecutive commands, then let everybody know who waits for them."""
        events = [one.event for one in decided if one.event is not None]
        spans = [one.span for one in decided if one.event is not None]
        first = self.ledger.offset + 1
        if events:
            await self._append(first, events, spans)
        envelopes = [envelope for envelope, _ in events]
        self.ledger.record(enumerate(envelopes, first), first + len(events), decided[-1].offset)
        for offset, (envelope, value) in enumerate(events, first):
            self._in_flight.remove(envelope.command_id)
            self._room.outcomes.settle(envelope.command_id, offset, value)
            self._states.appended(envelope.tenant, envelope.subject, offset)
            if CLEARS in envelope.memory_ids:
                self._states.raise_floor(offset)
        self._states.shrink()
        self._room.progress.advance(self._partition, decided[-1].offset)
        for offset, span in enumerate(spans, first):
            if span is not None:
                span.end({"memfold.event_offset": offset})

    async def _append(
        self, first: int, events: list[tuple[Envelope, bytes]], spans: Sequence[Span | None]
    ) -> None:
        records = [(key_of(envelope.tenant, envelope.subject), value) for envelope, value in events]
        traceparents = [b"" if span is None else span.traceparent for span in spans]
        offsets = await self._room.writer.append(EVENTS, self._partition, records, traceparents)
        if offsets != list(range(first, first + len(events))):
            raise ForeignWriter(
                f"{EVENTS}/{self._partition}: events were expected at {first} and after, but stand at {offsets}; "
                "another worker wrote here, so this one starts again from the log"
            )

    async def at_rest(self) -> None: ...

    async def close(self) -> None:
        """What is being decided is given up: its commands are in the log, and the next owner decides them."""
        self._room.progress.leave(self._partition)
        if self._window is not None:
            await self._window.close()
        self.ledger.close()


def _for_whole_tenant(command: Command) -> bool:
    return isinstance(command, ClearRequested) and command.whole_tenant


async def _nothing(offset: int) -> Decided:
    return Decided(offset)
