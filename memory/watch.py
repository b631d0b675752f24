"""A watch: every change of a scope as it is decided, one after the other, without an end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from memfold.memory.changed import Change
from memfold.memory.errors import InvalidInput
from memfold.memory.log_position import LogPosition, Place, Since, position
from memfold.memory.reads import Reads
from memfold.memory.results import Result
from memfold.memory.watch_reads import WatchReads
from memfold.memory.watched import Watched
from memfold.memory.watching import LiveLog, WatchedLog
from memfold.schemas.records import LogRecord


@dataclass(frozen=True, slots=True)
class Watcher:
    """What a watch works with: the log, its scope's changes, and the reads that it leaves."""

    log: WatchedLog
    watched: Watched
    reads: Reads
    recorded: WatchReads


class AsyncWatch:
    """The changes of one scope. `async for change in watch`; closed by `close`, at the end of `async with`, or with its memory.

    It begins where it was opened: at the first change that is asked for, or before by `open` or `async with`. An error, and a
    cancelled wait, leave it where it was: asking again goes on with the same change.
    """

    def __init__(self, ready: Callable[[AsyncWatch], Awaitable[Watcher]], since: Since) -> None:
        """`ready` connects, and gives the Watcher."""
        self._connect, self._since = ready, since
        self._watcher: Watcher | None = None
        self._live: LiveLog | None = None
        self._turn = asyncio.Lock()
        self.closed = False
        self._records: deque[LogRecord] = deque()
        self._drawn: list[tuple[Change, Result]] = []
        self._ready: deque[Result] = deque()
        self._places: dict[int, Place] = {}
        self._newest = 0
        self._at: str | None = None

    @property
    def position(self) -> str | None:
        """Where it goes on, as a change carries it: after the last change that was given. None before it was opened."""
        if self._watcher is None or self._ready or self._drawn or self._records:
            return self._at
        return self._position(self._watcher)

    async def open(self) -> Self:
        """Begin here. Raises ReadDenied, ReadNotRecorded, InvalidInput, BrokerUnreachable, LogTruncated."""
        async with self._turn:
            await self._open()
        return self

    async def _open(self) -> Watcher:
        if self._watcher is None:
            watcher = await self._connect(self)
            async with watcher.recorded.opening():
                watcher.reads.admit()
                await self._begin(watcher)
            self._watcher = watcher
            self._at = self._position(watcher)
        return self._watcher

    async def _begin(self, watcher: Watcher) -> None:
        partitions, since = watcher.watched.partitions(), self._since
        places: dict[int, Place] = {}
        if isinstance(since, LogPosition):
            _check(since, watcher.log.partitions)
            places, since = since.places, since.moment()
        self._newest = int((since or datetime.now(UTC)).timestamp() * 1000)
        offsets = {one: places[one][0] if one in places else None for one in partitions}
        starts = await watcher.log.starts(offsets, since)
        watcher.watched.fences = {one: start.fence for one, start in starts.items()}
        self._places = {one: (start.offset, places.get(one, (0, 0))[1]) for one, start in starts.items()}
        self._live = watcher.log.follow({one: start.offset for one, start in starts.items()})

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result:
        """The next change. Raises as `open`, LogDamaged, ReaderTooOld; StopAsyncIteration once it is closed."""
        async with self._turn:
            while not self._ready and not self.closed:
                await self._fill(await self._open())
            if self.closed:
                raise StopAsyncIteration
            change = self._ready.popleft()
            self._at = change["position"]
            return change

    async def _fill(self, watcher: Watcher) -> None:
        """One batch: taken, judged, on record, and only then ready to be given."""
        assert self._live is not None
        if not self._records and not self._drawn:
            self._records.extend(await self._live.take())
        while self._records:
            found = await watcher.watched.changes(self._records[0])
            self._draw(watcher, self._records.popleft(), found)
        if self._drawn:
            await watcher.recorded.give(change for change, _ in self._drawn)
            self._ready.extend(told for _, told in self._drawn)
            self._drawn.clear()

    def _draw(self, watcher: Watcher, record: LogRecord, found: list[Change]) -> None:
        partition, offset = record.partition, record.offset
        at, over = self._places[partition]
        over = over if at == offset else 0
        self._newest = max(self._newest, record.timestamp_ms)
        for number, change in enumerate(found[over:], over + 1):
            if change.told is not None:
                self._places[partition] = (offset, number) if number < len(found) else (offset + 1, 0)
                self._drawn.append((change, change.told | {"position": self._position(watcher)}))
        self._places[partition] = (offset + 1, 0)

    def _position(self, watcher: Watcher) -> str:
        return position(watcher.log.partitions, self._newest, self._places)

    async def close(self) -> None:
        """Whoever waits for a change is told that there is none any more."""
        self.closed = True
        async with self._turn:
            live, self._live = self._live, None
            if live is not None and self._watcher is not None:
                await live.close()
                await self._watcher.recorded.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _check(since: LogPosition, partitions: int) -> None:
    if since.partitions != partitions or any(place >= partitions for place in since.places):
        raise InvalidInput(
            f"since is a position in a log of {since.partitions} partitions, and this one has {partitions}; what came after it "
            f"comes with since={since.moment().isoformat()!r}, perhaps with some changes before"
        )
