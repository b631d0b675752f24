"""The sink of the vector and graph processors: open each event, apply the fence, fold into the shard."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from memfold.projections.base import Position, Shard, Standing, fenced
from memfold.schemas.elsewhere import is_elsewhere
from memfold.schemas.errors import KeyDestroyed, MemfoldError, ReaderTooOld, UnknownKey, Unreadable
from memfold.schemas.opening import Keys, open_event
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import Event, LogRecord
from memfold.streams.folding import folding
from memfold.streams.follower import LONGEST_REST, Failed
from memfold.streams.progress import Progress
from memfold.streams.quarantine import Quarantine
from memfold.streams.reader import LogReader
from memfold.streams.traces import Traces, trace_applied

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedBatch:
    """Records after opening: the events, and those that cannot become one. `elsewhere` stand in another partition."""

    events: list[Event]
    unreadable: list[tuple[LogRecord, str]]
    erased: int
    elsewhere: int


def open_batch(records: Sequence[LogRecord], keys: Keys) -> OpenedBatch:
    """Open records of memfold.events, in order; what cannot be opened is told apart by why.

    Raises ReaderTooOld: passed over once, a newer event would be missing from the shard for good.
    """
    events: list[Event] = []
    unreadable: list[tuple[LogRecord, str]] = []
    erased = elsewhere = 0
    for record in records:
        if is_elsewhere(record):
            elsewhere += 1
            continue
        try:
            events.append(open_event(record, keys))
        except KeyDestroyed:
            erased += 1
        except ReaderTooOld:
            raise
        except (Unreadable, UnknownKey) as reason:
            unreadable.append((record, str(reason)))
    return OpenedBatch(events, unreadable, erased, elsewhere)


def fold_batch(
    shard: Shard, position: Position, records: Sequence[LogRecord], batch: OpenedBatch
) -> Position:
    """Fold an opened batch into a shard, all or nothing; the position after it. Live and replay both come through here."""
    counted, after = fenced(batch.events, position)
    after = replace(
        after,
        offset=records[-1].offset,
        ignored=after.ignored + batch.elsewhere,
        quarantined=after.quarantined + len(batch.unreadable),
        erased=after.erased + batch.erased,
    )
    shard.apply(counted, after)
    return after


def _let_go(shard: Shard) -> None:
    """Close a shard that nobody serves any more. That it is damaged may be why: it cannot be put in order, and need not be."""
    try:
        shard.close()
    except (MemfoldError, OSError) as refused:
        logger.warning("a shard that is no longer served was left as it is: %s", refused)


class ShardSink:
    """Follows one partition of memfold.events into one shard; `followed` is told of it, and of each that takes its place."""

    longest_rest = LONGEST_REST

    def __init__(
        self,
        role: str,
        partition: int,
        open_shard: Callable[[int], Shard],
        keys: Keys,
        quarantine: Quarantine,
        progress: Progress,
        followed: Callable[[int, Shard], None] = lambda partition, shard: None,
        traces: Traces | None = None,
    ) -> None:
        self._role, self._partition, self._traces = role, partition, traces
        self._followed = followed
        self._open_shard, self._keys, self._quarantine, self._progress = (
            open_shard,
            keys,
            quarantine,
            progress,
        )
        self._shard: Shard | None = None
        self._position, self._left = Position(), False
        self.turn = asyncio.Lock()
        """Held while records are processed; whoever holds it sees the shard stand still."""
        # Held while a thread works on the shard: a cancelled follower must not close it under the thread's feet.
        self._busy = threading.Lock()

    async def open(self, failed: Failed) -> int:
        self._shard = await asyncio.to_thread(self._open_shard, self._partition)
        self._followed(self._partition, self._shard)
        self._position = await asyncio.to_thread(self._shard.position)
        self._progress.advance(self._partition, self._position.offset)
        return self._position.offset + 1

    async def process(self, records: Sequence[LogRecord]) -> None:
        started = time.time_ns()
        loop = asyncio.get_running_loop()

        def seen(position: Position) -> None:
            loop.call_soon_threadsafe(self._seen, records, started, position)

        async with self.turn:
            # One thread from one end to the other: in a busy process each change of threads takes longer than most folds.
            batch = await folding(self._open_and_fold, records, seen)
            if batch.unreadable:
                for record, reason in batch.unreadable:
                    await self._quarantine.put(record, self._role, reason)
                await folding(self._fold, records, batch, seen)

    async def at_rest(self) -> None:
        """What was folded last does not wait for the next event to be put in order."""
        async with self.turn:
            await folding(self._keep_up)

    def _open_and_fold(self, records: Sequence[LogRecord], seen: Callable[[Position], object]) -> OpenedBatch:
        """Not where something has to be put aside first."""
        batch = open_batch(records, self._keys)
        if not batch.unreadable:
            self._fold(records, batch, seen)
        return batch

    def _seen(self, records: Sequence[LogRecord], started: int, position: Position) -> None:
        if not self._left:
            self._progress.advance(self._partition, position.offset)
        trace_applied(self._traces, self._role, records, started)

    def caught_up(self, shard: Shard, reader: LogReader) -> Shard:
        """Bring a shard of another generation to where this one stands. To be called with `turn` held."""
        position = shard.position()
        for records in reader.read(EVENTS, self._partition, position.offset + 1, self._position.offset + 1):
            position = fold_batch(shard, position, records, open_batch(records, self._keys))
            shard.keep_up()
        return shard

    def swap(self, shard: Shard) -> None:
        """Go on with a shard that stands at the same position. To be called with `turn` held."""
        with self._busy:
            if not self.opened:
                # The partition went to another worker meanwhile, which opens this shard itself.
                shard.close()
                return
            old, self._shard = self._shard, shard
            self._position = shard.position()
            # Readers go on in the new one before the old one is closed.
            self._followed(self._partition, shard)
            assert old is not None
            _let_go(old)

    def standing(self) -> Standing | None:
        """The shard as it stands between two batches; None while it is closed, because its partition changes hands."""
        with self._busy:
            return None if self._shard is None else Standing(self._position, self._shard.digest())

    def _fold(
        self, records: Sequence[LogRecord], batch: OpenedBatch, seen: Callable[[Position], object]
    ) -> None:
        with self._busy:
            assert self._shard is not None
            self._position = fold_batch(self._shard, self._position, records, batch)
            # Before the shard is put in order, which takes longer: whoever waits for these events can see them.
            seen(self._position)
            self._shard.keep_up()

    def _keep_up(self) -> None:
        with self._busy:
            # Its partition may have gone meanwhile.
            if self._shard is not None:
                self._shard.keep_up()

    @property
    def opened(self) -> bool:
        """Whether its partition is this process's now."""
        return self._shard is not None

    async def close(self) -> None:
        # A fold that goes on in its thread must not tell of a partition that is another worker's.
        self._left = True
        self._progress.leave(self._partition)
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._busy:
            if self._shard is not None:
                self._shard.close()
                self._shard = None
