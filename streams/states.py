"""The subjects' states that `decide` keeps in memory: loaded from the vector projection once, then folded forward.

A state may be loaded only when the projection has every event of its subject: up to the log's end when this worker took the
partition, and up to the subject's last event since. A subject with commands in flight is not put out: its state knows of
events that are not in the log yet, and could not be loaded again.

By a subject's outline most of what is kept as said is decided. What is put out leaves one, and it is read by itself where nothing else is
needed: after a worker has begun, hundreds of subjects come at once, and their states would be more than is ever held again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memfold.memory.outline import Outline, may_suffice
from memfold.memory.ports import MemoryIndex
from memfold.memory.state import SubjectState
from memfold.schemas.records import Command, MemoriesDecided, Scope
from memfold.streams.recent import Key, Recent

MAX_MEMORIES = 20_000
"""Memories held per partition, at roughly 2 KB each."""
MAX_OUTLINED = 500_000
"""Memories per partition of which an outline is held, at roughly 100 bytes each."""
READ_AT_ONCE = 4
"""Subjects per partition. While its rows are made a state takes four times the room that it will."""
_POLL = 0.02


class States:
    """Least recently used first out: first to an outline, then altogether."""

    def __init__(
        self,
        partition: int,
        index: MemoryIndex,
        floor: int,
        limit: int = MAX_MEMORIES,
        outlined: int = MAX_OUTLINED,
    ) -> None:
        self._partition, self._index, self._floor = partition, index, floor
        self._limit, self._most_outlined = limit, outlined
        self._loaded: Recent[SubjectState] = Recent(lambda state: len(state.memories) + 1)
        self._outlines: Recent[Outline] = Recent(lambda outline: outline.size)
        self._unwritten: Counter[Key] = Counter()
        """Events that were decided by an outline and are not in the log yet."""
        self._written = asyncio.Event()
        self._last: dict[Key, int] = {}
        self._in_flight: Counter[Key] = Counter()
        self._reached = -1
        self._catching_up = asyncio.Lock()
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def of(self, tenant: str, subject: str, model: str = "") -> SubjectState:
        """The subject's state as of the newest event, with vectors of `model`, whose generation is served. Waits for the vector
        projection where it must be loaded.
        """
        key = (tenant, subject)
        state = self._loaded.get(key)
        if state is None:
            while self._unwritten[key]:
                self._written.clear()
                await self._written.wait()
            async with self._whole(key):
                state = SubjectState.of(await self._index.current(tenant, subject, Scope(), None), model)
            self._loaded.put(key, state)
            if key in self._outlines:
                self._outlines.pop(key)
        if state.model != model:
            # What the projection has not applied yet is embedded when it is first needed.
            rows = await self._index.current(tenant, subject, Scope(), None)
            state.go_over(model, {(row.memory_id, row.version): row.vector for row in rows})
        self._loaded.touch(key)
        return state

    def held(self, tenant: str, subject: str, model: str) -> SubjectState | None:
        """As `of`, where that has nothing to read; None otherwise."""
        state = self._loaded.get((tenant, subject))
        if state is None or state.model != model:
            return None
        self._loaded.touch((tenant, subject))
        return state

    async def outline_suffices(self, tenant: str, subject: str, command: Command) -> bool:
        """Whether an empty state decides the command as the subject's would; `outlined` must be told of what is decided so.

        Waits for the vector projection where the outline must be read.
        """
        key = (tenant, subject)
        if key in self._loaded or not may_suffice(command):
            return False
        outline = self._outlines.get(key)
        if outline is None:
            async with self._whole(key):
                outline = Outline(await self._index.texts(tenant, subject))
            self._outlines.put(key, outline)
        return outline.suffices(command)

    def outlined(self, tenant: str, subject: str, body: MemoriesDecided) -> None:
        """A command was decided by the subject's outline, which sufficed."""
        key = (tenant, subject)
        outline = self._outlines.get(key)
        assert outline is not None, "an outline is held while a command of its subject is in flight"
        outline.fold(body)
        self._outlines.count(key)
        self._outlines.touch(key)
        self._unwritten[key] += 1

    @asynccontextmanager
    async def _whole(self, key: Key) -> AsyncIterator[None]:
        """For as long as a subject is read, of which the projection has every event."""
        await self._caught_up(max(self._floor, self._last.get(key, -1)))
        async with self._reading:
            yield

    async def _caught_up(self, offset: int) -> None:
        # One asks for all: a window full of new subjects must not poll the projection that they wait for.
        async with self._catching_up:
            while self._reached < offset:
                self._reached = await self._index.position(self._partition)
                if self._reached < offset:
                    await asyncio.sleep(_POLL)

    def fold_whole_tenant(self, tenant: str, body: MemoriesDecided) -> None:
        """For every state of a tenant that is in memory; the others are read after the projection has caught up."""
        for key, state in self._loaded.of_tenant(tenant):
            state.fold(body)
            self._loaded.count(key)
        for key, _ in self._outlines.of_tenant(tenant):
            self._forget(key)

    def admitted(self, tenant: str, subject: str) -> None:
        """A command of the subject is in flight: its state stays in memory until `appended` was called as often."""
        self._in_flight[tenant, subject] += 1

    def appended(self, tenant: str, subject: str, offset: int) -> None:
        """The event of a command that was in flight stands at `offset`, and is the subject's newest."""
        key = (tenant, subject)
        self._last[key] = offset
        if key in self._loaded:
            self._loaded.count(key)
        _less(self._in_flight, key)
        if key in self._unwritten:
            _less(self._unwritten, key)
            self._written.set()

    def raise_floor(self, offset: int) -> None:
        """No state may be loaded before the projection has come to `offset`."""
        self._floor = max(self._floor, offset)

    def shrink(self) -> None:
        """Put out the least recently used subjects while too many memories are held, and forget outlines while too many are."""
        for key in self._loaded.over(self._limit, self._in_flight):
            self._outlines.put(key, Outline.of(self._loaded.pop(key)))
        for key in self._outlines.over(self._most_outlined, self._in_flight):
            self._forget(key)

    def _forget(self, key: Key) -> None:
        self._outlines.pop(key)
        self.raise_floor(self._last.pop(key, -1))


def _less(counted: Counter[Key], key: Key) -> None:
    counted[key] -= 1
    if not counted[key]:
        del counted[key]
