"""The subjects' states that `decide` keeps in memory: loaded from the vector projection once, then folded forward.

A state may be loaded only when the projection has every event of its subject: up to the log's end when this worker took the
partition, and up to the last event of any subject that was put out of memory since.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

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
        self._reached = -1

    async def of(self, tenant: str, subject: str) -> SubjectState:
        """The subject's state as of the newest event. Waits for the vector projection where it must be loaded."""
        key = (tenant, subject)
        if key not in self._loaded:
            while self._reached < self._floor:
                self._reached = await self._index.position(self._partition)
                if self._reached < self._floor:
                    await asyncio.sleep(_POLL)
            rows = await self._index.current(tenant, subject, Scope(), None)
            self._loaded[key] = SubjectState.of(rows)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def whole_tenant(self, tenant: str) -> list[SubjectState]:
        """Every state of a tenant that is in memory; the others are read after the projection has caught up."""
        return [state for (owner, _), state in self._loaded.items() if owner == tenant]

    def appended(self, tenant: str, subject: str, offset: int) -> None:
        """The subject's newest event stands at `offset`."""
        self._last[tenant, subject] = offset

    def raise_floor(self, offset: int) -> None:
        """No state may be loaded before the projection has come to `offset`."""
        self._floor = max(self._floor, offset)

    def shrink(self) -> None:
        """Put out the least recently used subjects while too many memories are held."""
        held = sum(len(state.memories) + 1 for state in self._loaded.values())
        while held > self._limit and len(self._loaded) > 1:
            key, state = self._loaded.popitem(last=False)
            held -= len(state.memories) + 1
            self.raise_floor(self._last.pop(key, -1))
