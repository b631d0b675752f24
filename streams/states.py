"""The subjects' states that `decide` keeps in memory: loaded from the vector projection once, then folded forward.

A state may be loaded only when the projection has every event of its subject: up to the log's end when this worker took the
partition, and up to the last event of any subject that was put out of memory since. A subject with commands in flight is not
put out: its state knows of events that are not in the log yet, and could not be loaded again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict

from memfold.memory.ports import MemoryIndex
from memfold.memory.state import SubjectState
from memfold.schemas.records import Scope

MAX_MEMORIES = 200_000
"""Memories held per partition, at roughly 2 KB each."""
_POLL = 0.02


class States:
    """Least recently used first out, as soon as the projection has what is put out."""

    def __init__(self, partition: int, index: MemoryIndex, floor: int, limit: int = MAX_MEMORIES) -> None:
        self._partition, self._index, self._floor, self._limit = partition, index, floor, limit
        self._loaded: OrderedDict[tuple[str, str], SubjectState] = OrderedDict()
        self._last: dict[tuple[str, str], int] = {}
        self._in_flight: Counter[tuple[str, str]] = Counter()
        self._reached = -1
        self._catching_up = asyncio.Lock()

    async def of(self, tenant: str, subject: str, model: str = "") -> SubjectState:
        """The subject's state as of the newest event, with vectors of `model`, whose generation is served. Waits for the vector
        projection where it must be loaded.
        """
        key = (tenant, subject)
        if key not in self._loaded:
            await self._caught_up()
            rows = await self._index.current(tenant, subject, Scope(), None)
            self._loaded[key] = SubjectState.of(rows, model)
        state = self._loaded[key]
        if state.model != model:
            # What the projection has not applied yet is embedded when it is first needed.
            rows = await self._index.current(tenant, subject, Scope(), None)
            state.go_over(model, {(row.memory_id, row.version): row.vector for row in rows})
        self._loaded.move_to_end(key)
        return state

    def held(self, tenant: str, subject: str, model: str) -> SubjectState | None:
        """As `of`, where that has nothing to read; None otherwise."""
        state = self._loaded.get((tenant, subject))
        if state is None or state.model != model:
            return None
        self._loaded.move_to_end((tenant, subject))
        return state

    async def _caught_up(self) -> None:
        # One asks for all: a window full of new subjects must not poll the projection that they wait for.
        async with self._catching_up:
            while self._reached < self._floor:
                self._reached = await self._index.position(self._partition)
                if self._reached < self._floor:
                    await asyncio.sleep(_POLL)

    def whole_tenant(self, tenant: str) -> list[SubjectState]:
        """Every state of a tenant that is in memory; the others are read after the projection has caught up."""
        return [state for (owner, _), state in self._loaded.items() if owner == tenant]

    def admitted(self, tenant: str, subject: str) -> None:
        """A command of the subject is in flight: its state stays in memory until `appended` was called as often."""
        self._in_flight[tenant, subject] += 1

    def appended(self, tenant: str, subject: str, offset: int) -> None:
        """The event of a command that was in flight stands at `offset`, and is the subject's newest."""
        key = (tenant, subject)
        self._last[key] = offset
        self._in_flight[key] -= 1
        if not self._in_flight[key]:
            del self._in_flight[key]

    def raise_floor(self, offset: int) -> None:
        """No state may be loaded before the projection has come to `offset`."""
        self._floor = max(self._floor, offset)

    def shrink(self) -> None:
        """Put out the least recently used subjects while too many memories are held."""
        held = sum(len(state.memories) + 1 for state in self._loaded.values())
        if held <= self._limit:
            return
        for key in [key for key in self._loaded if key not in self._in_flight][: len(self._loaded) - 1]:
            held -= len(self._loaded.pop(key).memories) + 1
            self.raise_floor(self._last.pop(key, -1))
            if held <= self._limit:
                return
